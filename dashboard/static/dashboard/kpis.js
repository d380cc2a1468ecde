// The row of key figures, each with a small line of its last minutes. The server declares them.
import { make, mark, say } from "./element.js";
import { known, NOTHING } from "./format.js";
import { Ring, setSpark, spark } from "./spark.js";
import { FORMS, inWords } from "./words.js";

const SECONDS_KEPT = 120;

export class Kpis {
  constructor(place) {
    this.cards = [...place.querySelectorAll("[data-figure]")].map((card) => {
      const line = spark();
      card.querySelector(".spark-place").replaceChildren(line);
      const number = make("span");
      card.querySelector(".figure").replaceChildren(number, make("span", { class: "unit" }));
      return { card, line, number, note: card.querySelector(".note"), ring: new Ring(SECONDS_KEPT) };
    });
  }

  update(figures) {
    for (const { card, line, number, note, ring } of this.cards) {
      const { figure, form, unit } = card.dataset;
      const { value, state, note: said } = figures[figure] ?? {};
      say(number, known(value) ? FORMS[form](value) : NOTHING);
      say(number.nextSibling, known(value) ? unit : "");
      say(note, said ? inWords(said) : "");
      mark(card, "state", state ?? "");
      ring.push(known(value) ? Number(value) : null);
      setSpark(line, ring.values, SECONDS_KEPT);
    }
  }

  // A whole frame brings what happened before this page was opened; it stays in those that are laid over it.
  fill(series) {
    if (series === this.filled) return;
    this.filled = series;
    for (const { card, ring } of this.cards) {
      const values = series?.[card.dataset.figure];
      if (values?.length) ring.values = values.slice(-SECONDS_KEPT);
    }
  }
}
