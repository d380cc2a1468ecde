// The time zone that the page's times are written in: the address names it, or the reader has kept it.
const KEPT = document.body.dataset.zone || "UTC";
const FORMAT = formatIn(new URLSearchParams(location.search).get("tz")) ?? formatIn(KEPT) ?? formatIn("UTC");
const { timeZone: ZONE } = FORMAT.resolvedOptions();
const NAME = new Intl.DateTimeFormat("en-GB", { timeZone: ZONE, timeZoneName: "short" });

function formatIn(timeZone) {
  if (!timeZone) return null;
  try {
    return new Intl.DateTimeFormat("en-GB", { timeZone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  } catch {
    return null; // no such zone
  }
}

// `2026-07-14 10:42:07`, in the zone.
export function local(ms) {
  const { year, month, day, hour, minute, second } = Object.fromEntries(FORMAT.formatToParts(new Date(ms)).map(({ type, value }) => [type, value]));
  return `${year}-${month}-${day} ${hour}:${minute}:${second}`;
}

// `UTC`, `CEST` or `GMT+5:30`: how the zone is called at that time.
export function zoneName(ms = Date.now()) {
  return NAME.formatToParts(new Date(ms)).find(({ type }) => type === "timeZoneName").value;
}

// A time of the address as a field for local times takes it; empty for one that is none.
export function toLocal(text) {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? "" : local(ms).replace(" ", "T");
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

// The zones to choose from come when the menu is opened: they are hundreds.
export function offerZones(select) {
  const menu = select?.closest("details");
  menu?.addEventListener("toggle", () => {
    if (select.options.length > 1) return;
    const others = ["UTC", ...Intl.supportedValuesOf("timeZone")].filter((name) => name !== select.value);
    select.append(...others.map((name) => new Option(name)));
  });
}
