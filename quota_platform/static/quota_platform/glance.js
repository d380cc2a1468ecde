// Puts the dashboard's live sentence and figures on the admin's first page, every few seconds while it is looked at.

const EVERY_MS = 5_000;
// When nobody watched before, a pace is known from the second look on.
let next = 1_500;
const glance = document.getElementById("glance");
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

function show({ summary }) {
  glance.dataset.state = summary.state;
  document.getElementById("glance-title").textContent = summary.sentence;
  document.getElementById("glance-detail").textContent = "Right now.";
  document.getElementById("glance-figures").hidden = false;
  for (const node of glance.querySelectorAll("[data-figure]")) {
    const value = summary[node.dataset.figure];
    node.textContent = Number.isFinite(value) ? WHOLE.format(value) + (node.dataset.unit ?? "") : "—";
  }
}

async function look() {
  if (!document.hidden) {
    const answer = await fetch(glance.dataset.poll).catch(() => null);
    // Whoever may not see the live numbers keeps what the server wrote.
    if (answer?.ok) show(await answer.json());
    else if (answer && answer.status < 500) return;
  }
  setTimeout(look, next);
  next = EVERY_MS;
}

look();
