// Asks the server to do something. The response has a sentence also when the server refuses or cannot be reached.
import { word } from "./words.js";

export async function post(url, body) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const options = { method: "POST", credentials: "same-origin", headers: { "content-type": "application/json", "x-csrftoken": token }, body: JSON.stringify(body) };
  const answer = await fetch(url, options).catch(() => null);
  if (!answer) return { detail: word("ask.unreachable") };
  if (answer.status === 403) return { detail: word("ask.forbidden") };
  return answer.json().catch(() => ({ detail: word("ask.failed") }));
}
