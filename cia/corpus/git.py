"""Reading a git repository through the ``git`` command, from its object store alone.

The repository is not trusted: its hooks, filters, file-system monitor, replacement objects and promised objects are all kept
from running or being fetched, and only ``ALLOWED_TRANSPORTS`` are open.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cia.corpus.source import ALLOWED_TRANSPORTS, LocalGit
from cia.errors import OperationError, SourceError

# What git itself calls local to a repository (``git rev-parse --local-env-vars``): set inside a hook, it would lead elsewhere.
_LOCAL_VARIABLES = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_CONFIG"),
    *("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE"),
    *("GIT_REPLACE_REF_BASE", "SSH_ASKPASS"),  # the last opens a window and waits for someone to type
)
_HARDENED = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.ext.allow=never")
_STALLED = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30")


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file of a git tree. ``mode`` is git's (``120000`` is a symbolic link, ``160000`` a submodule)."""

    path: str
    mode: str
    blob: str
    size: int


class GitRepository:
    """A repository that is read in place. ``shown`` stands for it in messages."""

    def __init__(self, git_dir: Path, shown: str, work_tree: Path | None = None) -> None:
        self._git_dir = git_dir
        self._work_tree = work_tree
        self._shown = shown

    @classmethod
    def of(cls, source: LocalGit) -> GitRepository:
        """The repository that ``source`` names."""
        return cls(source.git_dir, str(source.path), source.work_tree)

    def resolve(self, revision: str | None) -> str:
        """Return the full commit id of ``revision`` (default: HEAD). Raises SourceError when there is none."""
        wanted = f"{revision or 'HEAD'}^{{commit}}"
        result = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", wanted, check=False)
        if result.returncode == 0:
            return result.stdout.decode().strip()
        if self._run("rev-parse", "--git-dir", check=False).returncode != 0:
            raise SourceError(f"{self._shown} has a .git that git cannot read; run `git fsck` there, or index a fresh clone")
        if revision is None:
            raise SourceError(f"{self._shown} has no commit yet, so there is nothing to index; commit something first")
        raise SourceError(f"{self._shown} has no revision {revision!r}; `git tag` and `git branch --all` list what it has")

    def tree(self, commit: str) -> list[TreeEntry]:
        """Return all files of ``commit``, recursively. A path that is not UTF-8 keeps its bytes as surrogates."""
        listing = self._run("ls-tree", "-r", "-z", "--long", "--full-tree", commit, "--").stdout
        entries = []
        for record in listing.split(b"\0"):
            if record:
                fields, _, path = record.partition(b"\t")
                mode, kind, blob, size = fields.decode().split()
                if kind == "blob" and not size.isdigit():
                    raise self._incomplete(blob)
                entries.append(TreeEntry(os.fsdecode(path), mode, blob, 0 if size == "-" else int(size)))
        return entries

    @contextlib.contextmanager
    def objects(self) -> Iterator[Callable[[str], bytes]]:
        """Yield a function that returns the content of a blob id, answered by one ``git cat-file`` process."""
        with self._start("cat-file", "--batch") as process:
            try:
                yield lambda blob: self._one_object(process, blob)
            finally:
                process.kill()

    def head_and_changes(self) -> tuple[str | None, bool]:
        """Return the commit that HEAD names and whether tracked files of the working tree differ from it."""
        if self._work_tree is None:
            result = self._run("rev-parse", "--verify", "--quiet", "HEAD", check=False)
            return (result.stdout.decode().strip() or None), False
        status = self._run(
            *("status", "--porcelain=v2", "--branch", "--untracked-files=no", "--ignore-submodules=all", "--no-renames"),
            configuration=self._filters_off(),
        ).stdout.decode(errors="replace")
        head, dirty = None, False
        for line in status.splitlines():
            if line.startswith("# branch.oid "):
                head = line.removeprefix("# branch.oid ")
            elif not line.startswith("#"):
                dirty = True
        return head, dirty

    def fetch(self, url: str, revision: str | None) -> None:
        """Bring all branches and tags of ``url`` here, and its default branch as HEAD. Raises SourceError on any failure.

        ``url`` is never stored: it may carry a secret.
        """
        if not (self._git_dir / "HEAD").exists():
            self._git_dir.mkdir(parents=True, exist_ok=True)
            self._run("init", "--quiet", "--bare", "--template=")
            self._run("symbolic-ref", "HEAD", "refs/origin/HEAD")
        everything = ("+HEAD:refs/origin/HEAD", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        result = self._fetch(url, "--prune", "--no-tags", refspecs=everything)
        if result.returncode == 0:
            if revision and _is_commit_id(revision) and not self._has(revision):
                self._fetch(url, "--no-tags", refspecs=(revision,))  # a server may give out a commit that no branch holds
            return
        said = result.stderr.decode(errors="replace")
        if "No space left on device" in said:
            raise OperationError(f"no space left on the disk for {self._git_dir}; free some and run the same command again")
        if "couldn't find remote ref HEAD" in said:
            raise SourceError(f"{self._shown} has no commit yet, so there is nothing to index; push something first")
        last = " ".join((said.strip().splitlines() or ["no reason given"])[-1].replace(url, self._shown).split())
        raise SourceError(f"git could not fetch {self._shown}: {last}; check the address, the network and your access")

    def _fetch(self, url: str, *options: str, refspecs: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        return self._run(
            *("fetch", "--quiet", "--force", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance"),
            *options,
            *("--end-of-options", url, *refspecs),
            configuration=_STALLED,
            check=False,
        )

    def _has(self, commit: str) -> bool:
        return self._run("cat-file", "-e", f"{commit}^{{commit}}", check=False).returncode == 0

    def _filters_off(self) -> list[str]:
        """Comparing a touched file would run the clean filters that the repository configures; make them empty."""
        configuration = self._git_dir / "config"
        if configuration.is_file() and not re.search(
            rb"filter|include|worktreeconfig", configuration.read_bytes(), re.IGNORECASE
        ):
            return []
        names = self._run("config", "--local", "--includes", "--null", "--name-only", "--get-regexp", r"^filter\.", check=False)
        off = []
        for name in names.stdout.decode(errors="replace").split("\0"):
            if name:
                off += ["-c", f"{name}={'false' if name.endswith('.required') else ''}"]
        return off

    def _one_object(self, process: subprocess.Popen[bytes], blob: str) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{blob}\n".encode())
            process.stdin.flush()
        except BrokenPipeError:
            raise self._incomplete(blob) from None
        header = process.stdout.readline().split()
        if len(header) != 3 or header[1] != b"blob":
            raise self._incomplete(blob)
        size = int(header[2])
        data = process.stdout.read(size + 1)  # the content and the line feed that ends it
        if len(data) != size + 1:
            raise self._incomplete(blob)
        return data[:-1]

    def _incomplete(self, blob: str) -> SourceError:
        return SourceError(
            f"{self._shown} lacks the git object {blob[:12]}; it is damaged or a partial clone: index a full clone"
        )

    def _run(self, *arguments: str, configuration: Sequence[str] = (), check: bool = True) -> subprocess.CompletedProcess[bytes]:
        result = _git(self._command(arguments, configuration))
        if check and result.returncode != 0:
            said = " ".join(result.stderr.decode(errors="replace").split()) or f"git ended with {result.returncode}"
            raise SourceError(f"git could not read {self._shown}: {said}; run `git fsck` there, or index a fresh clone")
        return result

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command(arguments, ()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )

    def _command(self, arguments: Sequence[str], configuration: Sequence[str]) -> list[str]:
        place = [f"--git-dir={self._git_dir}"] + ([f"--work-tree={self._work_tree}"] if self._work_tree else [])
        return ["git", *_HARDENED, *configuration, *place, *arguments]


def _git(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        raise SourceError("the command `git` is not installed; install git to index a git repository") from None


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _LOCAL_VARIABLES}
    environment.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=15")
    return environment | {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": ":".join(ALLOWED_TRANSPORTS),
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def _is_commit_id(revision: str) -> bool:
    return len(revision) in (40, 64) and all(digit in "0123456789abcdef" for digit in revision)
