// The overview page: one sentence, the key figures, every limit by how full it is, refusals and changes.
import { at, make, mark, say } from "./element.js";
import { asked, onShown, show } from "./address.js";
import { Alerts } from "./alerts.js";
import { COLUMNS } from "./columns.js";
import { download } from "./csv.js";
import { Kpis } from "./kpis.js";
import { LimitsTable } from "./limits_table.js";
import { changeLine, Log, refusalLine } from "./log.js";
import { sentenceOf } from "./sentence.js";
import { Shell } from "./shell.js";
import { ORDER, setChip, sign } from "./signs.js";
import { inWords, limitName, word } from "./words.js";

const kpis = new Kpis(at("kpis"));
const feed = new Log(at("feed"), refusalLine);
const changes = new Log(at("changes"), changeLine);
const search = at("search");
let table = null;

function theTable() {
  table ??= new LimitsTable(at("table"), {
    onMoved: (count) => {
      at("moved").hidden = count === 0;
      say(at("moved-text"), word("rows.moved", { count }));
    },
    onSettled: () => {
      at("moved").hidden = true;
    },
  });
  return table;
}

function chosen() {
  const state = asked("state");
  return ORDER.includes(state) ? state : "all";
}

function wanted(row) {
  if (chosen() !== "all" && row.state !== chosen()) return false;
  const words = asked("q").trim().toLowerCase();
  const text = `${row.tenant} ${row.tenant_name ?? ""} ${row.action ?? ""} ${row.limit} ${limitName(row.limit)}`.toLowerCase();
  return words.split(/\s+/).every((part) => text.includes(part));
}

const filterButtons = new Map(
  ["all", ...ORDER].map((state) => {
    const button = make("button", { type: "button", "aria-pressed": String(state === "all"), "data-filter": state }, make("span", {}, word(`state.${state}`)), make("b"));
    button.addEventListener("click", () => show({ state: state === "all" ? "" : state }));
    return [state, button];
  }),
);
at("filters").append(...filterButtons.values());

function showCounts() {
  const rows = [...theTable().rows.values()];
  for (const [state, button] of filterButtons) {
    say(button.lastChild, state === "all" ? rows.length : rows.filter((row) => row.state === state).length);
  }
}

function showEmpty() {
  const rows = theTable().rows.size;
  const place = at("empty");
  const shown = theTable().inOrder().length;
  place.hidden = shown > 0;
  at("table").hidden = shown === 0;
  if (shown > 0) return;
  const kind = rows ? "filtered" : "none";
  if (place.dataset.kind === kind) return;
  place.dataset.kind = kind;
  place.replaceChildren(...(rows ? nothingFound() : nothingYet()));
}

function nothingFound() {
  return [make("p", { class: "muted" }, word("empty.filtered"))];
}

function nothingYet() {
  const template = at("no-tenant");
  if (template) return [template.content.cloneNode(true)];
  const line = `curl -X POST ${location.origin}/invoke/<action> -H 'Authorization: Bearer <API key>'`;
  const copy = make("button", { type: "button" }, word("copy"));
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(line);
    say(copy, word("copied"));
  });
  return [make("h3", {}, word("empty.title")), make("p", { class: "muted" }, word("empty.text")), make("code", {}, line), copy];
}

function showSentence(summary) {
  const place = at("sentence");
  const [main, detail] = sentenceOf(summary.sentence);
  const said = `${summary.state} ${main} ${detail}`;
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  mark(place, "state", summary.state);
  place.replaceChildren(sign(summary.state), make("span", {}, `${main} `, make("span", { class: "detail" }, detail)));
}

function showConnections(connections) {
  const place = at("connections");
  const nodes = new Map([...place.children].map((node) => [node.dataset.name, node]));
  const lines = connections.map((connection) => {
    const node = nodes.get(connection.name) ?? make("li", { "data-name": connection.name }, make("span"), make("span"));
    const texts = [connection.reason, connection.pace].filter(Boolean).map(inWords);
    say(node.firstChild, [connection.name, ...texts].join(" · "));
    setChip(node.lastChild, connection.state, word(connection.word ?? `connection.${connection.state}`));
    return node;
  });
  if (lines.length) place.replaceChildren(...lines);
}

// Of very many tenants the page shows some: the search here is only in those, and the list of tenants has all.
function showSome(of) {
  at("some").hidden = !of;
  if (of) say(at("some-text"), inWords(of));
}

function showWorkers(workers) {
  if (!workers) return;
  const agree = new Set(workers.seqs).size <= 1;
  say(at("workers"), word(agree ? "workers.agree" : "workers.differ", { count: workers.seen }));
}

const alerts = new Alerts({ onChange: (open) => shell.alert(refusing(), open) });
let state = "";

// Limits that refuse; the tab says so too where the refusing limit has no row, since it is counted per key.
function refusing() {
  const rows = [...theTable().rows.values()].filter((row) => row.state === "stop");
  return Math.max(rows.length, Number(state === "stop"));
}

const shell = new Shell({
  render(frame) {
    const { summary } = frame;
    state = summary.state;
    kpis.fill(frame.series);
    kpis.update(frame.figures);
    showSentence(summary);
    theTable().update(frame.rows);
    showCounts();
    showEmpty();
    feed.add(frame.feed ?? []);
    changes.add(frame.changes ?? []);
    if (frame.connections) showConnections(frame.connections);
    showWorkers(summary.workers);
    showSome(summary.of);
    shell.degrade(summary.degraded);
    alerts.update(frame.alerts ?? alerts.now);
    shell.announce(sentenceOf(summary.sentence).join(" ").trim());
  },
});

at("columns-body").append(
  ...COLUMNS.filter((column) => !["tenant", "limit", "used", "state"].includes(column.name)).map((column) => {
    const box = make("input", { type: "checkbox" });
    box.checked = !theTable().hidden.has(column.name);
    box.addEventListener("change", () => theTable().toggleColumn(column.name, box.checked));
    return make("label", {}, box, word(`column.${column.name}`));
  }),
);
search.addEventListener("input", () => show({ q: search.value }, { quietly: true }));
at("some-all").addEventListener("click", () => {
  at("some-all").search = search.value ? new URLSearchParams({ q: search.value }).toString() : "";
});

// Search, state and order are those of the address.
function showAsked() {
  if (search.value !== asked("q")) search.value = asked("q");
  for (const [name, button] of filterButtons) button.setAttribute("aria-pressed", String(name === chosen()));
  theTable().filter(wanted);
  if (theTable().rows.size) showEmpty();
}

onShown(showAsked);
showAsked();
at("resort").addEventListener("click", () => theTable().settle());
at("csv").addEventListener("click", () => download(theTable().inOrder()));
shell.start();
