"""Rated answers from a file, for those who have no Langfuse.

One JSON object a line: ``{"question": "...", "answer": "... [repo/path:1-9]", "rating": "up", "correction": ""}``, and
optionally ``user`` and ``repo``.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from cia.dataset.production.rated_answer import RatedAnswer
from cia.errors import InputError


def read_export(path: Path) -> list[RatedAnswer]:
    """Return the rated answers in ``path``. Raises InputError that names the line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"dataset.production.export: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"dataset.production.export: {path} is not UTF-8 text") from None
    answers = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                answers.append(RatedAnswer.model_validate_json(line))
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(map(str, problem["loc"]))
                raise InputError(f"{path} line {number} is not a rated answer: {where} {problem['msg'].lower()}") from None
    return answers
