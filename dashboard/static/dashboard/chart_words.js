// What the charts say in words: the legend with values at the pointer, the notes, the summary and the table.
import { make, say } from "./element.js";
import { moment, NOTHING } from "./format.js";
import { SERIES } from "./chart.js";
import { changeText } from "./log.js";
import { word } from "./words.js";
import { zoneName } from "./zone.js";

const MAX_LINES = 120;

export function legend(place, kind) {
  const values = SERIES[kind].map((line) => {
    const swatch = make("span", { class: "swatch", "data-dash": Boolean(line.dash) });
    swatch.style.setProperty("--swatch", `var(--${line.token})`);
    const value = make("b");
    place.append(make("span", { class: "key" }, swatch, word(`line.${line.name}`), value));
    return value;
  });
  return (columns, index) =>
    SERIES[kind].forEach((line, number) => {
      // Not every range has every line.
      values[number].parentElement.hidden = !columns[line.name];
      say(values[number], valueAt(columns, line, index));
    });
}

function valueAt(columns, line, index) {
  const value = columns[line.name]?.[index];
  return value === null || value === undefined ? NOTHING : line.show(value);
}

export function notesList(place, notes) {
  place.replaceChildren(...notes.map((note) => make("p", {}, make("time", { datetime: new Date(note.at_ms).toISOString() }, moment(note.at_ms).slice(11)), ` · ${changeText(note)}`)));
}

// `range`: empty for a span that does not end now.
export function summary({ columns, from, to }, range) {
  const values = (columns.used ?? columns.allowed ?? []).filter((value) => value !== null && value !== undefined);
  if (!values.length) return word("chart.none");
  const limit = columns.effective?.at(-1) ?? columns.limit?.at(-1) ?? NOTHING;
  const about = { lowest: Math.min(...values), highest: Math.max(...values), now: values.at(-1), limit, from: from * 1_000, to: to * 1_000 };
  if (!columns.used) return word("chart.of_calls", about);
  return word(range ? `chart.${range}` : "chart.span", about);
}

export function chartTable(times, columns) {
  const lines = [...SERIES.usage, ...SERIES.latency].filter((line) => columns[line.name]);
  const step = Math.max(1, Math.ceil(times.length / MAX_LINES));
  const rows = [];
  for (let index = times.length - 1; index >= 0; index -= step) {
    rows.push(make("tr", {}, make("th", { scope: "row" }, moment(times[index] * 1_000)), ...lines.map((line) => make("td", {}, valueAt(columns, line, index)))));
  }
  const head = make("tr", {}, make("th", { scope: "col" }, word("chart.time", { zone: zoneName() })), ...lines.map((line) => make("th", { scope: "col" }, word(`line.${line.name}`))));
  return make("table", {}, make("caption", { class: "unseen" }, word("chart.table")), make("thead", {}, head), make("tbody", {}, ...rows));
}
