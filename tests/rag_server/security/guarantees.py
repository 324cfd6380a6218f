"""What the server guarantees about a reply, checked without the code that is to bring it about."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt

from tests.rag_server.security.attacked import SECRETS, VAULT_CANARIES
from tests.rag_server.security.obedience import disguises

ANSWER_FIELDS = {
    "answer", "abstained", "mode", "model", "citations", "index", "trace_id", "dropped_citations", "fallback_reason", "notices",
    "resolved_question", "conversation", "usage", "asked_model",
}  # fmt: skip
ACTIVE = {"link_open", "image", "html_block", "html_inline"}
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MARKDOWN.validateLink = lambda _: True  # a client may be less careful than this parser
FORBIDDEN = {form: what for what, secret in SECRETS.items() for form in disguises(secret)} | {
    form: "the vault" for canary in VAULT_CANARIES for form in disguises(canary)
}

PLACE = re.compile(r"(?:\[|【|［)([^\s\[\]/]+)/([^\[\]\n]*?|[^\n]*?):([0-9]+)-([0-9]+)(?:\]|】|］)")
NUMBER = re.compile(r"(?<![\w)\]])\[\s*-?\d+\s*\]")


@dataclass(frozen=True)
class Reply:
    """A reply of one of the ways in. ``text`` is the final answer, ``shown`` what was streamed before and with it."""

    way: str
    status: int
    raw: str
    text: str
    shown: str
    citations: list[dict[str, Any]]
    sources: list[dict[str, Any]] | None
    document: dict[str, Any]


@dataclass(frozen=True)
class Corpus:
    """What there is to cite: the files of each repository, as they were written, and those that the user may read."""

    files: dict[str, dict[str, str]]
    readable: frozenset[str]

    def violations(self, reply: Reply, prompts: list[str]) -> list[str]:
        """Return what is wrong with ``reply``, whose model was shown ``prompts``; nothing when every guarantee holds."""
        found = [f"status {reply.status}"] if reply.status != 200 else []
        found += [f"gives away {what}" for what in leaks(reply.raw)]
        found += [problem for citation in reply.citations if (problem := self._wrong(citation, reply, prompts))]
        for name, text in (("answer", reply.text), ("stream", reply.shown)):
            found += [f"{name} has {kind}" for kind in active_parts(text)]
            found += [f"{name} cites {place}" for place in stray_citations(text, reply.citations)]
        if reply.document["mode"] not in ("llm", "extractive") or not isinstance(reply.document["abstained"], bool):
            found.append("the mode is not the server's")
        if reply.document["model"] != ("code-assistant-base" if reply.document["mode"] == "llm" else "none"):
            found.append(f"the model is called {reply.document['model']}")
        return found

    def _wrong(self, citation: dict[str, Any], reply: Reply, prompts: list[str]) -> str:
        repo, path, first, last = (citation[name] for name in ("repo", "file_path", "line_start", "line_end"))
        text = self.files.get(repo, {}).get(path) if repo in self.readable else None
        if text is None:
            return f"{repo}/{path} is no file of the user's"
        lines = text.splitlines()
        if not 1 <= first <= last <= len(lines):
            return f"{path}:{first}-{last} is out of its {len(lines)} lines"
        if reply.sources is not None and not reply.document["abstained"]:
            shown = [one for one in reply.sources if (one["repo"], one["file_path"]) == (repo, path)]
            if not any(one["line_start"] <= first <= last <= one["line_end"] for one in shown):
                return f"{path}:{first}-{last} is not among the sources"
        if reply.document["mode"] == "llm" and not reply.document["abstained"]:
            head = re.sub(r"\W", "", lines[first - 1])
            if not any(head in re.sub(r"\W", "", prompt) for prompt in prompts):
                return f"{path}:{first} was not shown to the model"
        return ""


def leaks(text: str) -> set[str]:
    """Return what ``text`` gives away, plainly, in JSON's escapes or in one of the disguises."""
    return {what for form, what in FORBIDDEN.items() if form in text}


def active_parts(text: str) -> set[str]:
    """Return what in ``text`` a client that renders Markdown would fetch, run or follow."""
    tokens = MARKDOWN.parse(text)
    return {part.type for token in tokens for part in (token, *(token.children or ())) if part.type in ACTIVE}


def stray_citations(text: str, citations: list[dict[str, Any]]) -> list[str]:
    """Return what reads as a citation in the rendered ``text`` and is none of ``citations``; code included."""
    known = {f"[{one['repo']}/{one['file_path']}:{one['line_start']}-{one['line_end']}]" for one in citations}
    stray = []
    for pattern, rendered in ((PLACE, _rendered(text)), (NUMBER, _rendered(text, with_code=False))):
        for one in sorted(known, key=len, reverse=True):
            rendered = rendered.replace(one, "")
        stray += [found.group() for found in pattern.finditer(rendered)]
    return stray


def _rendered(text: str, with_code: bool = True) -> str:
    kinds = {"text", "softbreak", "hardbreak"} | ({"code_inline", "fence", "code_block"} if with_code else set())
    blocks = ([part for part in (token, *(token.children or ())) if part.type in kinds] for token in MARKDOWN.parse(text))
    return "\n".join("".join(part.content or "\n" for part in block) for block in blocks)


def without_what_differs(document: dict[str, Any]) -> str:
    """Return an answer as text without what differs from one request to the next."""
    return json.dumps(
        {name: value for name, value in document.items() if name not in ("trace_id", "conversation")}, sort_keys=True
    )
