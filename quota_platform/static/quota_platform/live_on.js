// After a save: asks on how many workers the edit is live until it is on all of them.
const EVERY_MS = 700;
const MAX_TIMES = 40;

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

async function ask(node, times = 0) {
  const { rollout, change, part, all, done } = node.dataset;
  const answer = await fetch(`${rollout}?change=${change}`, { credentials: "same-origin" }).catch(() => null);
  const found = answer?.ok ? await answer.json().catch(() => null) : null;
  if (found?.workers) {
    const whole = found.live === found.workers;
    const seconds = found.seconds === null ? "" : found.seconds.toLocaleString(document.documentElement.lang || undefined);
    const text = filled(whole ? (seconds ? all : done) : part, { ...found, seconds });
    if (node.textContent !== text) node.textContent = text;
    if (whole) return;
  }
  if (times < MAX_TIMES) setTimeout(() => ask(node, times + 1), EVERY_MS);
}

for (const node of document.querySelectorAll("[data-rollout]")) ask(node);
