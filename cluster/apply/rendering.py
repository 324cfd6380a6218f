"""Writes the objects as YAML for review and GitOps: one file an object, the same bytes every time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import yaml

from cia.durable_files import disk_errors, replace_text
from cia.errors import InputError, OperationError
from cluster.part import Object, Part

HEADER = "# Rendered by `cia cluster render`. Change the settings, not this file.\n"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are read, and nothing by reference."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def render(parts: Iterable[tuple[Part, list[Object]]], out: Path, only: Collection[str] = ()) -> list[Path]:
    """Write ``OUT/PART/KIND-NAME.yaml`` for every object and return the paths.

    Files of an earlier rendering that no object has any more are removed: with ``only``, those of these parts. Raises
    InputError rather than write over a file that somebody else wrote.
    """
    files = {
        out / part.name / f"{built['kind'].lower()}-{built['metadata']['name']}.yaml": built
        for part, objects in parts
        for built in objects
    }
    for path, built in files.items():
        if built["kind"] == "Secret":
            raise OperationError(f"{path} would hold a secret; pods take values by reference to the cluster's own secret")
        if path.exists() and not _is_rendered(path):
            raise InputError(f"{path} was not written by `cia cluster render`; move it, or choose another folder")
    for path, built in files.items():
        replace_text(path, as_yaml(built))
    _remove_old(out, set(files), only)
    return list(files)


def as_yaml(built: Object) -> str:
    """Return one object as a YAML document with the header."""
    return HEADER + yaml.dump(built, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


def _remove_old(out: Path, kept: set[Path], only: Collection[str]) -> None:
    with disk_errors(out):
        for path in sorted(out.glob("*/*.yaml")):
            if path not in kept and (not only or path.parent.name in only) and _is_rendered(path):
                path.unlink()
                if not any(path.parent.iterdir()):
                    path.parent.rmdir()


def _is_rendered(path: Path) -> bool:
    with disk_errors(path), path.open("rb") as file:
        return file.read(len(HEADER.encode())) == HEADER.encode()
