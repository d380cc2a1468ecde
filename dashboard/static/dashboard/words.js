// What the page says: its language's words, which the server writes into the page, with plural forms. A text that comes
// in a frame is `{ code, …parameters }`; its words may say how a parameter is written: `{share|percent}`.
import { LANGUAGE } from "./element.js";
import { clock, factor, known, minute, moment, NOTHING, percent, whole, withZone } from "./format.js";

const held = document.getElementById("words")?.textContent;
const WORDS = held ? JSON.parse(held) : {};
const PLURALS = new Intl.PluralRules(LANGUAGE);
const PLACE = /\{(\w+)(?:\|(\w+))?\}/g;

function until(ms) {
  return ms - Date.now() < 86_400_000 ? minute(ms) : moment(ms).slice(0, 16);
}

export const FORMS = {
  whole,
  percent,
  factor,
  clock,
  minute,
  moment,
  span,
  points: (value) => `${whole(value)} %`,
  until,
  clock_zone: withZone(clock),
  minute_zone: withZone(minute),
  until_zone: withZone(until),
  action: (action) => action || word("action.all"),
  limit: (limit) => (limit ? limitName(limit) : word("limit.every")),
  limit_name: limitName,
  window: windowText,
};

export function word(code, about = {}) {
  const words = WORDS[code] ?? code;
  const chosen = typeof words === "string" ? words : (words[PLURALS.select(about[words.by])] ?? words.other);
  return chosen.replace(PLACE, (_, name, form) => written(about[name], form));
}

export function inWords({ code, ...about }) {
  return word(code, about);
}

function written(value, form) {
  if (form) return FORMS[form](value);
  return typeof value === "number" ? whole(value) : String(value ?? "");
}

// What a frame names a limit: a name in parentheses, which no policy can give, is a code and has words.
export function limitName(name) {
  return WORDS[`limit.named.${name}`] ?? name;
}

// The first of many by their names, and how many more there are.
export function listed(names, more = 0) {
  const list = names.join(", ");
  return more ? word("list.more", { list, more }) : list;
}

export function span(seconds) {
  if (!known(seconds)) return NOTHING;
  if (seconds < 1) return word("span.now");
  if (seconds < 60) return word("span.seconds", { count: Math.round(seconds) });
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return word("span.minutes", { count: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return word("span.days", { count: Math.round(hours / 24) });
  return minutes % 60 ? word("span.hours_minutes", { hours, minutes: minutes % 60 }) : word("span.hours", { count: hours });
}

// What an alert says of its limit. One that is full within the second is not "full in now".
export function usedText(alert) {
  const about = { used: alert.used, effective: alert.effective, full: alert.full_in_s, at: alert.at_ms };
  return word(alert.full_in_s >= 1 ? "alert.used_full" : "alert.used", about);
}

export function windowText(seconds) {
  if (!known(seconds) || !seconds) return "";
  if (seconds % 86_400 === 0 && seconds > 86_400) return word("span.days", { count: seconds / 86_400 });
  if (seconds % 3_600 === 0) return word("span.hours", { count: seconds / 3_600 });
  if (seconds % 60 === 0 && seconds > 60) return word("span.minutes", { count: seconds / 60 });
  return word("span.seconds", { count: seconds });
}
