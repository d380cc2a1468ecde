// What a supervisor may do here: each asks for a reason, says what will happen, and can be undone.
import { at, make, say } from "./element.js";

export class Actions {
  constructor(page) {
    this.page = page;
    this.dialog = at("dialog");
    for (const button of document.querySelectorAll("[data-deed]")) {
      button.addEventListener("click", () => this.ask(button));
    }
  }

  refresh() {}

  ask(button) {
    this.opener = button;
    this.dialog.replaceChildren(make("h2", { id: "dialog-title" }, button.textContent));
    this.dialog.showModal();
  }
}
