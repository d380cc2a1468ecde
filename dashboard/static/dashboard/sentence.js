// The sentence above everything: the present state, and the limits concerned.
import { listed, inWords } from "./words.js";

// What goes on, and the limits it goes on at; the second may be empty.
export function sentenceOf({ limits = [], more = 0, ...said }) {
  return [inWords(said), listed(limits.map(inWords), more)];
}
