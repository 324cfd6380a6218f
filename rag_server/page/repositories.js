// Which repositories are asked, and at which commit each is indexed.

import { byId, element, problem } from "./element.js";
import { getJson, sentenceFor } from "./server.js";

const list = byId("repositories");
const picker = byId("picker");
let indexed = [];

export async function showRepositories() {
  const chosen = new Set(chosenRepositories());
  try {
    indexed = (await getJson("/v1/repositories")).repositories;
    list.replaceChildren(...indexed.map((one) => choice(one, chosen.has(one.name))));
    if (!indexed.length) list.append(element("p", { class: "note" }, "Nothing is indexed for you yet. `cia index SOURCE` adds a repository."));
  } catch (error) {
    list.replaceChildren(problem(sentenceFor(error)));
  }
  label();
}

// null: all of them
export function chosenRepositories() {
  const chosen = [...list.querySelectorAll("input:checked")].map((box) => box.value);
  return chosen.length ? chosen : null;
}

export function indexedCommit(name) {
  return indexed.find((one) => one.name === name)?.commit;
}

export function clearRepositories() {
  indexed = [];
  list.replaceChildren();
  label();
}

export function closePicker() {
  const wasOpen = picker.open;
  if (wasOpen && picker.contains(document.activeElement)) byId("picker-label").focus();
  picker.open = false;
  return wasOpen;
}

function choice(one, checked) {
  const box = element("input", { type: "checkbox", value: one.name });
  box.checked = checked;
  box.addEventListener("change", label);
  const facts = `${one.commit.slice(0, 12)} · ${one.files} ${one.files === 1 ? "file" : "files"}`;
  return element("label", {}, box, element("span", {}, one.name), element("small", { title: one.commit }, facts));
}

function label() {
  const chosen = chosenRepositories();
  const only = indexed.length === 1 ? `${indexed[0].name} @ ${indexed[0].commit.slice(0, 12)}` : "All repositories";
  byId("picker-label").textContent = chosen ? (chosen.length > 2 ? `${chosen.length} repositories` : chosen.join(", ")) : only;
}

document.addEventListener("click", (event) => {
  if (!picker.contains(event.target)) picker.open = false;
});
