// The table of limits: fullest first, brought up to date in place, and still while somebody reads it.
import { make, mark } from "./element.js";
import { COLUMNS, share } from "./columns.js";
import { ORDER } from "./signs.js";
import { word } from "./words.js";

const HIDDEN = "hidden-columns";

function weight(row) {
  // Refusing stands first, also where a shadow limit is fuller.
  return ORDER.indexOf(row.state) * 10 - Math.min(share(row), 9);
}

export class LimitsTable {
  constructor(place, { onMoved, onSettled }) {
    this.place = place;
    this.onMoved = onMoved;
    this.onSettled = onSettled;
    this.rows = new Map();
    this.nodes = new Map();
    this.drawn = new WeakMap();
    this.wanted = () => true;
    this.read = false;
    this.hidden = new Set(load());
    this.body = make("tbody");
    this.head = COLUMNS.map((column) => headCell(column));
    const table = make("table", {}, make("caption", { class: "unseen" }, word("table")), make("thead", {}, make("tr", {}, ...this.head)), this.body);
    this.place.replaceChildren(table);
    this.watchReading();
    this.showColumns();
  }

  watchReading() {
    const still = () => {
      this.read = this.place.matches(":hover") || this.place.contains(document.activeElement);
      if (!this.read) this.settle();
    };
    for (const name of ["pointerenter", "pointerleave", "focusin", "focusout"]) {
      // The element with the focus is known only after the event.
      this.place.addEventListener(name, () => setTimeout(still));
    }
  }

  update(rows) {
    this.rows = new Map(rows.map((row) => [row.id, row]));
    this.draw();
  }

  filter(wanted) {
    this.wanted = wanted;
    this.draw();
    this.settle();
  }

  draw() {
    const shown = [...this.rows.values()].filter(this.wanted);
    const ids = new Set(shown.map((row) => row.id));
    for (const [id, node] of this.nodes) {
      if (ids.has(id)) continue;
      node.remove();
      this.nodes.delete(id);
    }
    for (const row of shown) this.drawRow(row);
    this.order = shown.toSorted((a, b) => weight(a) - weight(b) || (a.id < b.id ? -1 : 1)).map((row) => row.id);
    if (this.read) this.onMoved(this.countMoved());
    else this.settle();
  }

  drawRow(row) {
    let node = this.nodes.get(row.id);
    if (!node) {
      node = make("tr", {}, ...COLUMNS.map((column) => cell(column, row)));
      this.nodes.set(row.id, node);
      this.body.append(node);
      this.showColumns([node]);
    }
    if (this.drawn.get(node) === row) return;
    this.drawn.set(node, row);
    mark(node, "state", row.state);
    COLUMNS.forEach((column, index) => column.update(node.children[index], row));
  }

  countMoved() {
    const now = [...this.body.children];
    return this.order.filter((id, index) => now[index] !== this.nodes.get(id)).length;
  }

  settle() {
    let place = this.body.firstElementChild;
    for (const id of this.order ?? []) {
      const node = this.nodes.get(id);
      if (node === place) place = place.nextElementSibling;
      else this.body.insertBefore(node, place);
    }
    this.onSettled();
  }

  toggleColumn(name, shown) {
    if (shown) this.hidden.delete(name);
    else this.hidden.add(name);
    try {
      localStorage.setItem(HIDDEN, [...this.hidden].join(" "));
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
    this.showColumns();
  }

  showColumns(rows = [this.head[0].parentElement, ...this.nodes.values()]) {
    for (const row of rows) COLUMNS.forEach((column, index) => (row.children[index].hidden = this.hidden.has(column.name)));
  }

  // The shown rows, in the order they stand in.
  inOrder() {
    return (this.order ?? []).map((id) => this.rows.get(id));
  }
}

function headCell(column) {
  const sorted = column.name === "used" ? "descending" : null;
  return make("th", { scope: "col", class: column.number ? "number" : null, "data-column": column.name, "aria-sort": sorted }, word(`column.${column.name}`));
}

const LABELLED = new Set(["left", "full", "resets", "refused"]);

function cell(column, row) {
  const attributes = { class: column.number ? "number" : null, "data-column": column.name, "data-label": LABELLED.has(column.name) ? word(`label.${column.name}`) : null };
  const node = make(column.name === "tenant" ? "th" : "td", column.name === "tenant" ? { ...attributes, scope: "row" } : attributes);
  column.make?.(node, row);
  return node;
}

function load() {
  try {
    return (localStorage.getItem(HIDDEN) ?? "peak").split(" ").filter(Boolean);
  } catch {
    return ["peak"];
  }
}
