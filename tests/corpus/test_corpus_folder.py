"""Plain folders: what is left in, what is left out, and the hash that stands for a commit."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from cia.corpus import Corpus, SourceFile, decode, split_lines
from cia.corpus.intake import content_commit
from cia.errors import InputError, SourceError
from cia.settings import CorpusSettings, Settings


@pytest.fixture
def plain(tmp_path):
    folder = tmp_path / "origins" / "plain"

    def write(files):
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write


def test_the_hash_is_what_sha256sum_gives_for_the_files_in_order(corpus, plain):
    folder = plain({"b.py": "b = 1\n", "a/z.py": "z = 1\n", "a.py": "a = 1\n"})

    listing = subprocess.run(["sha256sum", "a.py", "a/z.py", "b.py"], cwd=folder, capture_output=True, check=True).stdout
    expected = subprocess.run(["sha256sum"], input=listing, capture_output=True, check=True).stdout.split()[0].decode()

    assert corpus.add(str(folder)).commit == expected


def test_a_copy_elsewhere_with_other_times_has_the_same_commit(corpus, plain, tmp_path):
    folder = plain({"a.py": "a = 1\n", "b/c.py": "c = 1\n"})
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(copy / "a.py", (1, 1))

    assert corpus.add(str(copy)).commit == corpus.add(str(folder)).commit


@given(
    contents=st.dictionaries(
        st.text("abcdefgh/é", min_size=1, max_size=6).map(lambda text: text.strip("/") + ".py"),
        st.binary(max_size=20),
        min_size=1,
    ),
    order=st.randoms(use_true_random=False),
)
def test_the_hash_depends_on_paths_and_contents_and_not_on_order(contents, order):
    files = [SourceFile(path, f"{abs(hash(data)):064x}", len(data)) for path, data in contents.items()]
    shuffled = list(files)
    order.shuffle(shuffled)
    moved = [SourceFile(f"x{files[0].path}", files[0].blob, files[0].size), *files[1:]]

    assert content_commit(shuffled) == content_commit(files)
    assert content_commit(moved) != content_commit(files)


@given(data=st.binary(max_size=400) | st.text(alphabet="ab\n\r\f\u2028é", max_size=60).map(str.encode))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_the_lines_of_a_snapshot_are_those_of_split_lines(tmp_path, data):
    data = b"first\n" + data.replace(b"\0", b"")
    folder = tmp_path / "origins" / "lines"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file.txt").write_bytes(data)
    snapshot = Corpus(Settings(home=tmp_path / "home")).add(str(folder))
    expected = split_lines(decode(data))

    assert snapshot.lines("file.txt", 1, len(expected)) == expected
    assert snapshot.lines("file.txt", len(expected), len(expected)) == expected[-1:]
    with pytest.raises(InputError, match=f"has lines 1 to {len(expected)}"):
        snapshot.lines("file.txt", 1, len(expected) + 1)


@pytest.mark.parametrize("span", [(0, 1), (2, 1), (-1, 1)])
def test_a_range_that_is_none_is_refused(corpus, plain, span):
    snapshot = corpus.add(str(plain({"a.py": "a\nb\n"})))

    with pytest.raises(InputError, match="not within"):
        snapshot.lines("a.py", *span)
    with pytest.raises(InputError, match="no indexed file"):
        snapshot.lines("b.py", 1, 1)


def test_gitignore_files_are_followed_the_deepest_first(corpus, plain):
    folder = plain(
        {
            ".gitignore": "*.log\n/build/\n!\nsecret.txt\n",
            "a.py": "a = 1\n",
            "b.log": "x",
            "build/out.py": "x",
            "deep/build/kept.py": "x = 1\n",
            "deep/.gitignore": "!kept.log\n/only-here.py\n",
            "deep/kept.log": "x",
            "deep/only-here.py": "x",
            "deep/secret.txt": "x",
            "only-here.py": "x = 1\n",
        }
    )

    snapshot = corpus.add(str(folder))

    expected = [".gitignore", "a.py", "deep/.gitignore", "deep/build/kept.py", "deep/kept.log", "only-here.py"]
    assert [file.path for file in snapshot.files] == expected
    assert snapshot.skipped == {"ignored": 4}


def test_what_nobody_wrote_here_is_left_out_and_counted(corpus, plain):
    folder = plain(
        {
            "main.py": "x = 1\n",
            "node_modules/left/index.js": "x",
            "web/vendor/lib.js": "x",
            "third_party/a.c": "x",
            ".venv/lib/site.py": "x",
            "__pycache__/main.pyc": "x",
            "logo.png": b"\x89PNG",
            "data.raw": b"ab\0cd",
            "poetry.lock": "x",
            "web/app.min.js": "x",
            "api_pb2.py": "x",
            "made.go": "// Code generated by tool. DO NOT EDIT.\npackage x\n",
            "made.js": "/**\n * @generated by relay\n */\n",
            "talks.md": "Please DO NOT EDIT this by hand, it says; and @generated is a mark.\n",
            "large.py": "x" * 2001,
        }
    )
    corpus = Corpus(Settings(home=folder.parent / "home", corpus=CorpusSettings(max_file_bytes=2000)))

    snapshot = corpus.add(str(folder))

    assert [file.path for file in snapshot.files] == ["main.py", "talks.md"]
    assert snapshot.skipped == {"binary": 2, "generated": 5, "too large": 1, "tool folder": 2, "vendored": 3}


def test_one_line_of_a_megabyte_is_a_source_file(corpus, plain):
    line = "value = '" + "x" * 1_000_000 + "'"

    assert corpus.add(str(plain({"long.py": line}))).lines("long.py", 1, 1) == [line]


def test_a_folder_inside_another_repository_is_plain(corpus, app):
    app.write({".gitignore": "ignored/\n", "ignored/tool/a.py": "a = 1\n", "ignored/tool/b.py": "b = 1\n"})

    snapshot = corpus.add(str(app.path / "ignored" / "tool"))

    assert [file.path for file in snapshot.files] == ["a.py", "b.py"]
    assert len(snapshot.commit) == 64


def test_a_link_inside_is_counted_and_one_that_leaves_is_refused(corpus, plain, tmp_path):
    folder = plain({"a/b.py": "b = 1\n", ".gitignore": "ignored-link\n"})
    os.symlink("../a/b.py", folder / "a" / "again.py")
    os.symlink(folder / "a", folder / "absolute")
    os.symlink("/nowhere", folder / "ignored-link")
    os.symlink("/opt/environment", folder / ".venv")
    (tmp_path / "secret.py").write_text("secret = 1\n")

    snapshot = corpus.add(str(folder))
    assert [file.path for file in snapshot.files] == [".gitignore", "a/b.py"]
    assert snapshot.skipped == {"symbolic link": 4}

    os.symlink(tmp_path / "secret.py", folder / "out.py")
    with pytest.raises(SourceError, match=r"symbolic link 'out.py' .* leaves the repository"):
        corpus.add(str(folder))


def test_a_pipe_does_not_hold_the_reader_up(corpus, plain):
    folder = plain({"a.py": "a = 1\n"})
    os.mkfifo(folder / "pipe.py")

    assert corpus.add(str(folder)).skipped == {"special file": 1}


def test_the_state_folder_is_not_part_of_the_folder_it_lies_in(plain):
    folder = plain({"a.py": "a = 1\n"})
    corpus = Corpus(Settings(home=folder / "state"))
    first = corpus.add(str(folder))

    assert corpus.add(str(folder)).commit == first.commit
    assert corpus.moved_past(first) is None


def test_an_unusable_folder_is_said(corpus, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("x")

    with pytest.raises(SourceError, match="no source file to index"):
        corpus.add(str(tmp_path / "empty"))
    with pytest.raises(SourceError, match="is a file; a source is"):
        corpus.add(str(tmp_path / "note.txt"))


def test_a_name_belongs_to_one_source(corpus, plain, app):
    folder = plain({"a.py": "a = 1\n"})
    corpus.add(str(folder), name="shared")

    with pytest.raises(InputError, match=r"'shared' belongs to another source .*pass --name"):
        corpus.add(str(app.path), name="shared")
    assert corpus.add(str(folder), name="shared").repo == "shared"
    assert corpus.add(str(app.path), name="other").repo == "other"


@pytest.mark.parametrize("name", ["", "..", "a..b", ".a", "-a", "a/b", "a b", "a\n", "é", "x" * 101])
def test_a_name_that_cannot_be_a_folder_is_refused(corpus, app, name):
    with pytest.raises(InputError, match="cannot name a repository"):
        corpus.add(str(app.path), name=name)


def test_a_relative_path_and_a_link_to_a_folder_are_the_same_source(corpus, plain, monkeypatch):
    folder = plain({"a.py": "a = 1\n"})
    monkeypatch.chdir(folder.parent)
    os.symlink(folder, folder.parent / "link")

    assert corpus.add("plain").origin == corpus.add(str(folder)).origin == corpus.add("link").origin == str(folder)
