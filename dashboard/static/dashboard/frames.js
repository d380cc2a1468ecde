// Merges changes into the state, so that a page is always drawn from a whole frame.
import { lineKey } from "./format.js";

const SPARK_KEPT = 40;
const POINTS_KEPT = 300;
const LINES_KEPT = 60;

export class Frames {
  constructor() {
    this.whole = null;
  }

  // The whole frame with this one in it; null when one between was missed.
  take(frame) {
    if (frame.kind === "full") this.whole = frame;
    else if (this.whole !== null && frame.seq === this.whole.seq + 1) this.whole = laidOver(this.whole, frame);
    else this.whole = null;
    return this.whole;
  }

  forget() {
    this.whole = null;
  }
}

function laidOver(held, { rows = [], gone = [], feed = [], charts = {}, points = {}, figures = {}, ...rest }) {
  const whole = { ...held, ...rest, rows: laidRows(held.rows, rows, gone), feed: laidLines(held.feed, feed) };
  if (held.figures) whole.figures = { ...held.figures, ...figures };
  if (held.charts) whole.charts = laidCharts({ ...held.charts, ...charts }, points, whole.rows);
  return whole;
}

// A row that did not change stays the same object: who drew it need not draw it again.
function laidRows(held, changed, gone) {
  const rows = new Map(held.map((row) => [row.id, row]));
  for (const { next, ...row } of changed) {
    const before = rows.get(row.id);
    const now = { ...before, ...row };
    if (next !== undefined) now.spark = [...before.spark, next].slice(-SPARK_KEPT);
    rows.set(row.id, now);
  }
  for (const id of gone) rows.delete(id);
  return [...rows.values()];
}

function laidLines(held, changed) {
  if (!changed.length) return held;
  const fresh = new Set(changed.map(lineKey));
  const lines = [...changed, ...held.filter((line) => !fresh.has(lineKey(line)))];
  return lines.toSorted((a, b) => b.at_ms - a.at_ms).slice(0, LINES_KEPT);
}

function laidCharts(charts, points, rows) {
  const shown = rows.filter((row) => charts[row.id]);
  return Object.fromEntries(shown.map(({ id }) => [id, points[id] ? extended(charts[id], points[id]) : charts[id]]));
}

function more(values, value) {
  return [...values, value].slice(-POINTS_KEPT);
}

function extended(chart, point) {
  const columns = Object.entries(chart.columns).map(([name, values]) => [name, more(values, point.columns[name])]);
  return { times: more(chart.times, point.time), columns: Object.fromEntries(columns) };
}
