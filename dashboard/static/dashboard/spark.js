// A small line without axes, beside the number it belongs to.
import { drawn } from "./element.js";

const WIDTH = 100;
const HEIGHT = 28;

export class Ring {
  // The newest `size` values; older ones are forgotten.
  constructor(size) {
    this.size = size;
    this.values = [];
  }

  push(value) {
    this.values.push(value);
    if (this.values.length > this.size) this.values.shift();
  }
}

// Each run of numbers as a path: `size` values fill the width, the newest stands at the right end, and a second of
// which nothing is known is a gap. So lines beside each other are of the same time, however much of it each of them knows.
function runs(values, size) {
  const top = Math.max(1, ...values.filter(Number.isFinite)) * 1.05;
  const step = WIDTH / Math.max(1, size - 1);
  const found = [];
  values.forEach((value, index) => {
    if (!Number.isFinite(value)) return;
    const x = WIDTH - (values.length - 1 - index) * step;
    const point = { x: x.toFixed(1), y: (HEIGHT - (value / top) * (HEIGHT - 2) - 1).toFixed(1) };
    if (index && Number.isFinite(values[index - 1])) found.at(-1).push(point);
    else found.push([point]);
  });
  return found;
}

// A single point is a dot: a line of no length with round ends.
function along(run) {
  return `M${run.map(({ x, y }) => `${x},${y}`).join("L")}${run.length > 1 ? "" : "h0"}`;
}

export function spark() {
  const area = drawn("path", { class: "area" });
  const line = drawn("path", { class: "line" });
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "spark", "aria-hidden": "true" };
  return drawn("svg", box, area, line);
}

export function setSpark(svg, values, size) {
  const drawable = runs(values.slice(-size), size);
  const [area, line] = svg.children;
  line.setAttribute("d", drawable.map(along).join(""));
  area.setAttribute("d", drawable.map((run) => `${along(run)}V${HEIGHT}H${run[0].x}Z`).join(""));
}
