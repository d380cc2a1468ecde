// The table of limits: fullest first or by a column, brought up to date in place, and still while somebody reads it.
import { LANGUAGE, make, mark } from "./element.js";
import { asked, onShown, show } from "./address.js";
import { COLUMNS, share } from "./columns.js";
import { ORDER } from "./signs.js";
import { word } from "./words.js";

const HIDDEN = "hidden-columns";

// The order of a column as the address has it, `-refused` for the largest first; null for an order that there is not.
function orderOf(text) {
  const name = text.replace(/^-/, "");
  const column = COLUMNS.find((each) => each.name === name && each.value);
  return column ? { column, down: text.startsWith("-") } : null;
}

// Rows without a value stand last, whichever way round.
function compared(a, b, { column, down }) {
  const [one, other] = [column.value(a), column.value(b)];
  if (!present(one) || !present(other)) return Number(present(other)) - Number(present(one));
  const order = typeof one === "string" ? one.localeCompare(other, LANGUAGE) : one - other;
  return down ? -order : order;
}

function present(value) {
  return value !== null && value !== undefined && value !== "";
}

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
    this.order = [];
    this.sorted = null;
    this.head = COLUMNS.map((column) => headCell(column, () => this.choose(column)));
    const table = make("table", {}, make("caption", { class: "unseen" }, word("table")), make("thead", {}, make("tr", {}, ...this.head)), this.body);
    this.place.replaceChildren(table);
    this.watchReading();
    this.showColumns();
    onShown(() => this.sortAsShown());
    this.sortAsShown();
  }

  // The first choice of a column sorts it, the second turns it round, the third returns to the fullest first.
  choose(column) {
    const first = column.most ? `-${column.name}` : column.name;
    const turned = column.most ? column.name : `-${column.name}`;
    const now = asked("sort");
    show({ sort: now === first ? turned : now === turned ? "" : first });
  }

  sortAsShown() {
    this.sorted = orderOf(asked("sort"));
    COLUMNS.forEach((column, index) => {
      const shown = this.sorted?.column === column ? (this.sorted.down ? "descending" : "ascending") : !this.sorted && column.name === "used" ? "descending" : null;
      if (shown) this.head[index].setAttribute("aria-sort", shown);
      else this.head[index].removeAttribute("aria-sort");
    });
    this.draw();
    this.settle();
  }

  before(a, b) {
    const order = this.sorted ? compared(a, b, this.sorted) : weight(a) - weight(b);
    return order || (a.id < b.id ? -1 : 1);
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
    this.order = shown.toSorted((a, b) => this.before(a, b)).map((row) => row.id);
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

function headCell(column, onChosen) {
  const label = word(`column.${column.name}`);
  const button = column.value ? make("button", { type: "button", class: "sort" }, label) : make("span", { class: "sort" }, label);
  if (column.value) button.addEventListener("click", onChosen);
  return make("th", { scope: "col", class: column.number ? "number" : null, "data-column": column.name }, button);
}

const LABELLED = new Set(["left", "full", "next_unit", "refused"]);

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
