// What a page shows stands in its address: a copied link and the back button bring it back.
const heard = [];

export function asked(name) {
  return new URLSearchParams(location.search).get(name) ?? "";
}

// Changes some parameters; an empty value leaves its parameter out. `quietly`: without a step of its own for going back.
export function show(changes, { quietly = false } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  const url = text ? `?${text}` : location.pathname;
  if (text === new URLSearchParams(location.search).toString()) return;
  history[quietly ? "replaceState" : "pushState"](null, "", url);
  notify();
}

// Calls `listener` after every change of the address, also when the reader goes back or forward.
export function onShown(listener) {
  heard.push(listener);
}

function notify() {
  for (const listener of heard) listener();
}

addEventListener("popstate", notify);
