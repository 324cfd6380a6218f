"""Which files are worth indexing: text that people wrote in this repository.

A rule that looks at the path or size costs no read; a rule that looks at the content sees the first bytes only.
``VERSION`` goes up when a rule changes, so that a commit stored under the old rules is read again.
"""

from __future__ import annotations

import posixpath
import re

from cia.errors import SourceError

VERSION = 1

HEAD_BYTES = 8192
"""How much of a file decides that it is binary: git looks at 8,000 bytes for the same purpose (xdiff-interface.c)."""

PRUNED = "tool folder"
VENDORED = "vendored"
GENERATED = "generated"
BINARY = "binary"
TOO_LARGE = "too large"
SYMLINK = "symbolic link"
UNPRINTABLE = "unprintable name"
IGNORED = "ignored"
SUBMODULE = "submodule"
LFS_POINTER = "LFS pointer"
HARD_LINK = "hard link"
SPECIAL = "special file"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_PRUNED_FOLDERS = _words(
    """.git .hg .svn .bzr .jj .cia .dvc .venv venv .tox .nox .eggs __pycache__ .mypy_cache .ruff_cache .pytest_cache
    .hypothesis .ipynb_checkpoints .gradle .terraform .idea .cache"""
)
_VENDORED_FOLDERS = _words(
    "vendor _vendor vendored third_party third-party thirdparty node_modules bower_components site-packages"
)
_BINARY_ENDINGS = _words(
    """.png .jpg .jpeg .gif .bmp .ico .icns .webp .avif .tif .tiff .svg .psd .pdf .woff .woff2 .ttf .otf .eot
    .mp3 .mp4 .ogg .wav .avi .mov .webm .zip .gz .tgz .bz2 .xz .zst .7z .rar .jar .war .whl .egg
    .pyc .pyo .so .dll .dylib .exe .o .a .class .bin .wasm .sqlite .db
    .npy .npz .pkl .pickle .parquet .onnx .safetensors .gguf .pt .pth .h5"""
)
_GENERATED_NAMES = _words(
    """package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb poetry.lock uv.lock pdm.lock
    pipfile.lock cargo.lock composer.lock gemfile.lock mix.lock pubspec.lock flake.lock dvc.lock go.sum pkg-info"""
)
_GENERATED_ENDINGS = _words(
    """.min.js .min.mjs .min.css .map .snap _pb2.py _pb2.pyi _pb2_grpc.py _pb2_grpc.pyi .pb.go .pb.cc .pb.h
    .g.dart .designer.cs .generated.ts .generated.cs"""
)
# Tools mark their output in a comment near the top, as in https://go.dev/s/generatedcode.
_GENERATED_HEADER = re.compile(rb"""^\s*(?:#|//|/\*|\*|--|;|%|<!--|"{3}|').*(?:@generated\b|DO NOT EDIT\b)""", re.MULTILINE)
_HEADER_LINES = 10
_LFS_HEADER = b"version https://git-lfs.github.com/spec/"


def reason_to_skip_folder(name: str) -> str | None:
    """Why a folder with this name is not entered, or None."""
    if name in _PRUNED_FOLDERS or name.endswith(".egg-info"):
        return PRUNED
    return VENDORED if name.lower() in _VENDORED_FOLDERS else None


def reason_to_skip_path(path: str) -> str | None:
    """Why a file at ``path`` is not wanted whatever it holds, or None."""
    if not path.isprintable() or "\\" in path:
        return UNPRINTABLE
    *folders, name = path.split("/")
    for folder in folders:
        if reason := reason_to_skip_folder(folder):
            return reason
    name = name.lower()
    if name in _GENERATED_NAMES or name.endswith(_GENERATED_ENDINGS):
        return GENERATED
    return BINARY if name.endswith(_BINARY_ENDINGS) else None


def reason_to_skip_content(data: bytes) -> str | None:
    """Why a file that holds ``data`` is not wanted, or None."""
    head = data[:HEAD_BYTES]
    if b"\0" in head:
        return BINARY
    if head.startswith(_LFS_HEADER):
        return LFS_POINTER
    top = b"\n".join(head.split(b"\n", _HEADER_LINES)[:_HEADER_LINES])
    return GENERATED if _GENERATED_HEADER.search(top) else None


def check_inside(path: str, where: str) -> None:
    """Raise SourceError when ``path`` (from a git tree or an archive) would leave the repository."""
    if path.startswith("/") or ".." in path.split("/"):
        raise SourceError(f"{where} holds the path {path!r}, which leaves the repository; it is not safe to index")


def check_link_inside(path: str, target: str, where: str) -> None:
    """Raise SourceError when the symbolic link at ``path`` points out of the repository."""
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if target.startswith("/") or end == ".." or end.startswith("../"):
        raise SourceError(
            f"{where} holds the symbolic link {path!r} to {target!r}, which leaves the repository;"
            " remove it, or index a copy without it"
        )
