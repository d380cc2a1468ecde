// The lists that grow at the top: refusals as they happen, and what changed.
import { incidentUrl } from "./columns.js";
import { make, mark, say } from "./element.js";
import { clock, lineKey, minute } from "./format.js";
import { inWords, limitName, word } from "./words.js";

const KEPT = 60;

export class Log {
  constructor(place, line) {
    this.place = place;
    this.line = line;
    this.known = new Map();
  }

  // Entries come newest first; those that are known and count more calls now say so where they stand.
  add(entries) {
    const first = !this.known.size;
    const fresh = entries.filter((entry) => !this.recount(entry)).map((entry) => this.made(entry));
    if (!fresh.length) return;
    if (first) this.place.replaceChildren();
    const atTop = this.place.scrollTop < 4;
    const height = this.place.scrollHeight;
    this.place.prepend(...fresh);
    while (this.place.children.length > KEPT) this.place.lastChild.remove();
    if (this.known.size > 10 * KEPT) this.known = new Map([...this.known].slice(-5 * KEPT));
    // A reader who scrolled down keeps the lines where they are.
    if (!atTop) this.place.scrollTop += this.place.scrollHeight - height;
  }

  recount(entry) {
    const node = this.known.get(lineKey(entry));
    if (node && entry.count) {
      say(node.querySelector(".count"), countOf(entry));
      linkIncident(node, entry);
    }
    return Boolean(node);
  }

  made(entry) {
    const node = this.line(entry);
    this.known.set(lineKey(entry), node);
    return node;
  }
}

function countOf(entry) {
  const calls = word("feed.many", { count: entry.count });
  return entry.shadow ? word("feed.shadow", { calls }) : calls;
}

function time(ms, read) {
  return make("time", { datetime: new Date(ms).toISOString() }, read(ms));
}

export function refusalLine(entry) {
  const who = [entry.tenant_name ?? entry.tenant, entry.action].filter(Boolean).join(" · ");
  const limit = entry.cut ? word("feed.cut", entry) : limitName(entry.limit);
  const address = document.body.dataset.refusals;
  const href = entry.decision_id ? `${address}?decision=${encodeURIComponent(entry.decision_id)}` : `${address}?tenant=${encodeURIComponent(entry.tenant)}`;
  const about = make("a", { class: "whole", href }, who, make("span", { class: "muted" }, ` · ${limit}`));
  const incident = make("a", { class: "incident", hidden: "" }, word("alert.incident"));
  const line = make("div", { class: "entry" }, time(entry.at_ms, clock), make("span", {}, about, " ", incident), make("span", { class: "count" }, countOf(entry)));
  mark(line, "state", entry.shadow ? "shadow" : "stop");
  linkIncident(line, entry);
  return line;
}

function linkIncident(line, { incident }) {
  const link = line.querySelector(".incident");
  link.hidden = !incident;
  link.href = incidentUrl(incident);
}

export function changeLine(entry) {
  return make("div", { class: "entry" }, time(entry.at_ms, minute), make("span", {}, changeText(entry)));
}

// What changed, who did it and why.
export function changeText({ by, why, ...said }) {
  const change = inWords(said);
  const done = by ? word("change.by", { change, by }) : change;
  return why ? word("change.why", { change: done, why }) : done;
}
