// The source panel: a file at its commit, its cited lines lit, and the file around them.

import { markCitation } from "./citations.js";
import { copyButton } from "./copy.js";
import { button, byId, element, problem } from "./element.js";
import { highlightLines } from "./highlight.js";
import { hashOfPlace, lineRange, nameOfPlace } from "./place.js";
import { indexedCommit } from "./repositories.js";
import { getJson, sentenceFor } from "./server.js";

const AROUND = 300;
const HEADROOM = 0.22; // of the panel's height, above the first lit line
const LANGUAGES = { py: "python", pyi: "python", rb: "ruby", sh: "bash", yml: "yaml", yaml: "yaml", toml: "toml", md: "markdown", rst: "rst", txt: "text", json: "json", cfg: "toml" };

const panel = byId("source");
const body = byId("source-body");
let shown = null;
let openedFrom = null;

export function startSource() {
  byId("source-close").addEventListener("click", closeSource);
  const copy = copyButton("Copy path:line", () => nameOfPlace(shown), { id: "copy-place", title: "Copy path and lines" });
  byId("source-copy").replaceWith(copy);
}

export function closeSource() {
  if (panel.hidden) return false;
  panel.hidden = true;
  shown = null;
  body.replaceChildren();
  document.body.classList.remove("reading");
  if (location.hash) history.pushState(history.state, "", location.pathname);
  markCitation(null);
  openedFrom?.focus({ preventScroll: true });
  return true;
}

export async function openSource(place) {
  if (panel.hidden) openedFrom = document.activeElement;
  shown = place;
  markCitation(hashOfPlace(place));
  panel.hidden = false;
  document.body.classList.add("reading");
  byId("source-path").textContent = place.file_path;
  const newest = indexedCommit(place.repo);
  const older = newest && newest !== place.commit ? `, older than the index (${newest.slice(0, 12)})` : "";
  const lines = `${place.line_start === place.line_end ? "line" : "lines"} ${lineRange(place)}`;
  byId("source-place").textContent = `${place.repo} @ ${place.commit.slice(0, 12)}${older} · ${lines}`;
  body.replaceChildren(element("p", { class: "waiting" }, "Opening"));
  panel.focus({ preventScroll: true });
  await showWindow(place, Math.max(1, place.line_start - AROUND), place.line_end + AROUND);
  const lit = body.querySelector(".lit");
  if (lit) body.scrollTop += lit.getBoundingClientRect().top - body.getBoundingClientRect().top - body.clientHeight * HEADROOM;
}

async function showWindow(place, start, end) {
  try {
    const source = await fetchLines(place, start, end);
    if (shown !== place) return; // another was opened meanwhile
    const table = element("div", { class: "code", role: "group", "aria-label": place.file_path }, ...rows(source, place));
    const earlier = source.line_start > 1 && more("Earlier lines", () => showWindow(place, Math.max(1, start - 2 * AROUND), source.line_end));
    const later = source.line_end < source.line_count && more("Later lines", () => showWindow(place, source.line_start, source.line_end + 2 * AROUND));
    body.replaceChildren(...[earlier, table, later].filter(Boolean));
  } catch (error) {
    if (shown === place) body.replaceChildren(problem(sentenceFor(error)), ...asIndexedNow(place, error));
  }
}

// A commit that has been indexed anew is gone; the same lines may still say much the same.
function asIndexedNow(place, error) {
  const commit = indexedCommit(place.repo);
  if (error.status !== 404 || !commit || commit === place.commit) return [];
  return [more(`Show these lines at ${commit.slice(0, 12)}, the newest`, () => location.replace(hashOfPlace({ ...place, commit })))];
}

function fetchLines({ repo, commit, file_path: path }, start, end) {
  const address = [repo, ...path.split("/")].map(encodeURIComponent).join("/");
  return getJson(`/v1/sources/${address}?${new URLSearchParams({ start, end, commit })}`);
}

function rows(source, place) {
  const language = LANGUAGES[place.file_path.split(".").at(-1)] ?? "other";
  return highlightLines(source.lines, language).map((line, index) => {
    const number = source.line_start + index;
    const lit = number >= place.line_start && number <= place.line_end;
    return element("div", { class: lit ? "row lit" : "row", "data-line": number }, element("code", {}, line));
  });
}

function more(label, action) {
  return button(label, action, { class: "more" });
}
