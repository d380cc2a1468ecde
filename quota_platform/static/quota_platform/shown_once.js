// The page that shows a new secret once: copies it, and makes a reload lead away instead of making another.

const code = document.querySelector("[data-token]");
const button = document.querySelector("[data-copy]");
const said = document.querySelector("[data-said]");

history.replaceState(null, "", code.dataset.next);

function select() {
  const range = document.createRange();
  range.selectNodeContents(code);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

button.hidden = false;
button.addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(code.textContent.trim());
    said.textContent = button.dataset.copied;
  } catch {
    select();
    said.textContent = button.dataset.selected;
  }
});
