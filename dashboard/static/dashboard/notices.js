// Alerts outside the page: a desktop notification and a short sound, for those who switched them on in this browser.
// Of several tabs one shows an alert: the first that gets hold of the alert's lock, and it keeps it while the alert lasts.
import { at, say } from "./element.js";
import { usedText, word } from "./words.js";

const TONES = [880, 660];
const TONE_S = 0.16;
const VOLUME = 0.2;

export class Notices {
  constructor() {
    this.place = at("notices");
    this.known = null;
    this.held = new Map();
    this.audio = null;
    if (!this.place) return;
    this.kept = `notices.${this.place.dataset.person}`;
    this.wanted = this.read();
    this.boxes = { on: at("notices-on"), sound: at("notices-sound") };
    for (const [name, box] of Object.entries(this.boxes)) box.addEventListener("change", () => this.choose(name, box.checked));
    at("notices-test").addEventListener("click", () => this.test());
    // A browser plays no sound before the first click on the page.
    addEventListener("pointerdown", () => this.wanted.sound && this.unlock(), { once: true });
    this.show();
  }

  // While it is hidden, a page that shows no notices needs no frames.
  get active() {
    return Boolean(this.place) && (this.shows || this.wanted.sound);
  }

  get shows() {
    return this.wanted.on && "Notification" in window && Notification.permission === "granted";
  }

  read() {
    try {
      return { on: false, sound: false, ...JSON.parse(localStorage.getItem(this.kept)) };
    } catch {
      return { on: false, sound: false }; // Storage may be forbidden; the choice then lasts as long as the page.
    }
  }

  async choose(name, checked) {
    if (name === "on" && checked && "Notification" in window && Notification.permission === "default") await Notification.requestPermission();
    if (name === "sound" && checked) this.unlock();
    this.wanted = { ...this.wanted, [name]: checked };
    try {
      localStorage.setItem(this.kept, JSON.stringify(this.wanted));
    } catch {
      // As above.
    }
    this.show();
  }

  show(text = "") {
    this.boxes.on.checked = this.shows;
    this.boxes.sound.checked = this.wanted.sound;
    say(at("notices-said"), this.wanted.on && !this.shows ? whyNot() : text);
  }

  // Alerts that lasted when the page was opened are on the page; each that starts later is shown once.
  take(alerts) {
    if (!this.place || !alerts) return;
    const now = new Set(alerts.flatMap((alert) => alert.ids));
    const started = this.known ? alerts.filter((alert) => !this.known.has(alert.id)) : [];
    this.known = now;
    for (const [id, release] of this.held) {
      if (now.has(id)) continue;
      release();
      this.held.delete(id);
    }
    for (const alert of started) if (this.active && concerns(alert)) this.claim(alert);
  }

  claim(alert) {
    if (!navigator.locks) return this.notifyOf(alert);
    return navigator.locks.request(`notices.${alert.id}`, { ifAvailable: true }, (lock) => {
      if (!lock) return null;
      this.notifyOf(alert);
      return new Promise((release) => {
        this.held.set(alert.id, release);
      });
    });
  }

  notifyOf(alert) {
    const body = usedText(alert);
    const title = word("alert", { tenant: alert.tenant_name, action: alert.action, limit: alert.limit, threshold: alert.threshold });
    this.notify(title, { body, tag: `quota-alert-${alert.id}` }, alert.incident ? `/dashboard/incidents/${alert.incident}/` : `/dashboard/tenants/${encodeURIComponent(alert.tenant)}/`);
    if (this.wanted.sound) this.play();
  }

  notify(title, options, url) {
    if (!this.shows) return;
    try {
      const shown = new Notification(title, { ...options, icon: at("icon").dataset.alert, silent: true });
      shown.addEventListener("click", () => {
        window.focus();
        shown.close();
        if (url) location.assign(url);
      });
    } catch {
      this.show(word("notices.unsupported")); // Some telephones show those of installed apps only.
    }
  }

  async test() {
    if (!this.active) return this.show(word("notices.none"));
    this.show(word("notices.sent"));
    this.notify(word("notices.test"), { tag: "quota-alert-test" });
    if (!this.wanted.sound) return null;
    await this.unlock();
    return this.play();
  }

  unlock() {
    this.audio ??= "AudioContext" in window ? new AudioContext() : null;
    return this.audio?.resume();
  }

  // Two short tones, the second lower; faded, since a tone that is cut off clicks.
  play() {
    if (this.audio?.state !== "running") return this.show(word("notices.silent"));
    TONES.forEach((frequency, number) => {
      const start = this.audio.currentTime + number * TONE_S;
      const volume = this.audio.createGain();
      volume.gain.setValueAtTime(VOLUME, start);
      volume.gain.exponentialRampToValueAtTime(0.001, start + TONE_S);
      const tone = this.audio.createOscillator();
      tone.frequency.value = frequency;
      tone.connect(volume).connect(this.audio.destination);
      tone.start(start);
      tone.stop(start + TONE_S);
    });
    return null;
  }
}

function whyNot() {
  return "Notification" in window ? word("notices.blocked") : word("notices.unsupported");
}

function concerns({ state, acknowledged_by, muted_until_ms }) {
  return state !== "shadow" && !acknowledged_by && !muted_until_ms;
}
