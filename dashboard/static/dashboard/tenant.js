// The tenant page: usage against its limits over time, limits in force, busiest callers, and actions.
import { at, make, mark, say } from "./element.js";
import { Actions } from "./actions.js";
import { Alerts } from "./alerts.js";
import { ChartsView } from "./charts_view.js";
import { LimitsTable } from "./limits_table.js";
import { changeLine, Log, refusalLine } from "./log.js";
import { showConnection, showInForce, showShares, showTops, showValues, whyWithoutLimits } from "./tenant_side.js";
import { sentenceOf } from "./sentence.js";
import { Shell } from "./shell.js";
import { sign } from "./signs.js";

const { tenant, tenantName, poll } = document.body.dataset;
const feed = new Log(at("feed"), refusalLine);
const changes = new Log(at("changes"), changeLine);
const charts = new ChartsView({ tenant, poll });
const table = new LimitsTable(at("table"), { onMoved: () => {}, onSettled: () => {} });
let limits = [];
const noCalls = at("empty").textContent;
new Actions({ tenant, rows: () => table.inOrder(), limits: () => limits });

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
    const why = whyWithoutLimits(frame.summary.sentence);
    say(at("empty"), why || noCalls);
    at("empty").hidden = table.rows.size > 0;
    at("table").hidden = table.rows.size === 0;
    feed.add(frame.feed ?? []);
    changes.add(frame.changes ?? []);
    charts.take(
      frame,
      table.inOrder().filter((row) => frame.charts?.[row.id]),
    );
    limits = frame.limits ?? limits;
    if (frame.limits) showInForce(at("in-force"), frame.limits, why);
    at("shares-card").hidden = !frame.shares?.length;
    if (frame.shares) showShares(at("shares"), frame.shares);
    at("values-card").hidden = !frame.values?.length;
    if (frame.values) showValues(at("values"), frame.values);
    if (frame.connection) showConnection(at("connection"), frame.connection);
    if (frame.tops) showTops(at("tops"), frame.tops);
    shell.degrade(frame.summary.degraded);
    alerts.update(frame.alerts ?? alerts.now);
    shell.announce(sentenceOf(frame.summary.sentence).join(" "));
  },
});

shell.start();
