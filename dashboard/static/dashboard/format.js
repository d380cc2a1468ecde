// Numbers, spans of time and clock times as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const UP_TO_ONE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
export const NOTHING = "—";

export function known(value) {
  return value !== null && value !== undefined && Number.isFinite(Number(value));
}

export function whole(value) {
  return known(value) ? WHOLE.format(value) : NOTHING;
}

export function short(value) {
  if (!known(value)) return NOTHING;
  const size = Math.abs(value);
  if (size < 10_000) return WHOLE.format(value);
  if (size < 1_000_000) return `${UP_TO_ONE.format(value / 1_000)}k`;
  return `${UP_TO_ONE.format(value / 1_000_000)}M`;
}

export function percent(part, all) {
  return all ? `${UP_TO_ONE.format((100 * part) / all)} %` : "0 %";
}

export function factor(value) {
  return known(value) ? Number(value).toFixed(2) : NOTHING;
}

export function span(seconds) {
  if (!known(seconds)) return NOTHING;
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

export function windowText(seconds) {
  if (!known(seconds) || !seconds) return "";
  if (seconds % 86_400 === 0) return seconds === 86_400 ? "24 h" : `${seconds / 86_400} days`;
  if (seconds % 3_600 === 0) return `${seconds / 3_600} h`;
  return `${seconds} s`;
}

function two(number) {
  return String(number).padStart(2, "0");
}

export function clock(ms) {
  const time = new Date(ms);
  return `${two(time.getUTCHours())}:${two(time.getUTCMinutes())}:${two(time.getUTCSeconds())}`;
}

export function minute(ms) {
  return clock(ms).slice(0, 5);
}

export function moment(ms) {
  return `${new Date(ms).toISOString().slice(0, 10)} ${clock(ms)}`;
}

// What makes two lines of a list the same: their time and kind, not how many calls they count.
export function lineKey(line) {
  return JSON.stringify([line.at_ms, line.tenant, line.action, line.limit, line.text, line.shadow]);
}
