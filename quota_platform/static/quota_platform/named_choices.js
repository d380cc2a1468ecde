// Gives choices that are made by typing (select2) the name that their label says: select2 names them by the choice.
// In a block, since the frame's scripts are no modules and share one scope.

{
  function nameAll() {
    for (const select of document.querySelectorAll("select.admin-autocomplete")) {
      const said = select.labels[0]?.textContent.trim();
      const box = select.nextElementSibling?.querySelector(".select2-selection");
      if (!said || !box) continue;
      for (const node of [box, box.querySelector("[role=textbox]")]) {
        node?.removeAttribute("aria-labelledby");
        node?.setAttribute("aria-label", said);
      }
    }
  }

  // They are made when Django's script comes to it, and again with each line that is added to a form.
  new MutationObserver(nameAll).observe(document.documentElement, { childList: true, subtree: true });
}
