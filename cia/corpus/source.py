"""What a person may name as a source, and what each kind is.

/path/to/folder           a folder that is no git repository: its files as they are
/path/to/repo[@REV]       a local git repository, bare or not, at a branch, tag or commit (default: HEAD)
https://host/repo[@REV]   a remote git repository (also git://, http://, ssh://, file:// and user@host:path)
pypi:NAME==VERSION        the source distribution of a Python package
/path/to/NAME-VERSION.tar.gz
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cia.errors import InputError, SourceError

ALLOWED_TRANSPORTS = ("file", "git", "http", "https", "ssh")

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/]*)(?P<path>.*)", re.DOTALL)
_SCP = re.compile(r"(?P<host>(?:[^@/:\s]+@)?[^@/:\s]+):(?P<path>[^:\s].*)", re.DOTALL)
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Folder:
    """A local folder without git."""

    path: Path
    shown: str
    default_name: str

    @property
    def identity(self) -> str:
        """What stays the same when this source is added again."""
        return f"folder {self.path}"


@dataclass(frozen=True, slots=True)
class LocalGit:
    """A local git repository, read in place. ``git_dir`` holds its objects; ``work_tree`` is None for a bare one."""

    path: Path
    git_dir: Path
    work_tree: Path | None
    revision: str | None
    shown: str
    default_name: str

    @property
    def identity(self) -> str:
        """The same as that of a plain folder: one that becomes a git repository is still that source."""
        return f"folder {self.path}"


@dataclass(frozen=True, slots=True)
class RemoteGit:
    """A git repository behind a URL. ``url`` may carry a secret; ``shown`` never does."""

    url: str
    revision: str | None
    shown: str
    default_name: str

    @property
    def identity(self) -> str:
        """The address without credentials, revision or a final ``.git``."""
        return f"git {_without_ending(_redact(self.url))}"


@dataclass(frozen=True, slots=True)
class SdistFile:
    """A source distribution on this machine."""

    path: Path
    shown: str
    default_name: str

    @property
    def identity(self) -> str:
        """The folder and the project: a newer version beside the old one updates it."""
        return f"sdist {self.path.parent / self.default_name}"


@dataclass(frozen=True, slots=True)
class PackageIndex:
    """A pinned release on the package index."""

    project: str
    version: str
    shown: str
    default_name: str

    @property
    def identity(self) -> str:
        """The project, whatever its version."""
        return f"pypi {self.default_name}"


Source = Folder | LocalGit | RemoteGit | SdistFile | PackageIndex


def parse_source(text: str) -> Source:
    """Return what ``text`` names. Raises SourceError with what is wrong about it."""
    text = text.strip()
    if not text or not text.isprintable():
        raise SourceError("the source is empty or holds control characters; name a folder, a git URL or pypi:NAME==VERSION")
    if text.startswith("pypi:"):
        return _parse_package(text)
    if re.match(r"[A-Za-z0-9_+-]+::", text):
        raise SourceError(f"the git transport in {_redact(text)!r} is not allowed; use one of {', '.join(ALLOWED_TRANSPORTS)}")
    if url := _URL.fullmatch(text):
        return _parse_url(text, url)
    local, revision = _split_local(text)
    if local is not None:
        return _parse_local(local, revision, text)
    scp = _SCP.fullmatch(text)
    if scp and not text.startswith("-"):
        path, revision = _split_revision(scp["path"], text)
        return _remote(f"{scp['host']}:{path}", revision)
    raise SourceError(f"there is no folder or file {text!r}; check the path, or give a git URL or pypi:NAME==VERSION")


def check_name(name: str) -> str:
    """Return ``name`` if it can name a repository. Raises InputError with what is allowed."""
    if not _NAME.fullmatch(name) or ".." in name or len(name) > 100:
        raise InputError(
            f"{name!r} cannot name a repository; use up to 100 letters, digits, '.', '_' and '-', not starting with '.' or '-'"
        )
    return name


def _parse_package(text: str) -> PackageIndex:
    pinned = _PINNED.fullmatch(text.removeprefix("pypi:"))
    if not pinned:
        raise SourceError(f"{text!r} is not a pinned package; write pypi:NAME==VERSION, for example pypi:httpx==0.28.1")
    name = re.sub(r"[-_.]+", "-", pinned["name"]).lower()  # the normal form of the packaging specifications
    return PackageIndex(project=name, version=pinned["version"], shown=f"pypi:{name}=={pinned['version']}", default_name=name)


def _parse_url(text: str, url: re.Match[str]) -> RemoteGit:
    if url["scheme"] not in ALLOWED_TRANSPORTS:
        allowed = ", ".join(ALLOWED_TRANSPORTS)
        raise SourceError(f"the transport {url['scheme']}:// is not allowed for a git source; use one of {allowed}")
    path, revision = _split_revision(url["path"], text)
    if not path.strip("/"):
        raise SourceError(f"{_redact(text)!r} names a host but no repository; write the whole address")
    return _remote(f"{url['scheme']}://{url['authority']}{path}", revision)


def _remote(url: str, revision: str | None) -> RemoteGit:
    shown = _redact(url)
    return RemoteGit(
        url=url,
        revision=revision,
        shown=f"{shown}@{revision}" if revision else shown,
        default_name=_sanitised(re.split(r"[/:]", _without_ending(url))[-1]),
    )


def _split_local(text: str) -> tuple[Path | None, str | None]:
    """Split ``PATH@REV`` at the first ``@``, from the right, whose left part exists; a path that exists is never split."""
    whole = Path(text).expanduser()
    if whole.exists():
        return whole, None
    at = text.rfind("@")
    while at > 0:
        path = Path(text[:at]).expanduser()
        if path.exists():
            return path, _check_revision(text[at + 1 :], text)
        at = text.rfind("@", 0, at)
    return None, None


def _parse_local(given: Path, revision: str | None, text: str) -> Source:
    path = given.resolve()
    if path.is_file():
        return _parse_sdist(path, revision, text)
    if not path.is_dir():
        raise SourceError(f"{text!r} is neither a folder nor a file; give a folder, a git URL or pypi:NAME==VERSION")
    name = _sanitised(path.name.removesuffix(".git") or path.parent.name)
    git_dir = path / ".git"
    if git_dir.exists():
        work_tree: Path | None = path
    elif _is_bare(path):
        git_dir, work_tree = path, None
    elif revision is not None:
        raise SourceError(
            f"{path} is not the top of a git repository, so it has no revision {revision!r}; leave out '@{revision}'"
        )
    else:
        return Folder(path=path, shown=str(path), default_name=name)
    shown = f"{path}@{revision}" if revision else str(path)
    return LocalGit(path=path, git_dir=git_dir, work_tree=work_tree, revision=revision, shown=shown, default_name=name)


def _parse_sdist(path: Path, revision: str | None, text: str) -> SdistFile:
    stem = next((path.name.removesuffix(ending) for ending in (".tar.gz", ".tgz") if path.name.endswith(ending)), None)
    if stem is None or revision is not None:
        raise SourceError(f"{text!r} is a file; a source is a folder, a git URL, pypi:NAME==VERSION or an sdist (.tar.gz)")
    project = re.sub(r"-v?\d[^-]*$", "", stem)  # NAME-VERSION, as the packaging specifications name an sdist
    return SdistFile(path=path, shown=str(path), default_name=_sanitised(project))


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _split_revision(path: str, text: str) -> tuple[str, str | None]:
    location, at, revision = path.rpartition("@")
    return (location, _check_revision(revision, text)) if at else (path, None)


def _check_revision(revision: str, text: str) -> str:
    if not revision or revision.startswith("-"):
        raise SourceError(f"{_redact(text)!r} has no usable revision after '@'; name a branch, a tag or a commit")
    return revision


def _sanitised(name: str) -> str:
    clean = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._-]+", "-", name)).strip(".-")[:100]
    return clean or "repository"


def _without_ending(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").rstrip("/")


def _redact(url: str) -> str:
    """Drop a user name and password: a token in a URL is a secret. ``git@`` and other bare user names of ssh stay."""
    return re.sub(r"(?<=://)[^/@]*:[^/@]*@|(?<=https://)[^/@]*@|(?<=http://)[^/@]*@", "", url)
