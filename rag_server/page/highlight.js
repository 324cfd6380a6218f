// Colours for code: comments, strings, numbers and keywords, which is all that the eye needs to find its way.

import { element } from "./element.js";

const KEYWORDS = new Set(
  ("abstract and as assert async await bool break case catch char class const continue def default defer del do double elif else " +
    "end enum except export extends false False final finally float fn for from func function global go if impl implements import in " +
    "instanceof int interface is lambda let long loop match mod module mut namespace new nil None nonlocal not null or package pass " +
    "private protected pub public raise ref return select self short static struct super switch template then this throw throws trait " +
    "true True try type typedef typename union unless unsafe use using var virtual void when where while with yield").split(" "),
);
const HASH_COMMENTS = /^(python|ruby|bash|shell|yaml|toml|r|perl|make|makefile|dockerfile|elixir)$/;
const PROSE = /^(|text|markdown|rst|json)$/;
const STRINGS = String.raw`"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?|${"`"}(?:\\.|[^${"`"}\\])*${"`"}`;
const REST = String.raw`\b\d[\w.]*\b|[A-Za-z_$][\w$]*`;

export function highlight(code, language = "") {
  const fragment = document.createDocumentFragment();
  for (const [kind, text] of tokens(code, language)) {
    fragment.append(kind ? element("span", { class: kind }, text) : text);
  }
  return fragment;
}

// One fragment a line; a token that spans lines, such as a docstring, is cut at their ends.
export function highlightLines(lines, language = "") {
  const fragments = [document.createDocumentFragment()];
  for (const [kind, text] of tokens(lines.join("\n"), language)) {
    text.split("\n").forEach((part, index) => {
      if (index) fragments.push(document.createDocumentFragment());
      if (part) fragments.at(-1).append(kind ? element("span", { class: kind }, part) : part);
    });
  }
  return fragments;
}

function* tokens(code, language) {
  if (PROSE.test(language)) {
    yield ["", code];
    return;
  }
  const comments = HASH_COMMENTS.test(language) ? String.raw`#[^\n]*` : String.raw`//[^\n]*|/\*[\s\S]*?(?:\*/|$)`;
  const pattern = new RegExp(`(${comments})|(${STRINGS})|${REST}`, "g");
  let end = 0;
  for (const match of code.matchAll(pattern)) {
    if (match.index > end) yield ["", code.slice(end, match.index)];
    yield [kindOf(match), match[0]];
    end = match.index + match[0].length;
  }
  if (end < code.length) yield ["", code.slice(end)];
}

function kindOf([text, comment, string]) {
  if (comment !== undefined) return "comment";
  if (string !== undefined) return "string";
  if (/^\d/.test(text)) return "number";
  return KEYWORDS.has(text) ? "keyword" : "";
}
