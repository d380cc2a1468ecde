// What every live page has: the connection's state, the data's age, Pause, the theme, the title, announcements.
import { at, mark, say } from "./element.js";
import { clock, withZone } from "./format.js";
import { Notices } from "./notices.js";
import { Stream } from "./stream.js";
import { inWords, word } from "./words.js";
import { offerZones } from "./zone.js";

const KINDS = { live: "live", polling: "live", paused: "paused" };
const ON_A_BANNER = new Set(["forbidden", "crowded"]);
const NEAR_MS = 5_000;
const UNKNOWN_MS = 15_000;
const ANNOUNCE_EVERY_MS = 12_000;

export function wireTheme() {
  at("theme")?.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.theme ?? (dark ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
    dispatchEvent(new Event("themechange"));
  });
  offerZones(at("zone"));
  // A menu closes when the click or Escape is for something else.
  addEventListener("click", (event) => closeMenus((menu) => !menu.contains(event.target)));
  addEventListener("keydown", (event) => event.key === "Escape" && closeMenus(() => true));
}

function closeMenus(wanted) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!wanted(menu)) continue;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  }
}

export class Shell {
  constructor({ render }) {
    this.render = render;
    this.lastData = null;
    this.offset = 0;
    this.title = document.title;
    this.announcedAt = 0;
    this.announced = null;
    this.waiting = null;
  }

  start() {
    wireTheme();
    this.notices = new Notices();
    const { feed, poll } = document.body.dataset;
    const onFrame = (frame) => this.receive(frame);
    this.stream = new Stream({ feedUrl: feed, pollUrl: poll, onFrame, onState: (state) => this.setState(state), staysAwake: () => this.notices.active });
    at("pause").addEventListener("click", () => this.togglePause());
    setInterval(() => this.showAge(), 1_000);
    this.stream.start();
  }

  receive(frame) {
    this.lastData = frame.at_ms;
    // Ages follow the server's clock: a viewer's clock may be minutes off.
    this.offset = frame.at_ms - Date.now();
    // A hidden page paints nothing, and it is the one whose alerts nobody sees.
    this.notices.take(frame.alerts);
    // Of two frames before one paint the newer is drawn: each is whole.
    this.newest = frame;
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = null;
      delete document.body.dataset.numberless; // and the page may say that there is nothing
      this.render(this.newest);
      this.showAge();
    });
  }

  togglePause() {
    const paused = !this.stream.paused;
    at("pause").setAttribute("aria-pressed", paused);
    say(at("pause-word"), word(paused ? "resume" : "pause"));
    this.stream.setPaused(paused);
  }

  setState(state) {
    mark(at("live"), "state", KINDS[state] ?? "reconnecting");
    say(at("live-word"), word(`live.${state}`));
    if (ON_A_BANNER.has(state)) this.showBanner(word(`banner.${state}`));
  }

  showBanner(text) {
    const banner = at("banner");
    mark(banner, "state", "near");
    banner.hidden = false;
    say(banner, text);
  }

  showAge() {
    if (this.lastData === null) return;
    const age = Math.max(0, Date.now() + this.offset - this.lastData);
    const node = at("age");
    const seconds = Math.round(age / 1_000);
    say(node, seconds < 3_600 ? word("age", { seconds }) : word("age.hour"));
    if (age >= UNKNOWN_MS) mark(node, "state", "unknown");
    else if (age >= NEAR_MS) mark(node, "state", "near");
    else delete node.dataset.state;
    const time = at("clock");
    if (!time) return;
    say(time, withZone(clock)(this.lastData));
    time.dateTime = new Date(this.lastData).toISOString();
  }

  // The tab tells it too: the title begins with the count, the icon turns into the octagon or the half disc.
  alert(refusing, alerts = []) {
    const count = alerts.length;
    const words = refusing ? word("title.refusing", { count: refusing }) : count ? word("title.alerts", { count }) : "";
    document.title = words ? `${words} · ${this.title}` : this.title;
    const icon = at("icon");
    const full = refusing || alerts.some((alert) => alert.state === "stop");
    const wanted = full ? icon.dataset.alert : count ? icon.dataset.near : icon.dataset.quiet;
    if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
  }

  // Speaks changes of the sentence, at most one in twelve seconds; the newest one wins.
  announce(text) {
    if (this.announced === null) this.announced = text;
    if (text === this.announced && !this.waiting) return;
    this.next = text;
    if (this.waiting) return;
    const wait = Math.max(0, this.announcedAt + ANNOUNCE_EVERY_MS - Date.now());
    this.waiting = setTimeout(() => this.speak(), wait);
  }

  speak() {
    this.waiting = null;
    if (this.next === this.announced) return;
    this.announced = this.next;
    this.announcedAt = Date.now();
    say(at("announcer"), this.next);
  }

  degrade(said) {
    const banner = at("banner");
    delete banner.dataset.state;
    banner.hidden = !said;
    if (said) say(banner, inWords(said));
  }
}
