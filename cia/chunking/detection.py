"""The language of a file, from its name and, for scripts without an extension, its first line."""

from __future__ import annotations

import posixpath
import re

_EXTENSIONS: dict[str, str] = {
    extension: language
    for language, extensions in {
        "python": "py pyi pyw pyx",
        "go": "go",
        "java": "java",
        "javascript": "js jsx mjs cjs",
        "typescript": "ts tsx mts cts",
        "rust": "rs",
        "c": "c h",
        "cpp": "cc cpp cxx c++ hh hpp hxx h++ ipp tpp cu cuh ino",
        "csharp": "cs csx",
        "ruby": "rb rake gemspec ru podspec",
        "php": "php php3 php5 phtml",
        "bash": "sh bash zsh ksh bats",
        "kotlin": "kt kts",
        "swift": "swift",
        "scala": "scala sc sbt",
        "lua": "lua",
        "yaml": "yaml yml",
        "json": "json jsonc json5 geojson ipynb webmanifest",
        "toml": "toml",
        "ini": "ini cfg conf properties editorconfig",
        "markdown": "md markdown mdx mkd",
        "rst": "rst rest",
        "sql": "sql ddl",
        "html": "html htm xhtml",
        "xml": "xml xsd xsl svg",
        "css": "css scss sass less",
        "dockerfile": "dockerfile",
        "make": "mk mak",
        "proto": "proto",
        "hcl": "tf tfvars hcl",
        "vue": "vue",
        "svelte": "svelte",
        "perl": "pl pm",
        "r": "r",
        "dart": "dart",
        "elixir": "ex exs",
        "haskell": "hs",
        "julia": "jl",
        "zig": "zig",
        "powershell": "ps1 psm1",
        "graphql": "graphql gql",
    }.items()
    for extension in extensions.split()
}

_NAMES: dict[str, str] = {
    "dockerfile": "dockerfile",
    "containerfile": "dockerfile",
    "makefile": "make",
    "gnumakefile": "make",
    "gemfile": "ruby",
    "rakefile": "ruby",
    "vagrantfile": "ruby",
    "podfile": "ruby",
    "sconstruct": "python",
    "sconscript": "python",
    "pipfile": "toml",
    "cargo.lock": "toml",
    "poetry.lock": "toml",
    "uv.lock": "toml",
    ".bashrc": "bash",
    ".bash_profile": "bash",
    ".profile": "bash",
    ".zshrc": "bash",
    ".gitconfig": "ini",
    ".editorconfig": "ini",
}

_SHEBANG = re.compile(rb"#![^\n]*?\b(python|bash|sh|zsh|ksh|dash|node|deno|bun|ruby|php|perl|lua)[\d.]*\b")
_INTERPRETERS: dict[bytes, str] = {
    **dict.fromkeys((b"bash", b"sh", b"zsh", b"ksh", b"dash"), "bash"),
    **dict.fromkeys((b"node", b"bun"), "javascript"),
    b"deno": "typescript",
}
LANGUAGES = frozenset({*_EXTENSIONS.values(), *_NAMES.values(), *_INTERPRETERS.values(), "text"})
"""Every language that ``language_of`` can name."""

_CPP_HEADER = re.compile(rb"^\s*(?:class\s+\w|namespace\s+\w|template\s*<|using\s+\w|(?:public|private|protected)\s*:)", re.M)


def language_of(path: str, data: bytes) -> str:
    """Return the lower-case language of a file (``python``, ``csharp``, ``markdown``), or ``text`` if none is known.

    A ``.h`` header is C++ when it declares a class, namespace or template, else C.
    """
    name = posixpath.basename(path).lower()
    stem, dot, extension = name.rpartition(".")
    if name in _NAMES:
        return _NAMES[name]
    if dot and extension in _EXTENSIONS:
        language = _EXTENSIONS[extension]
        return "cpp" if extension == "h" and _CPP_HEADER.search(data) else language
    if name.startswith(("dockerfile.", "makefile.")):
        return _NAMES[stem.partition(".")[0] or "makefile"]
    found = _SHEBANG.match(data[:200])
    if found:
        return _INTERPRETERS.get(found[1], found[1].decode())
    return "text"
