// Puts the dashboard's live sentence and figures on the admin's first page, every few seconds while it is looked at.
import { known, NOTHING } from "../dashboard/format.js";
import { sentenceOf } from "../dashboard/sentence.js";
import { FORMS, word } from "../dashboard/words.js";

const EVERY_MS = 5_000;
const glance = document.getElementById("glance");

// Of the frames that these scripts read, as in the dashboard's stream.js.
const VERSION = 4;

function show({ summary, figures }) {
  glance.dataset.state = summary.state;
  document.getElementById("glance-title").textContent = sentenceOf(summary.sentence).join(" ");
  const isKnown = summary.state !== "unknown";
  document.getElementById("glance-detail").textContent = isKnown ? word("glance.now") : "";
  document.getElementById("glance-figures").hidden = false;
  for (const node of glance.querySelectorAll("[data-figure]")) {
    const { figure, form, unit } = node.dataset;
    const value = figures[figure]?.value;
    node.textContent = known(value) ? `${FORMS[form](value)} ${unit}` : NOTHING;
  }
}

async function look() {
  if (!document.hidden) {
    const answer = await fetch(glance.dataset.poll).catch(() => null);
    // A reader without access to the live numbers keeps the server's.
    const frame = answer?.ok ? await answer.json() : null;
    if (frame?.v === VERSION) show(frame);
    else if (answer && !answer.ok && answer.status < 500) return;
  }
  setTimeout(look, EVERY_MS);
}

look();
