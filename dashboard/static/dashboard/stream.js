// Brings frames to the page: over a websocket, and by polling the same JSON where websockets do not get through.
import { Frames } from "./frames.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const POLL_MS = 2_000;
const SILENT_MS = 8_000;
const TRIES_BEFORE_POLLING = 2;
const TOLD_EVERY = 4;
const NO_RIGHT = 4403;
const TOO_MANY = 4429;
// Of the frames that these scripts draw; dashboard/messages.py says when it rises.
const VERSION = 4;
const RELOAD_AT_MOST_EVERY_MS = 60_000;
const RELOADED = "dashboard.reloaded_at";

export class Stream {
  constructor({ feedUrl, pollUrl, onFrame, onState, staysAwake = () => false }) {
    Object.assign(this, { feedUrl, pollUrl, onFrame, onState, staysAwake });
    this.paused = false;
    this.failures = 0;
    this.frames = new Frames();
    this.received = 0;
    this.asked = false;
    this.socket = null;
    this.timer = null;
    this.watch = null;
  }

  start() {
    document.addEventListener("visibilitychange", () => (this.asleep() ? this.close() : this.resume()));
    addEventListener("online", () => this.resume());
    this.open();
  }

  // A hidden page gets no frames, unless it is to show alerts outside itself.
  asleep() {
    return document.hidden && !this.staysAwake();
  }

  setPaused(paused) {
    this.paused = paused;
    if (paused) {
      this.close();
      this.onState("paused");
    } else this.resume();
  }

  resume() {
    if (this.paused || this.asleep() || this.socket) return;
    clearTimeout(this.timer);
    this.open();
  }

  close() {
    clearTimeout(this.timer);
    clearTimeout(this.watch);
    const socket = this.socket;
    this.socket = null;
    this.frames.forget();
    if (socket) socket.close();
  }

  open() {
    const socket = new WebSocket(new URL(this.feedUrl, location.href.replace(/^http/, "ws")));
    this.socket = socket;
    this.asked = false;
    // A firewall may leave a websocket hanging for ever; it must not keep the page from polling.
    this.expectWithin(SILENT_MS);
    socket.addEventListener("message", (event) => this.socket === socket && this.receive(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => this.socket === socket && this.lost(event.code));
  }

  expectWithin(ms) {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => {
      const socket = this.socket;
      this.lost(0);
      if (socket) socket.close();
    }, ms);
  }

  receive(frame) {
    if (frame.v !== VERSION) return this.outdated();
    this.expectWithin(SILENT_MS);
    this.tellSeen(frame.seq);
    const whole = this.frames.take(frame);
    if (whole === null) {
      // Something was missed: a whole frame mends it, more on top of a hole would not.
      if (!this.asked) this.socket.send(JSON.stringify({ want: "full" }));
      this.asked = true;
      return;
    }
    this.asked = false;
    this.failures = 0;
    this.onState("live");
    this.onFrame(whole);
  }

  // The server is another release than the page: its own scripts are one reload away, unless a server of this page's
  // release answers that; then the page comes back a little later.
  outdated() {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED)) > RELOAD_AT_MOST_EVERY_MS) {
      sessionStorage.setItem(RELOADED, String(Date.now()));
      location.reload();
      return;
    }
    this.close();
    this.onState("reconnecting");
    this.timer = setTimeout(() => this.resume(), LONGEST_WAIT_MS);
  }

  // Without this the server would take the page for gone, or send more than the line carries.
  tellSeen(seq) {
    this.received += 1;
    if (this.received % TOLD_EVERY === 0) this.socket.send(JSON.stringify({ seen: seq }));
  }

  lost(code) {
    clearTimeout(this.watch);
    this.socket = null;
    this.frames.forget();
    this.failures += 1;
    if (code === NO_RIGHT) {
      this.onState("forbidden");
      return;
    }
    if (code === TOO_MANY) {
      // Polling as well would only go round the limit.
      this.failures = 0;
      this.onState("crowded");
      this.timer = setTimeout(() => this.resume(), LONGEST_WAIT_MS);
      return;
    }
    if (this.failures < TRIES_BEFORE_POLLING) this.onState("reconnecting");
    if (this.failures >= TRIES_BEFORE_POLLING) this.poll();
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.failures - 1));
    this.timer = setTimeout(() => this.resume(), wait * (0.75 + Math.random() / 2));
  }

  async poll() {
    if (this.paused || this.asleep() || this.failures < TRIES_BEFORE_POLLING) return;
    if (this.polling) return;
    this.polling = true;
    const verdict = await this.fetchOnce();
    this.polling = false;
    if (verdict === "forbidden") {
      clearTimeout(this.timer);
      this.onState("forbidden");
      return;
    }
    if (this.failures >= TRIES_BEFORE_POLLING) setTimeout(() => this.poll(), POLL_MS);
  }

  async fetchOnce() {
    try {
      const answer = await fetch(this.pollUrl, { credentials: "same-origin", headers: { accept: "application/json" } });
      if (answer.status === 401 || answer.status === 403) return "forbidden";
      if (!answer.ok) throw new Error(String(answer.status));
      const frame = await answer.json();
      if (frame.v !== VERSION) {
        this.outdated();
        return "late";
      }
      // The websocket may have come back meanwhile; its frames are newer.
      if (this.paused || this.failures < TRIES_BEFORE_POLLING) return "late";
      this.onState("polling");
      this.onFrame(frame);
      return "seen";
    } catch {
      if (!this.paused) this.onState("reconnecting");
      return "lost";
    }
  }
}
