"""How two states of an object differ, path by path, for a person to read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from cluster.apply.planning import content
from cluster.part import Object

CONTEXT_LINES = 2
"""Lines shown around each change of a text of several lines."""

ABSENT = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """What stands at ``path`` on the server and what would: lines that begin with ``-``, ``+``, or a space for context."""

    path: str
    lines: tuple[str, ...]


def differences(live: Object, after: Object) -> list[Difference]:
    """Return where the content differs, in the order of the paths. The values of a Secret are not among the lines."""
    hidden = ("data", "stringData") if live["kind"] == "Secret" else ()
    found = sorted(_walk("", content(live), content(after)), key=lambda one: one[0])
    return [Difference(path, ("~ hidden",) if path.startswith(hidden) else tuple(_lines(old, new))) for path, old, new in found]


def _walk(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            step = f"[{key}]" if "." in key or "/" in key else f".{key}" if path else key
            yield from _walk(path + step, old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        named_old, named_new = _named(old), _named(new)
        for key in {**named_old, **named_new}:
            yield from _walk(f"{path}[{key}]", named_old.get(key, ABSENT), named_new.get(key, ABSENT))
    elif old != new:
        yield path, old, new


def _named(items: list[Any]) -> dict[str, Any]:
    """Return the items by their names, where all have different ones, else by their positions."""
    names = [str(item.get("name") or "") if isinstance(item, dict) else "" for item in items]
    if all(names) and len(set(names)) == len(names):
        return dict(zip(names, items, strict=True))
    return {str(position): item for position, item in enumerate(items)}


def _lines(old: Any, new: Any) -> Iterator[str]:
    before, after = _text(old), _text(new)
    if len(before) > 1 and len(after) > 1:
        unified = difflib.unified_diff(before, after, n=CONTEXT_LINES, lineterm="")
        yield from (line for line in unified if not line.startswith(("---", "+++")))
    else:
        yield from (f"-{line}" for line in before)
        yield from (f"+{line}" for line in after)


def _text(value: Any) -> list[str]:
    if value is ABSENT:
        return []
    if isinstance(value, str):
        return _unfolded(value).splitlines() or ['""']
    if isinstance(value, dict | list):
        return yaml.safe_dump(value, sort_keys=False, width=1000).splitlines()
    return [json.dumps(value)]


def _unfolded(text: str) -> str:
    """Return a text; where it is JSON in one line, such as a dashboard, one value a line."""
    if "\n" not in text and text.startswith(("{", "[")):
        try:
            return json.dumps(json.loads(text), indent=1)
        except ValueError:
            return text
    return text
