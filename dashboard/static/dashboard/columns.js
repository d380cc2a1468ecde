// The columns of the table of limits: how a cell is made once and brought up to date after.
import { make, mark, say } from "./element.js";
import { known, NOTHING, short, whole } from "./format.js";
import { ORDER, setChip } from "./signs.js";
import { setSpark, spark } from "./spark.js";
import { FORMS, limitName, span, windowText, word } from "./words.js";

// Values of the trend that a row has at most.
const ROUNDS_KEPT = 40;

export function share(row) {
  return row.effective ? row.used / row.effective : 0;
}

export function tenantUrl(tenantId) {
  return document.body.dataset.tenantPage.replace("__tenant__", encodeURIComponent(tenantId));
}

export function incidentUrl(number) {
  return `/dashboard/incidents/${number}/`;
}

export function ruleOf(row) {
  const window = windowText(row.window_seconds);
  const quota = known(row.quota) ? short(row.quota) : "";
  return window ? word("limit.in_window", { quota, window }) : quota;
}

function text(read) {
  return { update: (cell, row) => say(cell, read(row)) };
}

const TENANT = {
  make: (cell, row) => cell.append(make("a", { class: "who", href: tenantUrl(row.tenant) })),
  update: (cell, row) => say(cell.firstChild, row.tenant_name ?? row.tenant),
};

const LIMIT = {
  make: (cell) => cell.append(make("span"), " ", make("span", { class: "rule" })),
  update(cell, row) {
    say(cell.firstChild, limitName(row.limit));
    say(cell.lastChild, ruleOf(row));
  },
};

const USED = {
  make(cell) {
    const bar = make("div", { class: "bar", "aria-hidden": "true" }, make("div", { class: "bar-fill" }), make("div", { class: "bar-cut" }));
    const amount = make("span", { class: "amount" }, make("b"), make("span"), make("span", { class: "factor" }));
    cell.append(make("div", { class: "used" }, bar, amount));
  },
  update(cell, row) {
    const [bar, amount] = cell.firstChild.children;
    setBar(bar, row);
    const [used, limit, cut] = amount.children;
    say(used, whole(row.used));
    say(limit, ` / ${whole(row.effective)}`);
    say(cut, row.effective < row.quota ? ` ${word("limit.cut_in_row", { share: row.effective / row.quota })}` : "");
  },
};

// The number leads to the incident that these refusals belong to, while it lasts. Below it are the calls that a shadow
// limit would have refused.
const REFUSED = {
  make: (cell) => cell.append(make("a", { hidden: "" }), make("span"), make("span", { class: "shadow-calls" })),
  update(cell, row) {
    const [link, plain, shadow] = cell.children;
    const calls = known(row.refused_15m) ? whole(row.refused_15m) : NOTHING;
    link.hidden = !row.incident;
    link.href = incidentUrl(row.incident);
    link.setAttribute("aria-label", word("limit.incident", { calls }));
    say(link, calls);
    say(plain, row.incident ? "" : calls);
    say(shadow, row.shadow_15m ? word("limit.shadow_refused", { calls: row.shadow_15m }) : "");
  },
};

// The whole bar is the base limit (or the effective one, when that is higher): the cut part is hatched.
export function setBar(bar, row) {
  const full = Math.max(row.quota, row.effective, 1);
  const [fill, cut] = bar.children;
  mark(bar, "state", row.state);
  fill.style.width = `${Math.min(100, (100 * row.used) / full)}%`;
  cut.style.width = `${Math.max(0, (100 * (row.quota - row.effective)) / full)}%`;
}

const TREND = {
  make(cell) {
    cell.classList.add("trend-cell");
    cell.append(spark(), make("span", { class: "unseen" }));
  },
  update(cell, row) {
    setSpark(cell.firstChild, row.spark ?? [], ROUNDS_KEPT);
    say(cell.lastChild, row.trend ? word(`trend.${row.trend}`) : "");
  },
};

// `value`: what rows are sorted by, if they are; `most`: the largest stand first when you choose the column.
export const COLUMNS = [
  { name: "tenant", ...TENANT, value: (row) => row.tenant_name ?? row.tenant },
  { name: "action", ...text((row) => FORMS.action(row.action)), value: (row) => row.action },
  { name: "limit", ...LIMIT, value: (row) => limitName(row.limit) },
  { name: "used", ...USED, value: share, number: false, most: true },
  { name: "left", number: true, ...text((row) => short(row.remaining)), value: (row) => row.remaining },
  { name: "full", number: true, ...text((row) => (share(row) >= 1 ? word("span.now") : span(row.full_in_s))), value: (row) => (share(row) >= 1 ? 0 : row.full_in_s) },
  { name: "next_unit", number: true, ...text((row) => span(row.next_unit_s)), value: (row) => row.next_unit_s },
  { name: "peak", number: true, ...text((row) => short(row.peak_1h)), value: (row) => row.peak_1h, most: true },
  { name: "refused", number: true, ...REFUSED, value: (row) => row.refused_15m, most: true },
  { name: "trend", ...TREND },
  { name: "state", make: () => {}, update: (cell, row) => setChip(cell, row.state), value: (row) => ORDER.indexOf(row.state) },
];
