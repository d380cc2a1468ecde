// What each state is called and drawn as: never a colour alone.
import { drawn, make } from "./element.js";
import { word } from "./words.js";

export const ORDER = ["stop", "near", "lately", "shadow", "unknown", "ok"];

const OCTAGON = "M5 1h6l4 4v6l-4 4H5l-4-4V5z";
const STROKE = { fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round" };
const SHAPES = {
  ok: () => [drawn("path", { d: "M3 8.5 6.5 12 13 4.5", ...STROKE, "stroke-linejoin": "round" })],
  near: () => [
    drawn("circle", { cx: 8, cy: 8, r: 6, ...STROKE }),
    drawn("path", { d: "M8 2a6 6 0 0 0 0 12z", fill: "currentColor" }),
  ],
  lately: () => [
    drawn("path", { d: OCTAGON, ...STROKE, "stroke-linecap": "butt" }),
    drawn("path", { d: "M8 4.5V8l2.2 1.6", ...STROKE }),
  ],
  stop: () => [
    drawn("path", { d: OCTAGON, fill: "currentColor" }),
    drawn("path", { d: "M4.5 8h7", fill: "none", stroke: "var(--tint)", "stroke-width": "2.2" }),
  ],
  shadow: () => [drawn("path", { d: OCTAGON, ...STROKE, "stroke-dasharray": "3 2.4", "stroke-linecap": "butt" })],
  unknown: () => [
    drawn("path", { d: "M5 6a3 3 0 1 1 4.4 2.6C8.4 9.2 8 9.7 8 10.8", ...STROKE }),
    drawn("circle", { cx: 8, cy: 14, r: 1.2, fill: "currentColor" }),
  ],
};

export function sign(state) {
  const shape = SHAPES[state] ?? SHAPES.unknown;
  return drawn("svg", { viewBox: "0 0 16 16", class: "sign", "aria-hidden": "true" }, ...shape());
}

export function chip(state, said = word(`state.${state}`)) {
  const known = state in SHAPES ? state : "unknown";
  return make("span", { class: "chip", "data-state": known }, sign(known), make("span", {}, said));
}

// Replaces the chip only when its text has changed.
export function setChip(place, state, text = word(`state.${state}`)) {
  const said = `${state} ${text}`;
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  place.replaceChildren(chip(state, text));
}
