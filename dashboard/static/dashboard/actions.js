// What may be done here: the dialog says what will happen before it does, and offers to take back what can be.
import { at, make, say } from "./element.js";
import { post } from "./post.js";
import { word } from "./words.js";

const MINUTES = [15, 60, 240, 1440];

export class Actions {
  constructor({ tenant, rows, limits }) {
    Object.assign(this, { tenant, rows, limits });
    this.dialog = at("dialog");
    for (const button of document.querySelectorAll("[data-deed]")) {
      button.addEventListener("click", () => this.ask(button));
    }
  }

  // What each deed asks for, beside its reason.
  fields(deed) {
    if (deed === "revoke") return [label(word("ask.key"), select("key", keys()))];
    if (deed === "reset") return [label(word("ask.counter"), select("which", [...this.counters(), ...this.keyCounters()]))];
    const factor = make("input", { name: "factor", type: "number", min: "1.1", max: "100", step: "0.1", value: "2", required: true });
    const minutes = select("minutes", MINUTES.map((count) => [count, word(`ask.${count}`)]));
    const which = label(word("ask.limit"), select("which", [["", word("limit.every")], ...this.rows().map(choice)]));
    return [which, ...(deed === "increase" ? [label(word("ask.times"), factor)] : []), label(word("ask.for"), minutes)];
  }

  // Slots of running calls come back by themselves: they are no counter to reset.
  counters() {
    return this.rows().filter((row) => row.resettable).map(choice);
  }

  keyCounters() {
    const perKey = this.limits().filter((limit) => limit.counted_per === "key" && !limit.replaced);
    return perKey.flatMap((limit) => keys().map(([prefix, name]) => [`|${limit.name}|${prefix}`, word("ask.key_of", { limit: limit.name, key: name })]));
  }

  ask(button) {
    const { deed, url } = button.dataset;
    const reason = make("input", { name: "reason", maxlength: "255", required: true, autocomplete: "off" });
    const effect = make("p", { class: "effect", role: "status" });
    const confirm = make("button", { type: "submit", class: "main", disabled: true }, word("ask.confirm"));
    const cancel = make("button", { type: "button" }, word("ask.cancel"));
    const fields = [...this.fields(deed), label(word("ask.reason"), reason, word("ask.reason_hint"))];
    const form = make("form", {}, make("h2", { id: "dialog-title" }, button.textContent.replace("…", "")), ...fields, effect, make("div", { class: "buttons" }, cancel, confirm));
    let seen;
    const asked = () => this.body(deed, form);
    const preview = async () => {
      confirm.disabled = true;
      if (!reason.value.trim()) return say(effect, word("ask.reason_first"));
      const answer = await post(url, asked());
      seen = answer.seen;
      say(effect, answer.effect ?? answer.detail);
      confirm.disabled = !answer.effect;
    };
    form.addEventListener("input", preview);
    cancel.addEventListener("click", () => this.dialog.close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const answer = await post(url, { ...asked(), confirm: true, seen });
      seen = answer.seen ?? seen;
      if (answer.done && deed === "revoke") drop(form.elements.key.value);
      this.show(answer);
    });
    this.dialog.replaceChildren(form);
    this.dialog.showModal();
    preview();
  }

  body(kind, form) {
    const values = Object.fromEntries(new FormData(form));
    const [action = "", limit = "", key = values.key ?? ""] = values.which ? values.which.split("|") : [];
    return { tenant: this.tenant, kind, action, limit, key, factor: values.factor, minutes: Number(values.minutes), reason: values.reason };
  }

  show(answer) {
    const place = at("done");
    if (!answer.done && this.dialog.open) return say(this.dialog.querySelector(".effect"), answer.detail);
    this.dialog.close();
    const undo = make("button", { type: "button", class: "link" }, word("ask.undo"));
    undo.addEventListener("click", async () => this.show({ undo: answer.undo, ...(await post(answer.undo, { seen: answer.seen })) }));
    const over = answer.done && !answer.seen;
    place.replaceChildren(`${answer.done ?? answer.detail} `, ...(answer.undo && !over ? [undo] : []));
    return place;
  }
}

function choice(row) {
  return [`${row.action}|${row.limit}`, word("limit.of_action", row)];
}

// The server writes the keys that are in use into a template of the page.
function keyOptions() {
  return at("keys")?.content.querySelectorAll("option") ?? [];
}

function keys() {
  return [...keyOptions()].map((option) => [option.value, option.textContent]);
}

function drop(prefix) {
  for (const option of keyOptions()) if (option.value === prefix) option.remove();
}

function select(name, options) {
  return make("select", { name }, ...options.map(([value, text]) => make("option", { value }, text)));
}

function label(text, control, hint) {
  return make("label", {}, text, control, hint ? make("span", { class: "hint" }, hint) : null);
}
