// The source panel: a file at its commit, its cited lines lit. The address after # names the place, so that it can be shared.

import { element } from "./element.js";
import { highlightLines } from "./highlight.js";

const AROUND = 300;
const HEADROOM = 0.22; // of the panel's height, above the first lit line
const LANGUAGES = { py: "python", pyi: "python", rb: "ruby", sh: "bash", yml: "yaml", yaml: "yaml", toml: "toml", md: "markdown", rst: "rst", txt: "text", json: "json", cfg: "toml" };

const panel = document.getElementById("source");
const body = document.getElementById("source-body");
let shown = null;
let openedFrom = null;

export function hashOfPlace({ repo, commit, file_path: path, line_start: start, line_end: end }) {
  return "#/" + [repo, commit, `${start}-${end}`, ...path.split("/")].map(encodeURIComponent).join("/");
}

export function placeFromHash(hash) {
  const parts = hash.split("/");
  if (parts.length < 5 || parts[0] !== "#") return null;
  try {
    const [repo, commit, lines, ...path] = parts.slice(1).map(decodeURIComponent);
    const [start, end] = lines.split("-").map(Number);
    return start >= 1 && end >= start ? { repo, commit, file_path: path.join("/"), line_start: start, line_end: end } : null;
  } catch {
    return null; // an escape sequence that is none
  }
}

export function closeSource() {
  if (panel.hidden) return;
  panel.hidden = true;
  shown = null;
  document.body.classList.remove("reading");
  if (location.hash) history.pushState(null, "", location.pathname);
  openedFrom?.focus({ preventScroll: true });
}

export async function openSource(place) {
  if (panel.hidden) openedFrom = document.activeElement;
  shown = place;
  panel.hidden = false;
  document.body.classList.add("reading");
  document.getElementById("source-path").textContent = place.file_path;
  const lines = place.line_start === place.line_end ? `line ${place.line_start}` : `lines ${place.line_start}–${place.line_end}`;
  document.getElementById("source-place").textContent = `${place.repo} @ ${place.commit.slice(0, 12)} · ${lines}`;
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
    if (shown === place) body.replaceChildren(element("p", { class: "error", role: "alert" }, error.message));
  }
}

async function fetchLines({ repo, commit, file_path: path }, start, end) {
  const address = [repo, ...path.split("/")].map(encodeURIComponent).join("/");
  const reply = await fetch(`/v1/sources/${address}?${new URLSearchParams({ start, end, commit })}`);
  const document = await reply.json();
  if (!reply.ok) throw new Error(document.error?.message ?? `HTTP ${reply.status}`);
  return document;
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
  const button = element("button", { class: "more", type: "button" }, label);
  button.addEventListener("click", action);
  return button;
}
