// The columns of the table of limits: how a cell is made once and brought up to date after.
import { make, mark, say } from "./element.js";
import { factor, known, NOTHING, short, span, whole, windowText } from "./format.js";
import { setChip, WORDS } from "./signs.js";
import { setSpark, spark } from "./spark.js";

export function share(row) {
  return row.effective ? row.used / row.effective : 0;
}

export function tenantUrl(tenantId) {
  return document.body.dataset.tenantPage.replace("__tenant__", encodeURIComponent(tenantId));
}

export function ruleOf(row) {
  const time = windowText(row.window_seconds);
  const amount = known(row.quota) ? short(row.quota) : "";
  return time ? `${amount} / ${time}` : amount;
}

function text(read) {
  return { update: (cell, row) => say(cell, read(row)) };
}

const TENANT = {
  make: (cell, row) => cell.append(make("a", { class: "who", href: tenantUrl(row.tenant) })),
  update: (cell, row) => say(cell.firstChild, row.tenant_name ?? row.tenant),
};

const LIMIT = {
  make: (cell) => cell.append(make("span"), make("span", { class: "rule" })),
  update(cell, row) {
    say(cell.firstChild, row.limit);
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
    say(cut, row.effective < row.quota ? ` ×${factor(row.effective / row.quota)}` : "");
  },
};

// The whole bar is the base limit (or the effective one, when that is higher): what is cut off is hatched.
export function setBar(bar, row) {
  const whole_ = Math.max(row.quota, row.effective, 1);
  const [fill, cut] = bar.children;
  mark(bar, "state", row.state);
  fill.style.width = `${Math.min(100, (100 * row.used) / whole_)}%`;
  cut.style.width = `${Math.max(0, (100 * (row.quota - row.effective)) / whole_)}%`;
}

const TREND = {
  make(cell) {
    cell.classList.add("trend-cell");
    cell.append(spark(), make("span", { class: "unseen" }));
  },
  update(cell, row) {
    setSpark(cell.firstChild, row.spark ?? []);
    say(cell.lastChild, row.trend ?? "");
  },
};

export const COLUMNS = [
  { name: "tenant", title: "Tenant", ...TENANT, sort: (row) => row.tenant },
  { name: "action", title: "Action", ...text((row) => row.action || "all actions") },
  { name: "limit", title: "Limit", ...LIMIT },
  { name: "used", title: "Used / effective", ...USED },
  { name: "left", title: "Left", number: true, ...text((row) => short(row.remaining)) },
  { name: "full", title: "Full in", number: true, ...text((row) => (share(row) >= 1 ? "now" : span(row.full_in_s))) },
  { name: "resets", title: "Resets in", number: true, ...text((row) => span(row.reset_s)) },
  { name: "peak", title: "Peak 1 h", number: true, ...text((row) => short(row.peak_1h)) },
  { name: "refused", title: "Refused 15 min", number: true, ...text((row) => (known(row.refused_15m) ? whole(row.refused_15m) : NOTHING)) },
  { name: "trend", title: "Trend", ...TREND },
  { name: "state", title: "State", make: () => {}, update: (cell, row) => setChip(cell, row.state, WORDS[row.state]) },
];
