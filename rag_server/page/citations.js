// From one citation of an answer to the next, with the source beside it.

import { byId } from "./element.js";

let article = null; // the answer whose citations are gone through

// Called when a place is shown: marks its links and says which of how many it is.
export function markCitation(hash) {
  for (const link of document.querySelectorAll(".answer a[aria-current]")) link.removeAttribute("aria-current");
  if (!hash) return;
  const same = (link) => link.getAttribute("href") === hash;
  const holder = document.activeElement?.closest?.(".answer");
  const candidates = [holder, article, ...[...document.querySelectorAll(".answer")].reverse()];
  article = candidates.find((one) => one?.isConnected && links(one).some(same)) ?? null;
  const all = article ? links(article) : [];
  for (const link of article?.querySelectorAll("a") ?? []) if (same(link)) link.setAttribute("aria-current", "true");
  byId("steps").hidden = all.length < 2;
  byId("step-count").textContent = `${all.findIndex(same) + 1} of ${all.length}`;
}

// Opens the next citation (by = 1) or the one before (-1); from nothing, the first of the newest answer.
export function stepCitation(by) {
  if (!article?.isConnected) article = [...document.querySelectorAll(".answer")].reverse().find((one) => links(one).length);
  if (!article) return;
  const all = links(article);
  const at = all.findIndex((link) => link.getAttribute("href") === location.hash);
  const next = at < 0 ? 0 : (at + by + all.length) % all.length;
  const hash = all[next].getAttribute("href");
  if (location.hash) location.replace(hash);
  else location.hash = hash;
}

// Up and down go through the list of citations while it has the focus; elsewhere they scroll, as everywhere.
export function startCitations() {
  byId("step-back").addEventListener("click", () => stepCitation(-1));
  byId("step-on").addEventListener("click", () => stepCitation(1));
  byId("thread").addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const list = event.target.closest(".citations");
    if (!by || !list) return;
    event.preventDefault();
    const all = [...list.querySelectorAll("a")];
    all[(all.indexOf(event.target) + by + all.length) % all.length].focus();
  });
}

function links(one) {
  return [...one.querySelectorAll(".citations a")];
}
