// Gives parts that Select2, SimpleBar and Django's own scripts make the names and roles that these leave out.
// In a block, since the frame's scripts are no modules and share one scope.

{
  // Select2 names a box by its choice; the box has the name that its label says.
  function nameChoices() {
    for (const select of document.querySelectorAll("select.admin-autocomplete")) {
      const said = select.labels[0]?.textContent.trim();
      const box = select.nextElementSibling?.querySelector(".select2-selection");
      if (!said || !box) continue;
      for (const node of [box, ...box.querySelectorAll("[role=textbox], [role=searchbox]")]) {
        node.removeAttribute("aria-labelledby");
        node.setAttribute("aria-label", said);
      }
      // Its list also holds the button that clears it and the field to type in.
      box.querySelector("ul")?.setAttribute("role", "none");
    }
  }

  // SimpleBar makes each of them a landmark, all of one English name.
  function groupScrolled() {
    const page = document.title.split(" | ")[0].trim();
    for (const node of document.querySelectorAll(".simplebar-content-wrapper[role=region]")) {
      node.setAttribute("role", "group");
      node.setAttribute("aria-label", page);
    }
  }

  function nameHints() {
    for (const node of document.querySelectorAll(".help-tooltip[aria-label]:not([role])")) {
      node.setAttribute("role", "img");
    }
  }

  // An icon is a word in a font of pictures, which stands in the name of its link or button: "download Exports".
  function hideIcons() {
    for (const icon of document.querySelectorAll(".material-symbols-outlined:not([aria-hidden])")) {
      const control = icon.closest("a, button, label");
      const isWhole = control?.textContent.trim() === icon.textContent.trim() && !control.ariaLabel && !control.title;
      if (!isWhole) icon.ariaHidden = "true";
    }
  }

  function nameAll() {
    hideIcons();
    nameChoices();
    groupScrolled();
    nameHints();
  }

  // They are made when their scripts come to it, and again with each line that is added to a form.
  new MutationObserver(nameAll).observe(document.documentElement, { childList: true, subtree: true });
}
