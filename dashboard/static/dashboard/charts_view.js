// The charts of a tenant's page: which time and line, as the address has them; live, or read from the record.
import { at, make, say } from "./element.js";
import { asked, onShown, show } from "./address.js";
import { Chart } from "./chart.js";
import { chartTable, legend, notesList, summary } from "./chart_words.js";
import { TimePicker } from "./time_picker.js";
import { FORMS, word } from "./words.js";

const SECONDS = { "5m": 300, "15m": 900, "1h": 3_600, "24h": 86_400, "7d": 604_800 };
const LIVE = "5m";
const EVERY_MS = 30_000;
const OFTEN_MS = 5_000;
const OFTEN = new Set([LIVE, "15m"]);
const SHORTEST_S = 60;

export class ChartsView {
  constructor({ tenant, poll }) {
    Object.assign(this, { tenant, poll, frame: null, rows: [], lines: { limits: [], calls: [] }, timer: null, number: 0 });
    this.drawn = { times: [], columns: {}, notes: [] };
    this.pick = at("line-pick");
    this.legends = [legend(at("usage-legend"), "usage"), legend(at("latency-legend"), "latency")];
    const options = { notes: () => this.drawn.notes, onCursor: (index) => this.describe(index), onZoom: (from, to) => this.zoom(from, to) };
    this.charts = [new Chart(at("usage"), "usage", options), new Chart(at("latency"), "latency", options)];
    this.picker = new TimePicker((from, to) => show({ from, to, range: "" }));
    for (const button of at("ranges").children) button.addEventListener("click", () => show({ range: button.dataset.range, from: "", to: "" }));
    this.pick.addEventListener("change", () => show({ line: this.pick.value }));
    at("beside").addEventListener("change", () => show({ beside: at("beside").value }));
    at("as-table").addEventListener("click", () => this.toggleTable());
    onShown(() => this.showAsked());
    this.readAddress();
  }

  readAddress() {
    const [from, to] = [asked("from"), asked("to")];
    const range = SECONDS[asked("range")] ? asked("range") : LIVE;
    this.when = from && to ? { range: "", from, to } : { range, from: "", to: "" };
    this.line = asked("line");
    this.beside = asked("beside");
    for (const button of at("ranges").children) button.setAttribute("aria-pressed", String(button.dataset.range === this.when.range));
    at("beside").value = this.beside;
    this.picker.fill(this.when);
  }

  showAsked() {
    this.readAddress();
    this.refresh();
  }

  // A frame came: the last five minutes are drawn from it, without asking.
  take(frame, rows) {
    const first = this.frame === null;
    Object.assign(this, { frame, rows });
    this.showLines();
    if (this.isLive()) this.showLive();
    else if (first || (this.when.range === LIVE && !this.timer)) this.refresh();
  }

  chosen() {
    return this.line || this.lineOf(this.rows[0]);
  }

  lineOf(row) {
    return row ? row.id.slice(this.tenant.length + 1) : "";
  }

  isLive() {
    return this.when.range === LIVE && !this.beside && Boolean(this.liveChart());
  }

  liveChart() {
    return this.frame?.charts?.[`${this.tenant}|${this.chosen()}`];
  }

  showLive() {
    clearTimeout(this.timer);
    this.timer = null;
    const chart = this.liveChart();
    const to = chart.times.at(-1) ?? this.frame.at_ms / 1_000;
    const from = to - SECONDS[LIVE];
    this.show({ ...chart, from, to, notes: (this.frame.notes ?? []).filter((note) => note.at_ms >= from * 1_000) });
  }

  async refresh() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.isLive()) {
      this.showLive();
      return;
    }
    const number = ++this.number;
    const answer = await fetch(`${this.poll}?${this.query()}`, { credentials: "same-origin" }).catch(() => null);
    if (number !== this.number || this.isLive()) return;
    const body = await answer?.json().catch(() => null);
    if (body?.chart) this.takeChart(body.chart);
    else say(at("chart-fault"), body?.detail ?? word("chart.unread"));
    const { range, to } = this.when;
    if (range || Date.parse(to) > Date.now()) this.timer = setTimeout(() => this.refresh(), OFTEN.has(range) ? OFTEN_MS : EVERY_MS);
  }

  query() {
    const parameters = { ...this.when, line: this.chosen(), beside: this.beside };
    return new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  }

  takeChart(chart) {
    this.lines = chart.lines;
    this.showLines(chart.line);
    this.show(chart);
  }

  show(chart) {
    this.drawn = chart;
    say(at("chart-fault"), "");
    for (const each of this.charts) each.setData(chart);
    this.describe(null);
    notesList(at("notes"), chart.notes);
    say(at("chart-summary"), summary(chart, this.when.range));
    if (!at("chart-table").hidden) this.showTable();
  }

  describe(index) {
    const spot = index ?? this.drawn.times.length - 1;
    for (const update of this.legends) update(this.drawn.columns, spot);
  }

  zoom(from, to) {
    const middle = (from + to) / 2;
    const half = Math.max(to - from, SHORTEST_S) / 2;
    show({ from: moment(middle - half), to: moment(middle + half), range: "" });
  }

  // The limits that have a live row, those of the shown time, and calls by action.
  showLines(drawn = this.chosen() || this.drawn?.line || "") {
    const live = this.rows.map((row) => ({ line: this.lineOf(row), action: row.action, limit: row.limit }));
    const known = new Map([...live, ...this.lines.limits].map((each) => [each.line, each]));
    const calls = this.lines.calls.length ? this.lines.calls : [{ line: "calls", action: "" }];
    const said = JSON.stringify([[...known.keys()], calls]);
    if (this.pick.dataset.said !== said) {
      this.pick.dataset.said = said;
      const limits = [...known.values()].map((each) => make("option", { value: each.line }, word("limit.of_action", each)));
      const actions = calls.map(({ line, action }) => make("option", { value: line }, FORMS.action(action)));
      this.pick.replaceChildren(make("optgroup", { label: word("chart.limits") }, ...limits), make("optgroup", { label: word("chart.calls") }, ...actions));
    }
    if (document.activeElement !== this.pick || this.pick.value === "") this.pick.value = drawn;
  }

  toggleTable() {
    const place = at("chart-table");
    place.hidden = !place.hidden;
    at("as-table").setAttribute("aria-expanded", !place.hidden);
    say(at("as-table"), word(place.hidden ? "chart.show" : "chart.hide"));
    if (!place.hidden) this.showTable();
  }

  showTable() {
    const place = at("chart-table");
    const scrolled = place.scrollTop;
    place.replaceChildren(chartTable(this.drawn.times, this.drawn.columns));
    place.scrollTop = scrolled;
  }
}

function moment(seconds) {
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}Z`;
}
