// The tenant page's side: limits in force, the connection's health, top keys and actions.
import { make } from "./element.js";
import { factor, known, NOTHING, whole, windowText } from "./format.js";
import { chip } from "./signs.js";

// The lists are short and change rarely: they are made anew, but only when they say something new.
function showOnce(place, said, nodes) {
  const text = JSON.stringify(said);
  if (place.dataset.said === text) return;
  place.dataset.said = text;
  place.replaceChildren(...nodes());
}

function limitText(limit) {
  const time = windowText(limit.window_seconds);
  return `${limit.name} ${whole(limit.quota)}${time ? ` / ${time}` : " at once"}`;
}

function limitLine(limit) {
  const effective = limit.effective < limit.quota ? `now ${whole(limit.effective)}` : "";
  const name = limit.replaced ? make("s", {}, limitText(limit)) : make("span", {}, limitText(limit));
  const from = `${limit.policy}${known(limit.policy_version) ? `, version ${limit.policy_version}` : ""}`;
  const more = [from, limit.action || null, limit.counted_per ? `counted per ${limit.counted_per}` : null, limit.replaced ? limit.reason : null];
  return make("li", {}, make("span", { class: "line" }, name, make("span", { class: "factor" }, effective), limit.shadow ? chip("shadow") : null), make("span", { class: "small muted" }, more.filter(Boolean).join(" · ")));
}

export function showInForce(place, limits) {
  const nothing = () => [make("li", { class: "muted" }, "No policy applies: every call passes.")];
  showOnce(place, limits, () => (limits.length ? limits.map(limitLine) : nothing()));
}

const WORDS = { ok: "Connected", near: "Slow", stop: "Failing", unknown: "Unknown" };

export function showConnection(place, connection) {
  showOnce(place, connection, () => {
    const facts = [
      ["State", chip(connection.state, WORDS[connection.state])],
      ["Name", connection.name],
      ["Multiplier", known(connection.multiplier) ? `×${factor(connection.multiplier)}` : NOTHING],
      ["p95", known(connection.p95_ms) ? `${whole(connection.p95_ms)} ms over ${whole(connection.samples)} calls` : NOTHING],
      ["Reason", connection.reason],
    ];
    return [make("dl", { class: "facts" }, ...facts.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))];
  });
}

function topList(title, lines) {
  const items = lines.map((line) => make("li", {}, make("span", {}, line.name), make("span", { class: "muted" }, `${whole(line.calls)}${line.share ? `, ${Math.round(100 * line.share)} %` : ""}`)));
  return [make("h3", {}, title), make("ul", { class: "plain" }, ...(items.length ? items : [make("li", { class: "muted" }, "none lately")]))];
}

export function showTops(place, tops) {
  showOnce(place, tops, () => [...topList("Actions, by what their windows hold", tops.actions ?? []), ...topList("API keys, by refused calls", tops.keys ?? [])]);
}
