// The time zone that the page's times are written in.
const ZONE = "UTC";

function parts(ms) {
  const format = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return Object.fromEntries(format.formatToParts(new Date(ms)).map(({ type, value }) => [type, value]));
}

// A time of the address as a field for local times takes it; empty for one that is none.
export function toLocal(text) {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) return "";
  const { year, month, day, hour, minute, second } = parts(ms);
  return `${year}-${month}-${day}T${hour}:${minute}:${second}`;
}

// A field's local time as the address has it; empty for one that is none.
export function fromLocal(text) {
  const wanted = Date.parse(`${text}Z`);
  if (Number.isNaN(wanted)) return "";
  // Twice: the first guess may lie on the other side of a change of the clocks.
  let ms = wanted;
  for (let round = 0; round < 2; round += 1) ms = wanted - (Date.parse(`${toLocal(new Date(ms).toISOString())}Z`) - ms);
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
