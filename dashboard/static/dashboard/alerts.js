// The alerts that last: a list above everything, announced once when one starts or ends. Acknowledge hides one for the
// whole team; what others do comes with the next frame.
import { incidentUrl } from "./columns.js";
import { at, make, mark, say } from "./element.js";
import { post } from "./post.js";
import { sign } from "./signs.js";
import { usedText, word } from "./words.js";

const MUTED_MINUTES = 60;

export class Alerts {
  constructor({ onChange }) {
    this.place = at("alerts");
    this.list = make("ul", { class: "plain" });
    this.more = make("button", { type: "button", class: "link" });
    this.sent = new Set();
    this.unfolded = false;
    this.url = document.body.dataset.team ?? "";
    this.now = [];
    this.known = null;
    this.nodes = new Map();
    this.onChange = onChange;
    this.place.append(this.list, make("p", { class: "small" }, this.more));
    this.more.addEventListener("click", () => {
      this.unfolded = !this.unfolded;
      this.show();
      this.list.querySelector("button")?.focus();
    });
  }

  update(alerts) {
    this.announce(alerts);
    this.now = alerts;
    this.show();
  }

  // Who opens the page reads the list; what starts or ends after that is spoken, each once.
  announce(alerts) {
    const now = new Map(alerts.flatMap((alert) => alert.ids.map((id) => [id, alert])));
    if (this.known) {
      const started = alerts.filter((alert) => !this.known.has(alert.id)).map((alert) => word("alert.starts", { alert: textOf(alert) }));
      const over = [...this.known].filter(([id, alert]) => id === alert.id && !now.has(id)).map(([, alert]) => word("alert.ends", { alert: textOf(alert) }));
      const said = [...started, ...over];
      const rest = said.length > 3 ? [word("alert.more", { more: said.length - 3 })] : [];
      if (said.length) say(at("alert-announcer"), [...said.slice(0, 3), ...rest].join(" "));
    }
    this.known = now;
  }

  show() {
    const open = this.now.filter((alert) => !alert.acknowledged_by && !this.sent.has(alert.id));
    const hidden = this.now.length - open.length;
    this.place.hidden = this.now.length === 0;
    const nodes = (this.unfolded ? this.now : open).map((alert) => this.node(alert));
    const same = nodes.length === this.list.children.length && nodes.every((node, place) => this.list.children[place] === node);
    if (!same) this.arrange(nodes);
    this.more.parentNode.hidden = hidden === 0;
    say(this.more, word(this.unfolded ? "alert.fold" : "alert.acknowledged", { count: hidden }));
    this.onChange(open.filter((alert) => !alert.muted_until_ms));
  }

  // The focus stays with the alert it is on; on one that goes it moves to what takes its place.
  arrange(nodes) {
    const focused = document.activeElement;
    const had = this.list.contains(focused);
    this.list.replaceChildren(...nodes);
    for (const [id, node] of this.nodes) if (!nodes.includes(node)) this.nodes.delete(id);
    if (had) (this.list.contains(focused) ? focused : this.list.querySelector("button") ?? at("main")).focus();
  }

  node(alert) {
    const key = `${alert.tenant}|${alert.action}|${alert.limit}`;
    const node = this.nodes.get(key) ?? this.make(key);
    node.alert = alert;
    mark(node, "state", alert.state);
    if (node.dataset.sign !== alert.state) {
      node.dataset.sign = alert.state;
      node.firstChild.replaceChildren(sign(alert.state));
    }
    say(node.children[1].firstChild, textOf(alert));
    say(node.children[1].lastChild, ` ${[usedText(alert), ...teamOf(alert)].join(" · ")}`);
    const { link, acknowledge, mute } = node.parts;
    link.hidden = !alert.incident;
    link.href = incidentUrl(alert.incident);
    acknowledge.hidden = !this.url || Boolean(alert.acknowledged_by);
    acknowledge.setAttribute("aria-label", word("alert.acknowledge_this", { alert: textOf(alert) }));
    mute.hidden = !this.url;
    say(mute, word(alert.muted_until_ms ? "alert.unmute" : "alert.mute"));
    mute.setAttribute("aria-label", word(alert.muted_until_ms ? "alert.unmute_this" : "alert.mute_this", { alert: textOf(alert) }));
    return node;
  }

  make(key) {
    const link = make("a", {}, word("alert.incident"));
    const acknowledge = make("button", { type: "button", class: "quiet" }, word("alert.acknowledge"));
    const mute = make("button", { type: "button", class: "quiet" });
    const node = make("li", { class: "alert" }, make("span"), make("span", {}, make("strong"), make("span", { class: "detail" })), make("span", { class: "tools" }, link, acknowledge, mute));
    node.parts = { link, acknowledge, mute };
    acknowledge.addEventListener("click", () => this.acknowledge(node.alert));
    mute.addEventListener("click", () => {
      const kind = node.alert.muted_until_ms ? "unmuted" : "muted";
      this.ask(node.alert, { kind, minutes: MUTED_MINUTES });
    });
    this.nodes.set(key, node);
    return node;
  }

  // Hidden at once; shown again if it could not be stored.
  async acknowledge(alert) {
    this.sent.add(alert.id);
    this.show();
    if (await this.ask(alert, { kind: "acknowledged" })) return;
    this.sent.delete(alert.id);
    this.show();
  }

  async ask(alert, wish) {
    const answer = await post(this.url, { alert: alert.id, ...wish });
    if (!answer.done) say(at("alert-announcer"), answer.detail);
    return Boolean(answer.done);
  }
}

function teamOf({ acknowledged_by, muted_until_ms, owner }) {
  return [
    ...(acknowledged_by ? [word("alert.acknowledged_by", { person: acknowledged_by })] : []),
    ...(owner ? [word("alert.owner", { person: owner })] : []),
    ...(muted_until_ms ? [word("alert.muted_until", { at: muted_until_ms })] : []),
  ];
}

function textOf({ tenant_name, action, limit, threshold }) {
  return word("alert", { tenant: tenant_name, action, limit, threshold });
}
