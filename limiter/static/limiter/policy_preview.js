// Keeps the sentences above a policy's form in step with its fields. The server words them, as for a saved policy.

const panel = document.querySelector("[data-preview]");
const form = panel?.closest("form");
const list = panel?.querySelector("[data-sentences]");
let waiting = 0;
let running = null;

function line(text, className) {
  const item = document.createElement("li");
  item.textContent = text;
  if (className) item.className = className;
  return item;
}

function show({ sentences, advice, shadow }) {
  list.replaceChildren(...sentences.map((text) => line(text)), ...advice.map((text) => line(text, "q-advice")));
  panel.classList.toggle("q-shadow", shadow);
  panel.classList.remove("q-stale");
}

async function ask() {
  running?.abort();
  running = new AbortController();
  try {
    const answer = await fetch(panel.dataset.preview, { method: "POST", body: new FormData(form), signal: running.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
  } catch (error) {
    // The old sentences stay, greyed: they no longer say what the fields do.
    if (error.name !== "AbortError") panel.classList.add("q-stale");
  }
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(ask, 150);
}

if (form && list) {
  for (const event of ["input", "change"]) form.addEventListener(event, soon);
  for (const event of ["formset:added", "formset:removed"]) document.addEventListener(event, soon);
}
