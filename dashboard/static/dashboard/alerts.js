// The alerts that last: a list above everything, announced once when one starts or ends, and hidden by Acknowledge.
import { at, make, mark, say } from "./element.js";
import { sign } from "./signs.js";
import { word } from "./words.js";

const KEPT = "acknowledged-alerts";

// What this browser's viewer has acknowledged. Storage may be forbidden; it then lasts as long as the page.
class Acknowledged {
  constructor() {
    try {
      this.ids = new Set(JSON.parse(localStorage.getItem(KEPT) ?? "[]"));
    } catch {
      this.ids = new Set();
    }
  }

  covers(alert) {
    return this.ids.has(alert.id);
  }

  add(alert) {
    for (const id of alert.ids) this.ids.add(id);
    this.save();
  }

  clear(alerts) {
    for (const alert of alerts) for (const id of alert.ids) this.ids.delete(id);
    this.save();
  }

  save() {
    const newest = [...this.ids].slice(-1_000);
    try {
      localStorage.setItem(KEPT, JSON.stringify(newest));
    } catch {
      // As above.
    }
  }
}

export class Alerts {
  constructor({ onChange }) {
    this.place = at("alerts");
    this.list = make("ul", { class: "plain" });
    this.more = make("button", { type: "button", class: "link" });
    this.acknowledged = new Acknowledged();
    this.now = [];
    this.known = null;
    this.nodes = new Map();
    this.onChange = onChange;
    this.place.append(this.list, make("p", { class: "small" }, this.more));
    this.more.addEventListener("click", () => {
      this.acknowledged.clear(this.now);
      this.show();
      this.list.querySelector("button")?.focus();
    });
  }

  update(alerts) {
    this.tell(alerts);
    this.now = alerts;
    this.show();
  }

  // Who opens the page reads the list; what starts or ends after that is spoken, each once.
  tell(alerts) {
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
    const open = this.now.filter((alert) => !this.acknowledged.covers(alert));
    const hidden = this.now.length - open.length;
    this.place.hidden = this.now.length === 0;
    const nodes = open.map((alert) => this.node(alert));
    const same = nodes.length === this.list.children.length && nodes.every((node, place) => this.list.children[place] === node);
    if (!same) this.arrange(nodes);
    this.more.parentNode.hidden = hidden === 0;
    say(this.more, word("alert.acknowledged", { count: hidden }));
    this.onChange(open);
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
    const about = { used: alert.used, effective: alert.effective, full: alert.full_in_s, at: alert.at_ms };
    say(node.children[1].firstChild, textOf(alert));
    say(node.children[1].lastChild, ` ${word(alert.full_in_s > 0 ? "alert.used_full" : "alert.used", about)}`);
    node.lastChild.setAttribute("aria-label", word("alert.acknowledge_this", { alert: textOf(alert) }));
    return node;
  }

  make(key) {
    const button = make("button", { type: "button", class: "quiet" }, word("alert.acknowledge"));
    const node = make("li", { class: "alert" }, make("span"), make("span", {}, make("strong"), make("span", { class: "detail" })), button);
    button.addEventListener("click", () => {
      this.acknowledged.add(node.alert);
      this.show();
    });
    this.nodes.set(key, node);
    return node;
  }
}

function textOf({ tenant_name, action, limit, threshold }) {
  return word("alert", { tenant: tenant_name, action, limit, threshold });
}
