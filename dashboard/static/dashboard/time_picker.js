// From one time to another, typed: the way to a span for readers who do not drag.
import { at, say } from "./element.js";
import { fromLocal, toLocal } from "./zone.js";
import { word } from "./words.js";

export class TimePicker {
  constructor(onChosen) {
    this.form = at("span-form");
    this.button = at("span-open");
    this.button.addEventListener("click", () => this.toggle(this.form.hidden));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [from, to] = this.inputs().map((input) => fromLocal(input.value));
      const fault = from && to ? (from < to ? "" : word("span.order")) : word("span.both");
      say(at("span-fault"), fault);
      if (!fault) onChosen(from, to);
    });
  }

  inputs() {
    return [at("span-from"), at("span-to")];
  }

  toggle(open) {
    this.form.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) this.inputs()[0].focus();
  }

  // Shows the span of the address; of a range until now, its times.
  fill({ range, from, to }) {
    this.button.setAttribute("aria-pressed", String(!range));
    this.form.hidden = Boolean(range);
    this.button.setAttribute("aria-expanded", String(!range));
    if (range) return;
    const [first, last] = this.inputs();
    first.value = toLocal(from);
    last.value = toLocal(to);
    say(at("span-fault"), "");
  }
}
