// What may be done here for a while: the dialog says what will happen before it does, and offers to take it back.
import { at, make, say } from "./element.js";

const MINUTES = { "15 minutes": 15, "1 hour": 60, "4 hours": 240, "24 hours": 1440 };

export class Actions {
  constructor({ tenant, rows }) {
    Object.assign(this, { tenant, rows });
    this.dialog = at("dialog");
    for (const button of document.querySelectorAll("[data-deed]")) {
      button.addEventListener("click", () => this.ask(button));
    }
  }

  ask(button) {
    const kind = button.dataset.deed;
    const which = select("which", [["", "every limit"], ...this.rows().map((row) => [`${row.action}|${row.limit}`, `${row.limit}, ${row.action || "all actions"}`])]);
    const factor = make("input", { name: "factor", type: "number", min: "1.1", max: "100", step: "0.1", value: "2", required: true });
    const minutes = select("minutes", Object.entries(MINUTES).map(([word, count]) => [count, word]));
    const reason = make("input", { name: "reason", maxlength: "255", required: true, autocomplete: "off" });
    const effect = make("p", { class: "effect", role: "status" });
    const confirm = make("button", { type: "submit", class: "main", disabled: true }, "Confirm");
    const cancel = make("button", { type: "button" }, "Cancel");
    const fields = [label("Limit", which), kind === "increase" ? label("Times", factor) : null, label("For", minutes), label("Reason", reason, "Kept with the change, for whoever reads the record.")];
    const form = make("form", {}, make("h2", { id: "dialog-title" }, button.textContent.replace("…", "")), ...fields.filter(Boolean), effect, make("div", { class: "buttons" }, cancel, confirm));
    const asked = () => this.body(kind, form);
    const preview = async () => {
      confirm.disabled = true;
      if (!reason.value.trim()) return say(effect, "Give a reason to see what will happen.");
      const answer = await this.post(document.body.dataset.actions, asked());
      say(effect, answer.effect ?? answer.detail);
      confirm.disabled = !answer.effect;
    };
    form.addEventListener("input", preview);
    cancel.addEventListener("click", () => this.dialog.close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      this.show(await this.post(document.body.dataset.actions, { ...asked(), confirm: true }));
    });
    this.dialog.replaceChildren(form);
    this.dialog.showModal();
    preview();
  }

  body(kind, form) {
    const values = Object.fromEntries(new FormData(form));
    const [action, limit] = values.which ? values.which.split("|") : ["", ""];
    return { tenant: this.tenant, kind, action, limit, factor: values.factor, minutes: Number(values.minutes), reason: values.reason };
  }

  async post(url, body) {
    const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const options = { method: "POST", credentials: "same-origin", headers: { "content-type": "application/json", "x-csrftoken": token }, body: JSON.stringify(body) };
    const answer = await fetch(url, options).catch(() => null);
    if (!answer) return { detail: "The server cannot be reached." };
    if (answer.status === 403) return { detail: "You have no right to do this." };
    return answer.json().catch(() => ({ detail: "The server could not do this." }));
  }

  show(answer) {
    const place = at("done");
    if (!answer.done) return say(this.dialog.querySelector(".effect"), answer.detail);
    this.dialog.close();
    const undo = make("button", { type: "button", class: "link" }, "Take it back");
    undo.addEventListener("click", async () => this.show(await this.post(answer.undo, {})));
    place.replaceChildren(`${answer.done} `, ...(answer.undo ? [undo] : []));
    return place;
  }
}

function select(name, options) {
  return make("select", { name }, ...options.map(([value, text]) => make("option", { value }, text)));
}

function label(text, control, hint) {
  return make("label", {}, text, control, hint ? make("span", { class: "hint" }, hint) : null);
}
