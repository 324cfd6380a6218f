"""Source distributions: found, verified, kept, and read without trusting them."""

from __future__ import annotations

import gzip
import os
import tarfile

import pytest

from cia.corpus import Corpus, sdist
from cia.errors import InputError, SourceError
from cia.settings import Settings

FILES = {"tool-1.0/PKG-INFO": b"Name: tool\n", "tool-1.0/src/tool/run.py": b"def run():\n    return 1\n"}


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_a_pinned_package_is_downloaded_once(corpus, index):
    index.publish("tool", "1.0", FILES)

    first = corpus.add("pypi:Tool==1.0")
    asked = list(index.requests)
    again = corpus.add("pypi:tool==1.0")

    assert first == again
    assert index.requests == asked
    assert (first.repo, first.source, first.origin) == ("tool", "pypi:tool==1.0", None)
    assert [file.path for file in first.files] == ["src/tool/run.py"]
    assert first.skipped == {"generated": 1}
    assert corpus.moved_past(first) is None


def test_a_new_version_updates_the_same_repository(corpus, index):
    index.publish("tool", "1.0", FILES)
    index.publish("tool", "1.1", {"tool-1.1/run.py": b"def run():\n    return 2\n"})
    first = corpus.add("pypi:tool==1.0")
    second = corpus.add("pypi:tool==1.1.0")

    assert second.commit != first.commit
    assert corpus.get("tool") == second
    assert corpus.get("tool", first.commit) == first


def test_a_local_sdist_has_the_commit_of_its_unpacked_folder(corpus, tmp_path, write_sdist):
    archive = write_sdist(tmp_path / "tool-1.0.tar.gz", FILES)
    with tarfile.open(archive) as members:
        members.extractall(tmp_path, filter="data")

    assert corpus.add(str(archive)).commit == corpus.add(str(tmp_path / "tool-1.0")).commit


def test_a_server_that_stumbles_is_asked_again(corpus, index):
    index.publish("tool", "1.0", FILES)
    index.failures += [503, 500]

    assert corpus.add("pypi:tool==1.0").has("src/tool/run.py")
    assert len(index.requests) == 4


def test_a_wrong_digest_is_refused_and_nothing_is_kept(corpus, index, settings):
    index.publish("tool", "1.0", FILES, digest="0" * 64)

    with pytest.raises(SourceError, match="does not match the index's digest"):
        corpus.add("pypi:tool==1.0")
    assert [path.name for path in (settings.home / "corpus" / ".sdists").iterdir()] == [".lock"]


def test_what_the_index_does_not_have_is_said(corpus, index, monkeypatch):
    index.publish("tool", "1.0", FILES)
    wheels = index.folder / "simple" / "wheels" / "index.html"
    wheels.parent.mkdir()
    wheels.write_text('<!DOCTYPE html>\n<a href="../../wheels-1.0-py3-none-any.whl#sha256=00">wheels-1.0-py3-none-any.whl</a>')

    for source, said in [
        ("pypi:absent==1.0", "no project 'absent'"),
        ("pypi:tool==2.0", "no release '2.0'"),
        ("pypi:wheels==1.0", "without a .tar.gz sdist"),
        ("pypi:tool", "not a pinned package"),
        ("pypi:tool>=1.0", "not a pinned package"),
        ("pypi:../tool==1.0", "not a pinned package"),
    ]:
        with pytest.raises(SourceError, match=said):
            corpus.add(source)

    monkeypatch.setattr(sdist, "RETRIES", 0)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(SourceError, match="could not be downloaded"):
        corpus.add("pypi:tool==1.0")


def test_nothing_of_the_package_is_run(corpus, index, tmp_path):
    sprung = tmp_path / "sprung"
    trap = f"open({str(sprung)!r}, 'w')".encode()
    backend = b'[build-system]\nrequires = []\nbuild-backend = "trap"\nbackend-path = ["."]\n'
    index.publish("tool", "1.0", {"tool-1.0/setup.py": trap, "tool-1.0/trap.py": trap, "tool-1.0/pyproject.toml": backend})

    corpus.add("pypi:tool==1.0")

    assert not sprung.exists()


@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        (entry("tool-1.0/../../evil.py"), "leaves the repository"),
        (entry("/tmp/evil.py"), "leaves the repository"),
        (entry("../evil.py"), "leaves the repository"),
        (entry("other/evil.py"), "more than one top folder"),
        (entry("tool-1.0/link", tarfile.SYMTYPE, "../evil"), "symbolic link 'link'"),
        (entry("tool-1.0/link", tarfile.SYMTYPE, "/etc/passwd"), "symbolic link 'link'"),
        (entry("tool-1.0/hard", tarfile.LNKTYPE, "/etc/passwd"), "leaves the repository"),
        (entry("tool-1.0/hard", tarfile.LNKTYPE, "../../etc/passwd"), "leaves the repository"),
        (entry("tool-1.0/zero", tarfile.CHRTYPE), "a device or pipe"),
        (entry("tool-1.0/pipe", tarfile.FIFOTYPE), "a device or pipe"),
    ],
)
def test_a_hostile_archive_is_refused(corpus, tmp_path, hostile, said, write_sdist):
    archive = write_sdist(tmp_path / "in" / "tool-1.0.tar.gz", FILES, [hostile])
    before = set(tmp_path.iterdir())

    with pytest.raises(SourceError, match=said):
        corpus.add(str(archive))
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "home"}
    assert corpus.snapshots() == []


def test_links_inside_an_archive_are_counted(corpus, tmp_path, write_sdist):
    links = [
        entry("tool-1.0/soft.py", tarfile.SYMTYPE, "src/tool/run.py"),
        entry("tool-1.0/hard.py", tarfile.LNKTYPE, "tool-1.0/src/tool/run.py"),
    ]
    archive = write_sdist(tmp_path / "tool-1.0.tar.gz", FILES, links)

    assert corpus.add(str(archive)).skipped == {"generated": 1, "hard link": 1, "symbolic link": 1}


def test_a_decompression_bomb_ends_early(corpus, tmp_path, monkeypatch, write_sdist):
    monkeypatch.setattr(sdist, "MAX_UNPACKED_BYTES", 2**20)
    archive = write_sdist(tmp_path / "bomb-1.0.tar.gz", {"bomb-1.0/a.py": b"x = 1\n", "bomb-1.0/zeros.txt": b"0" * 2**22})
    assert archive.stat().st_size < 2**14

    with pytest.raises(SourceError, match="unpacks to more than 1 MiB"):
        corpus.add(str(archive))


def test_a_broken_archive_is_said(corpus, tmp_path, write_sdist):
    whole = write_sdist(tmp_path / "whole" / "tool-1.0.tar.gz", {"tool-1.0/a.py": os.urandom(9000).hex().encode()}).read_bytes()
    for name, data in [
        ("cut", whole[: len(whole) // 2]),
        ("text", b"not an archive"),
        ("empty", b""),
        ("inner", gzip.compress(b"not a tar" * 100)),
    ]:
        path = tmp_path / f"{name}-1.0.tar.gz"
        path.write_bytes(data)
        with pytest.raises(SourceError, match=r"not a readable .tar.gz|no source file"):
            corpus.add(str(path))


def test_a_name_is_taken_by_the_first_source(corpus, index, tmp_path, write_sdist):
    index.publish("tool", "1.0", FILES)
    corpus.add("pypi:tool==1.0")

    with pytest.raises(InputError, match="pass --name"):
        corpus.add(str(write_sdist(tmp_path / "tool-1.0.tar.gz", FILES)))


def test_a_real_package_gives_the_pinned_content(tmp_path):
    corpus = Corpus(Settings(home=tmp_path / "home"))
    try:
        snapshot = corpus.add("pypi:httpx==0.28.1")
    except SourceError as error:
        if "could not be downloaded" not in str(error):
            raise
        pytest.skip(f"the package index is not reachable: {error}")

    assert snapshot.lines("httpx/_urls.py", 552, 552) == ["    def add(self, key: str, value: typing.Any = None) -> QueryParams:"]
    assert len(snapshot.files) > 60


def test_a_killed_download_leaves_nothing_behind(corpus, index, settings):
    index.publish("tool", "1.0", FILES)
    leftover = settings.home / "corpus" / ".sdists" / ".staging-dead"
    leftover.mkdir(parents=True)
    (leftover / "sdist").write_bytes(b"half")

    corpus.add("pypi:tool==1.0")

    assert sorted(path.name for path in leftover.parent.iterdir()) == [".lock", "tool-1.0.tar.gz"]
