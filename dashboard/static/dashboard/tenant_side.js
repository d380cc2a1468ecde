// The tenant page's side: limits in force, the connection's health, top keys and actions.
import { make } from "./element.js";
import { known, NOTHING, whole } from "./format.js";
import { chip } from "./signs.js";
import { inWords, limitName, windowText, word } from "./words.js";

// The lists are short and change rarely: they are made anew, but only when they say something new.
function showOnce(place, said, nodes) {
  const text = JSON.stringify(said);
  if (place.dataset.said === text) return;
  place.dataset.said = text;
  place.replaceChildren(...nodes());
}

function limitText(limit) {
  const { quota } = limit;
  const window = windowText(limit.window_seconds);
  return `${limitName(limit.name)} ${window ? word("limit.in_window", { quota, window }) : word("limit.at_once", { quota })}`;
}

function limitLine(limit) {
  const effective = limit.effective < limit.quota ? word("limit.now", limit) : "";
  const name = limit.replaced ? make("s", {}, limitText(limit)) : make("span", {}, limitText(limit));
  const from = known(limit.policy_version) ? word("limit.version", { policy: limit.policy, version: String(limit.policy_version) }) : limit.policy;
  const more = [from, limit.counted_per && word(`counted.${limit.counted_per}`), limit.counted_by, limit.replaced && inWords(limit.reason)];
  return make("li", {}, make("span", { class: "line" }, name, make("span", { class: "factor" }, effective), limit.shadow ? chip("shadow") : null), make("span", { class: "small muted" }, more.filter(Boolean).join(" · ")));
}

// Of a tenant none of whose calls meets a limit: why, by the code of the page's sentence.
const WITHOUT_LIMITS = { "tenant.suspended": "side.suspended", "tenant.no_actions": "side.no_actions", "tenant.unlimited": "side.nothing" };

export function whyWithoutLimits({ code }) {
  return WITHOUT_LIMITS[code] ? word(WITHOUT_LIMITS[code]) : "";
}

export function showInForce(place, limits, why) {
  showOnce(place, [limits, why], () => (limits.length ? limits.map(limitLine) : [make("li", { class: "muted" }, why || word("side.nothing"))]));
}

function termsText({ class: name, floor, ceiling, counts }) {
  const terms = [counts === "pace" && word("share.calls_a_minute"), word("share.class", { name: word(`class.${name}`) }), floor && word("share.floor", { floor }), ceiling && word("share.ceiling", { ceiling })];
  return terms.filter(Boolean).join(" · ");
}

function shareFacts(share) {
  const facts = [
    [word("share.used"), word("share.used_of", share)],
    [word("share.lent"), share.lent],
    [word("share.borrowed"), share.borrowed],
    [word("share.owed"), share.owed],
    [word("share.owed_to_others"), share.owed_to_others],
    [word("share.all"), word("share.all_of", share)],
    [word("share.waiting"), share.waiting],
  ];
  return make("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", { class: "number" }, typeof value === "number" ? whole(value) : value)]));
}

function poolUrl(limit) {
  return document.body.dataset.poolPage.replace("__limit__", encodeURIComponent(limit));
}

export function showShares(place, shares) {
  showOnce(place, shares, () => shares.flatMap((share) => [make("h3", {}, make("a", { href: poolUrl(share.limit) }, limitName(share.limit))), make("p", { class: "small muted" }, termsText(share)), shareFacts(share)]));
}

function valueLine(of) {
  const used = make("span", { class: "muted" }, word("values.used_of", of));
  return make("li", {}, make("code", {}, of.value), used, of.state === "ok" ? null : chip(of.state));
}

function valueFacts(of) {
  const facts = [
    [word("values.in_use"), make("span", {}, word("values.of", of), of.state === "ok" ? null : " ", of.state === "ok" ? null : chip(of.state, word(`values.${of.state}`)))],
    [word("values.others"), whole(of.others)],
  ];
  return make("dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

// Of the values the page knows digests alone, as events do.
export function showValues(place, limits) {
  showOnce(place, limits, () =>
    limits.flatMap((of) => [
      make("h3", {}, limitName(of.limit)),
      make("p", { class: "small muted" }, [of.counted_by, of.action, of.key && word("values.key", of)].filter(Boolean).join(" · ")),
      valueFacts(of),
      make("ul", { class: "plain values" }, ...of.top.map(valueLine)),
    ]),
  );
}

export function showConnection(place, connection) {
  showOnce(place, connection, () => {
    const facts = [
      [word("side.state"), chip(connection.state, word(connection.word ?? `connection.${connection.state}`))],
      [word("side.name"), connection.name],
      [word("side.cut"), cutText(connection.multiplier)],
      [word("side.p95"), known(connection.p95_ms) ? word("side.p95_of", { p95: connection.p95_ms, samples: connection.samples }) : NOTHING],
      [word("side.pace"), connection.pace && inWords(connection.pace)],
      [word("side.reason"), connection.reason && inWords(connection.reason)],
    ];
    return [make("dl", { class: "facts" }, ...facts.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))];
  });
}

function cutText(multiplier) {
  if (!known(multiplier)) return NOTHING;
  if (multiplier === 1) return word("side.uncut");
  return word(multiplier < 1 ? "limit.cut" : "limit.raised", { share: multiplier });
}

function topList(title, lines) {
  const items = lines.map((line) => make("li", {}, make("span", {}, line.name), make("span", { class: "muted" }, word("side.share", line))));
  return [make("h3", {}, title), make("ul", { class: "plain" }, ...(items.length ? items : [make("li", { class: "muted" }, word("side.none"))]))];
}

export function showTops(place, tops) {
  showOnce(place, tops, () => [...topList(word("side.actions"), tops.actions ?? []), ...topList(word("side.keys"), tops.keys ?? [])]);
}
