// Sets the chosen theme before the first paint; loaded in the head, not deferred, so that nothing flashes.
(() => {
  const { dataset } = document.documentElement;
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // Storage may be forbidden; the system's theme is used then.
  }
  if (chosen === "light" || chosen === "dark") dataset.theme = chosen;

  // Paper is light. Charts are drawn in the theme's colours, which the style sheet for paper does not reach.
  let onScreen;
  function draw(theme) {
    if (theme) dataset.theme = theme;
    else delete dataset.theme;
    dispatchEvent(new Event("themechange"));
  }
  addEventListener("beforeprint", () => {
    onScreen = dataset.theme;
    draw("light");
  });
  addEventListener("afterprint", () => draw(onScreen));
})();
