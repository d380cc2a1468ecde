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

function points(values, top) {
  const step = WIDTH / Math.max(1, values.length - 1);
  return values.map((value, index) => `${(index * step).toFixed(1)},${(HEIGHT - (value / top) * (HEIGHT - 2) - 1).toFixed(1)}`);
}

export function spark() {
  const area = drawn("polygon", { class: "area" });
  const line = drawn("polyline", { class: "line" });
  const box = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "spark", "aria-hidden": "true" };
  return drawn("svg", box, area, line);
}

export function setSpark(svg, values) {
  const numbers = values.filter((value) => Number.isFinite(value));
  const [area, line] = svg.children;
  const drawable = numbers.length > 1;
  const at = drawable ? points(numbers, Math.max(1, ...numbers) * 1.05) : [];
  line.setAttribute("points", at.join(" "));
  area.setAttribute("points", drawable ? `0,${HEIGHT} ${at.join(" ")} ${WIDTH},${HEIGHT}` : "");
}
