"""What a line is, decided once: the text between two line feeds, numbered from 1.

Editors, git and compilers count line feeds. ``str.splitlines`` also breaks at form feeds, vertical tabs and U+2028, which
would shift every number below one; it is not used for anything that is cited.
"""

from __future__ import annotations


def decode(data: bytes) -> str:
    """Return the text of a source file: UTF-8 (a BOM is dropped), else Latin-1, which never fails and keeps lines."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def split_lines(text: str) -> list[str]:
    """Return the lines without their ends (``\\n`` or ``\\r\\n``). A final line feed starts no further line."""
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return [line[:-1] if line.endswith("\r") else line for line in lines]
