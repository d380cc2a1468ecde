// The row of key figures, each with a small line of its last minutes.
import { make, mark, say } from "./element.js";
import { factor, known, percent, span, whole } from "./format.js";
import { Ring, setSpark, spark } from "./spark.js";

const SECONDS_KEPT = 120;

function share(part, all) {
  return known(part) && known(all) ? `${percent(part, all)} of calls` : "";
}

const FIGURES = [
  { read: (s) => s.calls_per_min, note: () => "in the last minute" },
  { read: (s) => s.allowed_per_min, note: (s) => share(s.allowed_per_min, s.calls_per_min) },
  {
    read: (s) => s.refused_per_min,
    note: (s) => share(s.refused_per_min, s.calls_per_min),
    state: (s) => (s.refused_per_min > 0 ? "stop" : ""),
    colour: "var(--stop)",
  },
  { read: (s) => s.p95_ms, unit: "ms", note: (s) => (known(s.p95_threshold_ms) ? `threshold ${whole(s.p95_threshold_ms)} ms` : "of the upstream's answers") },
  {
    read: (s) => s.multiplier_low?.value ?? 1,
    show: factor,
    note: (s) => (s.multiplier_low && s.multiplier_low.value < 1 ? `lowest: ${s.multiplier_low.tenant}` : "no limit is cut"),
    state: (s) => (s.multiplier_low?.value < 1 ? "near" : ""),
  },
  { read: (s) => s.events_waiting, note: (s) => (s.events_waiting ? waited(s) : "all stored") },
];

function waited(summary) {
  return known(summary.events_oldest_s) ? `oldest ${span(summary.events_oldest_s)}` : "to be stored";
}

export class Kpis {
  constructor(place) {
    this.cards = [...place.children].map((card, index) => {
      const line = spark();
      const spot = card.querySelector(".spark-place");
      if (FIGURES[index].colour) spot.style.color = FIGURES[index].colour;
      spot.replaceChildren(line);
      const number = make("span");
      card.querySelector(".figure").replaceChildren(number, make("span", { class: "unit" }));
      return { card, line, number, ring: new Ring(SECONDS_KEPT) };
    });
  }

  update(summary) {
    this.cards.forEach((at, index) => {
      const figure = FIGURES[index];
      const value = figure.read(summary);
      say(at.number, (figure.show ?? whole)(value));
      say(at.number.nextSibling, figure.unit && known(value) ? figure.unit : "");
      say(at.card.querySelector(".note"), figure.note(summary));
      mark(at.card, "state", figure.state?.(summary) ?? "");
      if (known(value)) at.ring.push(Number(value));
      setSpark(at.line, at.ring.values);
    });
  }

  // A whole frame brings what happened before this page was opened; it stays in those that are laid over it.
  fill(series) {
    if (series === this.filled) return;
    this.filled = series;
    const names = ["calls_per_min", "allowed_per_min", "refused_per_min", "p95_ms", "multiplier", "events_waiting"];
    names.forEach((name, index) => {
      if (!series?.[name]?.length) return;
      this.cards[index].ring.values = series[name].slice(-SECONDS_KEPT);
    });
  }
}
