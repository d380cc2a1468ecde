// Shows only the fields that apply to what a choice says. The server checks them all the same.
//
// A control with data-applies='{"<value>": ["field", …]}' rules the fields that any of its values names: those of the
// chosen value are shown, the others hidden. A checkbox has the values "true" and "false". A field with an error is
// always shown. What a field held is kept when it is hidden and sent empty, unless it has to have a value.

const remembered = new WeakMap();

function controlsOf(control, field) {
  const prefix = control.name.slice(0, control.name.lastIndexOf("-") + 1);
  return [...control.form.elements].filter(
    (element) => element.name === prefix + field || element.name === `${prefix}${field}_0` || element.name === `${prefix}${field}_1`,
  );
}

function lineOf(element) {
  return element.closest(".field-line");
}

function empty(element) {
  if (element.type === "checkbox" || element.dataset.keep !== undefined || element.value === "") return;
  remembered.set(element, element.value);
  element.value = "";
  element.dispatchEvent(new Event("change", { bubbles: true }));
}

function refill(element) {
  if (element.value !== "" || !remembered.has(element)) return;
  element.value = remembered.get(element);
  remembered.delete(element);
  element.dispatchEvent(new Event("change", { bubbles: true }));
}

function apply(control, { byHand }) {
  const applies = JSON.parse(control.dataset.applies);
  const value = control.type === "checkbox" ? String(control.checked) : control.value;
  const shown = new Set(applies[value] ?? []);
  for (const field of new Set(Object.values(applies).flat())) {
    for (const element of controlsOf(control, field)) {
      const line = lineOf(element);
      if (!line) continue;
      const wanted = shown.has(field);
      line.hidden = !wanted && !line.classList.contains("errors");
      if (byHand) (wanted ? refill : empty)(element);
    }
  }
  for (const row of control.form.querySelectorAll(".form-row.field-row")) {
    const lines = [...row.querySelectorAll(":scope > .field-line")];
    if (lines.length) row.hidden = lines.every((line) => line.hidden);
  }
  for (const group of control.form.querySelectorAll("fieldset.module")) {
    const lines = [...group.querySelectorAll(".field-line")];
    if (lines.length) group.hidden = lines.every((line) => line.hidden);
  }
}

function applyAll(root) {
  for (const control of root.querySelectorAll("[data-applies]")) apply(control, { byHand: false });
}

document.addEventListener("change", (event) => {
  if (event.target.dataset?.applies) apply(event.target, { byHand: true });
});
document.addEventListener("formset:added", (event) => applyAll(event.target));
applyAll(document);
