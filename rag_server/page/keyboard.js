// Every key of the page in one table, which is also what the help shows.

import { byId, element } from "./element.js";

const ALWAYS = [
  ["Enter", "ask"],
  ["Shift Enter", "a new line in the question"],
  ["Tab", "go through everything there is"],
  ["↑ ↓", "go through the citations below an answer"],
];

// `keys` is a list of { key, says, run, also }; `escape` a list of functions of which the first that returns true ends it.
export function startKeyboard(keys, escape) {
  const help = byId("help");
  const all = [...keys, { key: "?", says: "this help", run: () => help.showModal() }];
  byId("help-open").addEventListener("click", () => help.showModal());
  const shown = [...all.map(({ key, says }) => [key, says]), ["Esc", "close what is open, stop an answer, leave the question"], ...ALWAYS];
  for (const [key, says] of shown) {
    byId("help-keys").append(element("dt", {}, ...key.split(" ").map((one) => element("kbd", {}, one))), element("dd", {}, says));
  }
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.isComposing) return;
    if (event.key === "Escape") escape.some((step) => step());
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea, input:not([type=checkbox])")) return;
    const found = all.find(({ key }) => key === event.key);
    if (!found) return;
    event.preventDefault();
    found.run();
  });
}
