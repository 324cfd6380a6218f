"""Real git repositories, real archives and a real package index on loopback."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cia.corpus import Corpus
from cia.settings import Settings

MAIN = "def main():\n    return 1\n"


@dataclass
class GitFolder:
    """A git repository in a temporary folder, written to through the git command."""

    path: Path

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.path, env=environment, input=stdin, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def write(self, files: dict[str, str | bytes]) -> None:
        for path, content in files.items():
            target = self.path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: dict[str, str | bytes], message: str = "Change") -> str:
        self.write(files)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def commit_tree(self, listing: bytes) -> str:
        """Commit a tree that git's own commands would refuse to make, and return the commit."""
        tree = self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=listing)
        commit = self.git("commit-tree", tree, "-m", "Odd")
        self.git("update-ref", "refs/heads/main", commit)
        return commit


@pytest.fixture
def corpus(settings: Settings) -> Corpus:
    return Corpus(settings)


@pytest.fixture
def make_git(tmp_path: Path) -> Callable[[str], GitFolder]:
    def make(name: str = "app") -> GitFolder:
        path = tmp_path / "origins" / name
        path.mkdir(parents=True)
        folder = GitFolder(path)
        folder.git("init", "--quiet")
        return folder

    return make


@pytest.fixture
def app(make_git: Callable[[str], GitFolder]) -> GitFolder:
    folder = make_git("app")
    folder.commit({"app/main.py": MAIN, "app/__init__.py": "", "README.md": "# App\n\nIt runs.\n"})
    return folder


def _write_sdist(path: Path, files: dict[str, bytes], extra: list[tarfile.TarInfo] | None = None) -> Path:
    """Write a .tar.gz with ``files`` (whole names) and the entries ``extra``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.GzipFile(path, "wb", mtime=0) as compressed, tarfile.open(fileobj=compressed, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra or []:
            archive.addfile(member)
    return path


@pytest.fixture
def write_sdist() -> Callable[..., Path]:
    return _write_sdist


@dataclass
class Index:
    """A package index over HTTP that counts what is asked of it."""

    url: str
    folder: Path
    requests: list[str]
    failures: list[int]

    def publish(self, project: str, version: str, files: dict[str, bytes], digest: str | None = None) -> Path:
        archive = _write_sdist(self.folder / f"{project}-{version}.tar.gz", files)
        digest = digest or hashlib.sha256(archive.read_bytes()).hexdigest()
        page = self.folder / "simple" / project / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        link = f'<a href="../../{archive.name}#sha256={digest}">{archive.name}</a>\n'
        page.write_text((page.read_text() if page.exists() else "<!DOCTYPE html>\n") + link)
        return archive


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    folder = tmp_path / "index"
    folder.mkdir()
    asked: list[str] = []
    failures: list[int] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if failures:
                self.send_error(failures.pop())
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *parts: Handler(*parts, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/simple"
    monkeypatch.setenv("PIP_INDEX_URL", url)
    yield Index(url, folder, asked, failures)
    server.shutdown()
    server.server_close()
