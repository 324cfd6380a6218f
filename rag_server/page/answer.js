// An answer as elements: paragraphs, inline code, fenced code, and citations that open their lines.
// Nothing else in it becomes a link: an address that a model or a file has written stays text.

import { copyButton } from "./copy.js";
import { element } from "./element.js";
import { highlight } from "./highlight.js";
import { hashOfPlace, lineRange } from "./place.js";

const FENCE = /^(`{3,})([\w+#.-]*)[^`\n]*\n([\s\S]*?)(?:\n\1`*[ \t]*(?:\n|$)|$(?![\s\S]))/m;
const INLINE = /\[([^[\]\s/]+)\/([^[\]]+?):(\d+)-(\d+)\]|`([^`\n]+)`/g;
const PLACES_SHOWN = 6; // while the answer is being written

export function renderAnswer(body, { text, sources, answer, seconds }) {
  const places = new Map();
  for (const one of [...sources, ...(answer?.citations ?? [])]) places.set(`${one.repo}/${one.file_path}`, one.commit);
  const parts = blocks(answer?.answer ?? text, places);
  if (answer) {
    if (answer.citations.length) parts.push(citationList(answer.citations));
    parts.push(facts(answer, seconds));
  } else {
    parts.push(element("p", { class: "waiting" }, text ? "Writing" : sources.length ? "Reading" : "Looking through the code"));
    if (sources.length && !text) parts.push(element("p", { class: "reading-places" }, ...sources.slice(0, PLACES_SHOWN).map(citationLink)));
  }
  body.replaceChildren(...parts);
}

function blocks(text, places) {
  const made = [];
  let rest = text;
  for (let fence = FENCE.exec(rest); fence; fence = FENCE.exec(rest)) {
    made.push(...paragraphs(rest.slice(0, fence.index), places), codeBlock(fence[3], fence[2]));
    rest = rest.slice(fence.index + fence[0].length);
  }
  return [...made, ...paragraphs(rest, places)];
}

function codeBlock(code, language) {
  const lines = element("pre", { tabindex: "0", role: "region", "aria-label": "Code" }, element("code", {}, highlight(code, language)));
  return element("div", { class: "code-block" }, lines, copyButton("Copy", () => code, { "aria-label": "Copy this code" }));
}

function paragraphs(text, places) {
  return text.split(/\n{2,}/).filter((one) => one.trim()).map((one) => element("p", {}, ...inline(one.trim(), places)));
}

function inline(text, places) {
  const made = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    made.push(plain(text.slice(end, match.index)));
    const [whole, repo, path, start, last, code] = match;
    const commit = places.get(`${repo}/${path}`);
    if (code !== undefined) made.push(element("code", {}, code));
    else if (commit) made.push(citationLink({ repo, commit, file_path: path, line_start: Number(start), line_end: Number(last) }));
    else made.push(plain(whole));
    end = match.index + whole.length;
  }
  return [...made, plain(text.slice(end))];
}

// The server writes "\<" where a Markdown reader would see HTML begin; here everything is text anyway.
function plain(text) {
  return text.replaceAll("\\<", "<");
}

function citationLink(place) {
  const file = place.file_path.split("/").at(-1);
  const title = `${place.repo}/${place.file_path}, lines ${lineRange(place)}`;
  return element("a", { class: "citation", href: hashOfPlace(place), title }, `${file}:${lineRange(place)}`);
}

function citationList(citations) {
  const items = citations.map((one) => {
    const path = element("span", { class: "path" }, `${one.repo}/${one.file_path}`);
    const lines = element("span", { class: "lines" }, lineRange(one));
    const symbol = element("span", { class: "symbol" }, one.symbol || one.file_path.split("/").at(-1));
    return element("li", {}, element("a", { href: hashOfPlace(one) }, symbol, path, lines));
  });
  return element("ol", { class: "citations", "aria-label": "Citations" }, ...items);
}

function inSeconds(seconds) {
  if (seconds < 0.1) return "under 0.1 s";
  return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
}

function facts(answer, seconds) {
  const shown = [
    element("span", { class: `mode ${answer.mode === "llm" ? "llm" : ""}` }, answer.mode === "llm" ? answer.model : "extractive"),
  ];
  if (answer.abstained) shown.push(element("span", {}, "not answered by the indexed code"));
  if (answer.index.repo) shown.push(element("span", { title: answer.index.commit }, `${answer.index.repo} @ ${answer.index.commit.slice(0, 12)}`));
  if (seconds !== undefined) shown.push(element("span", {}, inSeconds(seconds)));
  if (answer.dropped_citations) {
    const many = answer.dropped_citations > 1;
    shown.push(element("span", {}, `${answer.dropped_citations} citation${many ? "s" : ""} failed the check and ${many ? "are" : "is"} left out`));
  }
  const notes = [answer.fallback_reason, ...(answer.notices ?? [])].filter(Boolean);
  return element("footer", { class: "facts" }, element("p", {}, ...shown), ...notes.map((note) => element("p", { class: "note" }, note)));
}
