"""Git repositories: what is read, from where, and at which commit."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cia.corpus import Corpus
from cia.errors import NotIndexedError, SourceError


def paths(snapshot):
    return [file.path for file in snapshot.files]


def test_a_git_folder_is_read_at_head_and_named_after_itself(corpus, app):
    snapshot = corpus.add(str(app.path))

    assert snapshot.repo == "app"
    assert snapshot.commit == app.git("rev-parse", "HEAD")
    assert paths(snapshot) == ["README.md", "app/__init__.py", "app/main.py"]
    assert snapshot.read_bytes("app/main.py") == b"def main():\n    return 1\n"
    assert snapshot.origin == str(app.path)


def test_the_working_tree_is_not_read(corpus, app):
    app.write({"app/main.py": "changed", "new.py": "untracked"})

    snapshot = corpus.add(str(app.path))

    assert snapshot.read_bytes("app/main.py").startswith(b"def main")
    assert not snapshot.has("new.py")


@pytest.mark.parametrize("kind", ["tag", "annotated", "branch/with-slash", "commit", "short commit", "relative"])
def test_a_revision_is_a_branch_a_tag_or_a_commit(corpus, app, kind):
    first = app.git("rev-parse", "HEAD")
    app.git("tag", "tag")
    app.git("tag", "-a", "annotated", "-m", "v1")
    app.git("branch", "branch/with-slash")
    app.commit({"app/main.py": "later"})
    revision = {"commit": first, "short commit": first[:10], "relative": "HEAD~1"}.get(kind, kind)

    snapshot = corpus.add(f"{app.path}@{revision}")

    assert snapshot.commit == first
    assert snapshot.revision == revision
    assert snapshot.source == f"{app.path}@{revision}"


def test_a_folder_whose_name_has_an_at_sign_is_not_split(corpus, make_git):
    folder = make_git("app@home")
    folder.commit({"a.py": "x = 1\n"})
    folder.git("tag", "v1")

    assert corpus.add(str(folder.path)).repo == "app-home"
    assert corpus.add(f"{folder.path}@v1").revision == "v1"


def test_a_bare_repository_and_a_linked_worktree_are_read(corpus, app, tmp_path):
    app.git("clone", "--quiet", "--bare", ".", str(tmp_path / "copy.git"))
    app.git("worktree", "add", "--quiet", str(tmp_path / "linked"))

    bare = corpus.add(str(tmp_path / "copy.git"))
    linked = corpus.add(str(tmp_path / "linked"))

    assert bare.repo == "copy"
    assert bare.commit == linked.commit == app.git("rev-parse", "HEAD")


def test_only_changed_contents_are_read_on_an_update(corpus, app):
    first = corpus.add(str(app.path))
    kept = first.blob_path(first.files[0].blob)
    written = kept.stat().st_mtime_ns
    commit = app.commit({"app/main.py": "def main():\n    return 2\n"})

    second = corpus.add(str(app.path))

    assert second.commit == commit
    assert second.read_bytes("app/main.py").endswith(b"2\n")
    assert kept.stat().st_mtime_ns == written
    assert corpus.get("app", first.commit).read_bytes("app/main.py").endswith(b"1\n")
    assert [snapshot.commit for snapshot in corpus.snapshots()] == [commit]


def test_a_commit_seen_before_costs_next_to_nothing(corpus, make_git):
    folder = make_git("large")
    folder.commit({f"m{n}.py": f"value = {n}\n" * 200 for n in range(400)})
    started = time.monotonic()
    first = corpus.add(str(folder.path))
    once = time.monotonic() - started
    started = time.monotonic()
    again = corpus.add(str(folder.path))
    twice = time.monotonic() - started

    assert again == first
    assert once < 5
    assert twice < 1


def test_submodules_links_and_lfs_pointers_are_counted_not_read(corpus, app):
    app.git("update-index", "--add", "--cacheinfo", f"160000,{app.git('rev-parse', 'HEAD')},library")
    app.git("commit", "--quiet", "-m", "Add a submodule")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    app.write({"data.csv": pointer})
    os.symlink("app/main.py", app.path / "link.py")
    app.git("add", "data.csv", "link.py")
    app.git("commit", "--quiet", "-m", "More")

    snapshot = corpus.add(str(app.path))

    assert snapshot.skipped == {"LFS pointer": 1, "submodule": 1, "symbolic link": 1}


@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd", "app/../../x"])
def test_a_link_that_leaves_the_repository_is_refused(corpus, app, target):
    os.symlink(target, app.path / "link")
    app.git("add", "link")
    app.git("commit", "--quiet", "-m", "Link")

    with pytest.raises(SourceError, match=r"symbolic link 'link' .* leaves the repository"):
        corpus.add(str(app.path))
    assert corpus.snapshots() == []


def test_a_tree_whose_path_climbs_out_is_refused(corpus, app):
    blob = app.git("rev-parse", "HEAD:README.md")
    inner = app.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", stdin=b"100644 evil.py\0" + bytes.fromhex(blob))
    app.commit_tree(b"40000 ..\0" + bytes.fromhex(inner))

    with pytest.raises(SourceError, match="leaves the repository"):
        corpus.add(str(app.path))


def test_a_name_that_cannot_be_shown_is_skipped(corpus, app):
    app.commit({"line\nfeed.py": "x = 1\n", os.fsdecode(b"latin-\xe9.py"): "x = 1\n"})

    assert corpus.add(str(app.path)).skipped == {"unprintable name": 2}


def test_what_is_missing_is_said_in_a_sentence(corpus, app, make_git, tmp_path):
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    for source, said in [
        (f"{app.path}@v9", "no revision 'v9'"),
        (f"{app.path}@", "no usable revision"),
        (f"{app.path}@--output=x", "no usable revision"),
        (str(make_git("empty").path), "no commit yet"),
        (str(tmp_path / "nowhere"), "no folder or file"),
        (str(tmp_path / "broken"), "git cannot read"),
        (f"{tmp_path / 'plain'}@v1", "not the top of a git repository"),
        ("ext::sh -c touch% /tmp/x", "not allowed"),
        ("ftp://example.org/x", "not allowed"),
        (f"file://{tmp_path}/nowhere.git", "could not fetch"),
        ("http://127.0.0.1:9/app.git", "could not fetch"),
        ("", "empty"),
    ]:
        with pytest.raises(SourceError, match=said) as caught:
            corpus.add(source)
        assert "\n" not in str(caught.value)
    assert corpus.snapshots() == []


def test_git_that_is_not_installed_is_said(corpus, app, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SourceError, match="not installed"):
        corpus.add(str(app.path))


def test_a_commit_without_source_files_is_refused(corpus, make_git):
    folder = make_git("pictures")
    folder.commit({"a.png": b"\x89PNG", "empty.py": ""})

    with pytest.raises(SourceError, match=r"no source file to index \(1 binary\)"):
        corpus.add(str(folder.path))


def test_the_repository_cannot_make_git_run_anything(corpus, app, tmp_path):
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {sprung}\ncat\n")
    trap.chmod(0o755)
    app.commit({".gitattributes": "*.py filter=trap diff=trap\n"})
    snapshot = corpus.add(str(app.path))
    for key in (
        "core.fsmonitor",
        "filter.trap.clean",
        "filter.trap.process",
        "core.pager",
        "diff.trap.textconv",
        "core.sshCommand",
    ):
        app.git("config", key, str(trap))
    app.git("config", "filter.trap.required", "true")
    for hook in ("post-index-change", "fsmonitor-watchman"):
        shutil.copy(trap, app.path / ".git" / "hooks" / hook)
    os.utime(app.path / "app/main.py", (1, 1))

    corpus.moved_past(snapshot)
    corpus.add(str(app.path))

    assert not sprung.exists()
    subprocess.run(["git", "status"], cwd=app.path, capture_output=True, check=False)
    assert sprung.exists(), "the trap itself works"


def test_replacement_objects_do_not_change_what_a_commit_holds(corpus, app):
    first = app.git("rev-parse", "HEAD:app/main.py")
    other = app.git("hash-object", "-w", "--stdin", stdin=b"replaced")
    app.git("replace", first, other)

    assert corpus.add(str(app.path)).read_bytes("app/main.py").startswith(b"def main")


def test_a_hook_environment_does_not_lead_to_another_repository(corpus, app, make_git, monkeypatch):
    other = make_git("other")
    other.commit({"other.py": "x = 1\n"})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git/index"))

    snapshot = corpus.add(str(app.path))

    assert snapshot.has("app/main.py")
    assert corpus.moved_past(snapshot) is None


def test_a_remote_is_copied_and_brought_up_to_date(corpus, app, settings):
    url = f"file://{app.path}"
    first = corpus.add(url)
    app.git("tag", "v1")
    commit = app.commit({"late.py": "x = 1\n"})

    second = corpus.add(url)

    assert (first.repo, first.origin, first.source) == ("app", None, url)
    assert second.commit == commit
    assert corpus.add(f"{url}@v1").commit == first.commit
    assert corpus.add(f"{url}@HEAD~1").commit == first.commit
    assert corpus.add(f"{url}@{commit}").commit == commit
    assert corpus.moved_past(second) is None
    assert (settings.home / "corpus" / "app" / "mirror.git" / "objects").is_dir()


def test_a_branch_that_was_rewritten_or_removed_upstream_is_followed(corpus, app):
    app.git("branch", "old")
    url = f"file://{app.path}"
    corpus.add(f"{url}@old")
    app.git("branch", "-D", "old")
    app.git("commit", "--quiet", "--amend", "-m", "Rewritten")

    assert corpus.add(url).commit == app.git("rev-parse", "HEAD")
    with pytest.raises(SourceError, match="no revision 'old'"):
        corpus.add(f"{url}@old")


def test_an_empty_remote_is_said(corpus, make_git):
    with pytest.raises(SourceError, match="no commit yet"):
        corpus.add(f"file://{make_git('empty').path}")


def test_a_fetch_that_was_killed_is_made_anew(corpus, app, settings):
    url = f"file://{app.path}"
    corpus.add(url)
    mirror = settings.home / "corpus" / "app" / "mirror.git"
    (mirror.parent / "mirror.git.fetching").touch()
    for name in ("packed-refs.lock", "HEAD.lock", "refs/heads/main.lock", "refs/origin/HEAD.lock"):
        (mirror / name).touch()
    commit = app.commit({"late.py": "x = 1\n"})

    assert corpus.add(url).commit == commit
    assert not (mirror.parent / "mirror.git.fetching").exists()


def test_a_password_in_a_url_is_neither_stored_nor_shown(corpus, settings):
    with pytest.raises(SourceError) as caught:
        corpus.add("http://ada:s3cret@127.0.0.1:9/app.git")

    assert "s3cret" not in str(caught.value)
    stored = [path for path in settings.home.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert stored == []


def test_an_unknown_repository_or_commit_is_named(corpus, app):
    corpus.add(str(app.path))

    with pytest.raises(NotIndexedError, match="'other'; indexed: app"):
        corpus.get("other")
    with pytest.raises(NotIndexedError, match="not indexed at commit"):
        corpus.get("app", "../current")
    with pytest.raises(NotIndexedError):
        corpus.get("../app")


def test_a_repository_of_another_user_is_read(corpus, app):
    if os.geteuid() != 0:
        pytest.skip("needs root to give files away")
    for path in [app.path, *app.path.rglob("*")]:
        os.chown(path, 12345, 12345, follow_symlinks=False)

    assert Corpus.add(corpus, str(app.path)).has("README.md")


def test_nothing_is_written_into_the_origin(corpus, app):
    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in app.path.rglob("*")}

    os.utime(app.path / "app/main.py", (1, 1))
    before = state()
    corpus.moved_past(corpus.add(str(app.path)))

    assert state() == before
