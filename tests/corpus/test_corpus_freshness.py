"""Whether a folder has moved past what was indexed."""

from __future__ import annotations

import os
import shutil
import time

import pytest


@pytest.fixture
def plain(tmp_path):
    folder = tmp_path / "origins" / "plain"
    folder.mkdir(parents=True)
    (folder / "a.py").write_text("a = 1\n")
    return folder


def test_a_clean_repository_has_not_moved(corpus, app):
    snapshot = corpus.add(str(app.path))
    app.write({"untracked.py": "x"})
    os.utime(app.path / "app/main.py", (1, 1))

    assert corpus.moved_past(snapshot) is None


def test_a_new_commit_is_told_with_what_to_run(corpus, app):
    snapshot = corpus.add(str(app.path))
    head = app.commit({"app/main.py": "later"})

    assert corpus.moved_past(snapshot) == (
        f"the working tree of app has moved past the indexed commit {snapshot.commit[:8]} (HEAD is {head[:8]});"
        f" run `cia index {app.path}` again"
    )


def test_an_uncommitted_change_is_told(corpus, app):
    snapshot = corpus.add(str(app.path))
    app.write({"app/main.py": "edited"})

    assert "uncommitted changes" in corpus.moved_past(snapshot)


def test_a_bare_repository_is_compared_at_the_revision_that_was_asked_for(corpus, app, tmp_path):
    app.git("tag", "v1")
    app.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    pinned = corpus.add(f"{tmp_path / 'bare.git'}@v1", name="pinned")
    head = corpus.add(str(tmp_path / "bare.git"), name="head")
    app.commit({"app/main.py": "later"})
    app.git("push", "--quiet", str(tmp_path / "bare.git"), "HEAD")

    assert corpus.moved_past(pinned) is None
    assert corpus.moved_past(head).startswith("the repository of head has moved past")


def test_a_plain_folder_is_compared_by_content(corpus, plain):
    snapshot = corpus.add(str(plain))
    assert corpus.moved_past(snapshot) is None

    os.utime(plain / "a.py", (1, 1))
    assert corpus.moved_past(snapshot) is None

    (plain / "b.py").write_text("b = 1\n")
    assert "has changed since it was indexed" in corpus.moved_past(snapshot)

    (plain / "b.py").unlink()
    (plain / "a.py").write_text("a = 2\n")
    assert f"run `cia index {plain}` again" in corpus.moved_past(snapshot)


def test_an_origin_that_is_gone_is_not_compared(corpus, plain):
    snapshot = corpus.add(str(plain))
    shutil.rmtree(plain)

    assert corpus.moved_past(snapshot) is None


def test_asking_is_cheap(corpus, app, plain):
    for number in range(300):
        (plain / f"m{number}.py").write_text(f"value = {number}\n")
    app.commit({f"m{number}.py": f"value = {number}\n" for number in range(300)})
    for snapshot in (corpus.add(str(plain)), corpus.add(str(app.path))):
        durations = []
        for _ in range(5):
            started = time.perf_counter()
            assert corpus.moved_past(snapshot) is None
            durations.append(time.perf_counter() - started)
        assert min(durations) < 0.1
