// The page of a shared limit: each tenant's part of it, and the sums of all. The server sorts and cuts into pages.
import { at, make, mark, say } from "./element.js";
import { tenantUrl } from "./columns.js";
import { known, NOTHING, whole } from "./format.js";
import { sentenceOf } from "./sentence.js";
import { Shell } from "./shell.js";
import { sign } from "./signs.js";
import { word } from "./words.js";

const NUMBERS = ["weight", "floor", "ceiling", "used", "share", "owed", "lent", "borrowed", "refused_15m"];
const nodes = new Map();
// On a telephone, where the table has no head, each number has its own.
const titles = [...document.querySelectorAll("th.number")].map((head) => head.textContent);

function showSentence({ state, sentence }) {
  const place = at("sentence");
  const [main] = sentenceOf(sentence);
  const said = `${state} ${main}`;
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  mark(place, "state", state);
  place.replaceChildren(sign(state), make("span", {}, `${document.body.dataset.limit} `, make("span", { class: "detail" }, main)));
}

function line(row) {
  const who = make("th", { scope: "row" }, make("a", { class: "who", href: tenantUrl(row.tenant) }));
  const numbers = NUMBERS.map((name, index) => make("td", { class: "number", "data-label": titles[index] }));
  return make("tr", {}, who, make("td"), ...numbers);
}

function update(node, row) {
  const [who, rank, ...numbers] = node.children;
  say(who.firstChild, row.tenant_name);
  say(rank, word(`class.${row.class}`));
  NUMBERS.forEach((name, index) => say(numbers[index], known(row[name]) ? whole(row[name]) : NOTHING));
}

// A row that stands where it stood is not moved: a reader who selects text in it is not disturbed.
function showRows(rows) {
  const body = at("parts");
  const shown = rows.toSorted((a, b) => a.place - b.place);
  shown.forEach((row, index) => {
    if (!nodes.has(row.id)) nodes.set(row.id, line(row));
    const node = nodes.get(row.id);
    update(node, row);
    if (body.children[index] !== node) body.insertBefore(node, body.children[index] ?? null);
  });
  while (body.children.length > shown.length) body.lastChild.remove();
  const ids = new Set(shown.map((row) => row.id));
  for (const id of nodes.keys()) if (!ids.has(id)) nodes.delete(id);
}

function showSums(sums) {
  const free = Math.max(0, sums.effective - sums.used);
  const facts = { all: word("pool.used_of", sums), free: whole(free), owed: whole(sums.owed), borrowed: whole(sums.borrowed) };
  const said = JSON.stringify(facts);
  const place = at("sums");
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  place.replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [make("dt", {}, word(`pool.sum.${name}`)), make("dd", { class: "number" }, value)]));
}

function pageLink(page, code) {
  const query = new URLSearchParams(location.search);
  query.set("page", page);
  return make("a", { class: "button", href: `?${query}` }, word(code));
}

function showPages({ count, page, pages }) {
  const place = at("pages");
  const said = JSON.stringify([count, page, pages]);
  if (place.dataset.said === said) return;
  place.dataset.said = said;
  place.replaceChildren(make("span", { class: "muted" }, word("pool.pages", { count, page, pages })));
  if (page > 1) place.append(pageLink(page - 1, "pool.previous"));
  if (page < pages) place.append(pageLink(page + 1, "pool.next"));
}

const shell = new Shell({
  render(frame) {
    showSentence(frame.summary);
    showRows(frame.rows);
    at("empty").hidden = frame.rows.length > 0;
    if (known(frame.pool.effective)) showSums(frame.pool);
    showPages(frame.pool);
    shell.degrade(frame.summary.degraded);
    shell.announce(sentenceOf(frame.summary.sentence).join(" "));
  },
});

shell.start();
