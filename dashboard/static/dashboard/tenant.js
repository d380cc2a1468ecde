// The tenant page: usage against its limits over time, limits in force, busiest callers, and actions.
import { at, make, mark, say } from "./element.js";
import { Actions } from "./actions.js";
import { Alerts } from "./alerts.js";
import { Chart } from "./chart.js";
import { chartTable, legend, notesList, summary } from "./chart_words.js";
import { LimitsTable } from "./limits_table.js";
import { changeLine, Log, refusalLine } from "./log.js";
import { showConnection, showInForce, showTops } from "./tenant_side.js";
import { sentenceOf } from "./sentence.js";
import { Shell } from "./shell.js";
import { sign } from "./signs.js";
import { word } from "./words.js";

const SECONDS = { "5m": 300, "15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800 };
const OF_LIMITS = new Set(["5m", "15m"]);
const EVERY_MS = 30_000;
const OFTEN_MS = 5_000;
const { tenant, tenantName, poll } = document.body.dataset;
const feed = new Log(at("feed"), refusalLine);
const changes = new Log(at("changes"), changeLine);
const charted = { frame: null, timer: null };
const shown = { range: "5m", limit: "", times: [], columns: {}, notes: [] };
const pick = at("limit-pick");
const legends = [legend(at("usage-legend"), "usage"), legend(at("latency-legend"), "latency")];

function describe(index) {
  const last = shown.times.length - 1;
  const spot = index ?? last;
  for (const update of legends) update(shown.columns, spot);
}

const options = { notes: () => shown.notes, onCursor: describe };
const charts = [new Chart(at("usage"), "usage", options), new Chart(at("latency"), "latency", options)];
const table = new LimitsTable(at("table"), { onMoved: () => {}, onSettled: () => {} });
new Actions({ tenant, rows: () => table.inOrder(), limits: () => charted.frame?.limits ?? [] });

function showChart(chart) {
  Object.assign(shown, { times: chart.times, columns: chart.columns, notes: chart.notes });
  for (const each of charts) each.setData(chart.times, chart.columns, SECONDS[shown.range]);
  describe(null);
  notesList(at("notes"), chart.notes);
  say(at("chart-summary"), summary(chart.columns, shown.range));
  if (!at("chart-table").hidden) showTable();
}

function showTable() {
  const place = at("chart-table");
  const scrolled = place.scrollTop;
  place.replaceChildren(chartTable(shown.times, shown.columns));
  place.scrollTop = scrolled;
}

function showPick(rows) {
  const ids = rows.map((row) => row.id).join();
  if (pick.dataset.ids === ids) return;
  pick.dataset.ids = ids;
  const before = pick.value;
  pick.replaceChildren(...rows.map((row) => make("option", { value: row.id }, word("limit.of_action", row))));
  if (rows.some((row) => row.id === before)) pick.value = before;
}

// The last minutes come with every frame, one line for each limit.
function showNow() {
  const frame = charted.frame;
  const rows = table.inOrder().filter((row) => frame?.charts?.[row.id]);
  showPick(rows);
  if (!rows.length) return;
  const chart = frame.charts[pick.value];
  const from = (chart.times[0] ?? 0) * 1_000;
  showChart({ ...chart, notes: (frame.notes ?? []).filter((note) => note.at_ms >= from) });
}

// A quarter of an hour comes with each limit; longer ranges from stored usage: calls, not one limit's window.
async function showStored() {
  clearTimeout(charted.timer);
  const range = shown.range;
  if (range === "5m") return;
  const answer = await fetch(`${poll}?range=${range}`, { credentials: "same-origin" }).catch(() => null);
  if (answer?.ok && shown.range === range) {
    const { chart } = await answer.json();
    if (chart) showChart({ ...chart, columns: chart.limits?.[pick.value] ?? { ...chart.columns, used: chart.columns.allowed } });
  }
  charted.timer = setTimeout(showStored, range === "15m" ? OFTEN_MS : EVERY_MS);
}

for (const button of at("ranges").children) {
  button.addEventListener("click", () => {
    shown.range = button.dataset.range;
    for (const other of at("ranges").children) other.setAttribute("aria-pressed", String(other === button));
    pick.disabled = !OF_LIMITS.has(shown.range);
    if (shown.range === "5m") showNow();
    showStored();
  });
}
pick.addEventListener("change", () => (shown.range === "5m" ? showNow() : showStored()));

function showSentence(frame) {
  const place = at("sentence");
  const { state, sentence } = frame.summary;
  const [main, detail] = sentenceOf(sentence);
  const said = `${state} ${main} ${detail}`;
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  mark(place, "state", state);
  const rest = detail ? `${main} · ${detail}` : main;
  place.replaceChildren(sign(state), make("span", {}, `${tenantName} `, make("span", { class: "detail" }, rest)));
}

const alerts = new Alerts({ onChange: (open) => shell.alert(refusing(), open) });
let state = "";

// As on the overview.
function refusing() {
  return Math.max([...table.rows.values()].filter((row) => row.state === "stop").length, Number(state === "stop"));
}

const shell = new Shell({
  render(frame) {
    state = frame.summary.state;
    showSentence(frame);
    table.update(frame.rows);
    at("empty").hidden = table.rows.size > 0;
    at("table").hidden = table.rows.size === 0;
    feed.add(frame.feed ?? []);
    changes.add(frame.changes ?? []);
    charted.frame = frame;
    if (shown.range === "5m") showNow();
    if (frame.limits) showInForce(at("in-force"), frame.limits);
    if (frame.connection) showConnection(at("connection"), frame.connection);
    if (frame.tops) showTops(at("tops"), frame.tops);
    shell.degrade(frame.summary.degraded);
    alerts.update(frame.alerts ?? alerts.now);
    shell.announce(sentenceOf(frame.summary.sentence).join(" "));
  },
});

at("as-table").addEventListener("click", () => {
  const place = at("chart-table");
  place.hidden = !place.hidden;
  at("as-table").setAttribute("aria-expanded", !place.hidden);
  say(at("as-table"), word(place.hidden ? "chart.show" : "chart.hide"));
  if (!place.hidden) showTable();
});
shell.start();
