// Numbers and clock times as people read them, in the page's language. Times sort, in the reader's zone.
import { LANGUAGE } from "./element.js";
import { local, zoneName } from "./zone.js";

// The browser has other separators than the server for some languages: a page says how the server writes a number.
const [group, decimal] = /^1(.*)234(.*)5$/.exec(document.body.dataset.number)?.slice(1) ?? [",", "."];

function part({ type, value }) {
  return { group, decimal }[type] ?? value;
}

function written(options) {
  const format = new Intl.NumberFormat(LANGUAGE, { useGrouping: "always", ...options });
  return { format: (value) => format.formatToParts(value).map((each) => part(each)).join("") };
}

const WHOLE = written({ maximumFractionDigits: 0 });
const UP_TO_ONE = written({ maximumFractionDigits: 1 });
const UP_TO_TWO = written({ maximumFractionDigits: 2 });
const COMPACT = written({ notation: "compact", maximumFractionDigits: 1 });
export const NOTHING = "—";

export function known(value) {
  return value !== null && value !== undefined && Number.isFinite(Number(value));
}

export function whole(value) {
  return known(value) ? WHOLE.format(value) : NOTHING;
}

export function percent(share) {
  return known(share) ? `${UP_TO_ONE.format(100 * share)} %` : NOTHING;
}

export function factor(value) {
  return UP_TO_TWO.format(value);
}

export function short(value) {
  if (!known(value)) return NOTHING;
  return Math.abs(value) < 10_000 ? WHOLE.format(value) : COMPACT.format(value);
}

export function clock(ms) {
  return moment(ms).slice(11);
}

export function minute(ms) {
  return clock(ms).slice(0, 5);
}

export function moment(ms) {
  return local(ms);
}

// With the name of the zone, for a time that stands in a sentence.
export function withZone(write) {
  return (ms) => `${write(ms)} ${zoneName(ms)}`;
}

// What makes two lines of a list the same: of a refusal its time and kind, not how many calls it counts.
export function lineKey(line) {
  if (line.code) return JSON.stringify(line);
  return JSON.stringify([line.at_ms, line.tenant, line.action, line.limit, line.shadow]);
}
