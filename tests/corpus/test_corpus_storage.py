"""What is on disk after a kill, a power cut, a full disk, two writers, a removal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cia.corpus import Corpus
from cia.durable_files import STAGING_MARK, exclusive
from cia.errors import InputError, NotIndexedError, OperationError
from cia.settings import Settings

ADD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from cia.corpus import Corpus
from cia.settings import Settings

deadly, rename = int(sys.argv[3]), os.replace
def replace(*paths):
    global deadly
    deadly -= 1
    if deadly == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(*paths)
os.replace = replace
Corpus(Settings(home=Path(sys.argv[1]))).add(sys.argv[2])
print("done")
"""


def add_and_die(home: Path, source: str, at_rename: int) -> int:
    """Add in another process that kills itself at one of its renames; each file, the manifest and the end are one."""
    return subprocess.run([sys.executable, "-c", ADD_AND_DIE, str(home), source, str(at_rename)], check=False).returncode


def everything(home: Path) -> dict[str, bytes]:
    root = home / "corpus"
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("at_rename", [1, 2, 3, 4, 5])
def test_a_killed_add_leaves_nothing_visible_and_the_next_one_is_whole(app, tmp_path, at_rename):
    killed, sound = tmp_path / "killed", tmp_path / "sound"

    assert add_and_die(killed, str(app.path), at_rename) == -signal.SIGKILL
    assert Corpus(Settings(home=killed)).snapshots() == []
    Corpus(Settings(home=killed)).add(str(app.path))
    Corpus(Settings(home=sound)).add(str(app.path))

    assert everything(killed) == everything(sound)


@pytest.mark.parametrize("at_rename", [1, 2, 3])
def test_a_killed_update_leaves_the_commit_before(app, tmp_path, at_rename):
    home = tmp_path / "killed"
    first = Corpus(Settings(home=home)).add(str(app.path))
    commit = app.commit({"app/main.py": "later = 1\n"})

    assert add_and_die(home, str(app.path), at_rename) == -signal.SIGKILL
    assert Corpus(Settings(home=home)).get("app") == first
    assert first.read_bytes("app/main.py").startswith(b"def main")
    assert Corpus(Settings(home=home)).add(str(app.path)).commit == commit
    assert not [path for path in home.rglob("*") if STAGING_MARK in path.name]


def test_the_script_that_dies_can_also_live(app, tmp_path):
    assert add_and_die(tmp_path / "home", str(app.path), 99) == 0


@pytest.mark.parametrize("damage", [b"", b"def main():\n    return 7\n", None])
@pytest.mark.parametrize("plain", [False, True])
def test_damaged_content_is_told_and_indexing_again_mends_it(corpus, app, damage, plain):
    if plain:
        for path in sorted((app.path / ".git").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (app.path / ".git").rmdir()
    snapshot = corpus.add(str(app.path))
    blob = next(file.blob for file in snapshot.files if file.path == "app/main.py")
    snapshot.blob_path(blob).unlink() if damage is None else snapshot.blob_path(blob).write_bytes(damage)

    with pytest.raises(OperationError, match=r"stored copy of app/app/main.py is (damaged|gone); run `cia index"):
        snapshot.read_bytes("app/main.py")
    assert corpus.add(str(app.path)).read_bytes("app/main.py") == b"def main():\n    return 1\n"
    assert snapshot.lines("app/main.py", 2, 2) == ["    return 1"]


def test_a_full_disk_is_told_in_a_sentence_and_space_heals_it(app, tmp_path):
    app.commit({f"m{n}.py": os.urandom(4000).hex() for n in range(60)})
    disk = tmp_path / "disk"
    disk.mkdir()
    add = (
        "from cia.corpus import Corpus; from cia.settings import Settings; from pathlib import Path; import sys\n"
        "try:\n    print(len(Corpus(Settings(home=Path(sys.argv[1]))).add(sys.argv[2]).files))\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    script = (
        f'mount -t tmpfs -o size=256k none {disk} || exit 99; "$0" -c "$1" {disk} "$2"; '
        f'mount -o remount,size=8m {disk}; "$0" -c "$1" {disk} "$2"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, sys.executable, add, str(app.path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("needs the right to mount a small disk")

    refused, healed = done.stdout.splitlines()
    assert refused.startswith("OperationError no space left on the disk")
    assert healed == "63"


def test_a_home_that_cannot_be_written_is_told(app, tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OperationError, match="CIA_HOME"):
        Corpus(Settings(home=tmp_path / "file")).add(str(app.path))


def test_a_second_writer_waits_and_says_so(corpus, app, settings):
    told: list[str] = []
    waiting = threading.Event()

    def progress(stage: str, *_: int) -> None:
        told.append(stage)
        waiting.set()

    writer = threading.Thread(target=corpus.add, args=(str(app.path),), kwargs={"progress": progress})
    with exclusive(settings.home / "corpus" / ".locks" / "app.lock", "indexing app"):
        writer.start()
        assert waiting.wait(10)
        assert corpus.snapshots() == []
    writer.join(10)

    assert told[0] == "waiting: another process is indexing app"
    assert told[-1] == "reading files"
    assert corpus.get("app").has("app/main.py")


def test_writers_at_the_same_time_agree(app, tmp_path):
    home = tmp_path / "home"
    command = [sys.executable, "-c", ADD_AND_DIE, str(home), str(app.path), "99"]
    writers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]

    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(Corpus(Settings(home=home)).get("app").files) == 3


def test_pruning_keeps_the_newest_and_what_is_asked_for(corpus, app):
    first = corpus.add(str(app.path))
    app.commit({"app/main.py": "second = 1\n"})
    second = corpus.add(str(app.path))
    app.commit({"app/main.py": "third = 1\n"})
    third = corpus.add(str(app.path))

    corpus.prune("app", keep={second.commit})

    assert corpus.get("app") == third
    assert corpus.get("app", second.commit).read_bytes("app/main.py") == b"second = 1\n"
    with pytest.raises(NotIndexedError):
        corpus.get("app", first.commit)
    with pytest.raises(OperationError, match="is gone"):
        first.read_bytes("app/main.py")
    assert third.read_bytes("README.md") == b"# App\n\nIt runs.\n"


def test_a_removed_repository_is_gone_and_its_name_is_free(corpus, app, make_git, settings):
    corpus.add(str(app.path), name="shared")
    other = make_git("other")
    other.commit({"other.py": "x = 1\n"})

    corpus.remove("shared")

    assert not (settings.home / "corpus" / "shared").exists()
    with pytest.raises(NotIndexedError, match="none yet"):
        corpus.remove("shared")
    assert corpus.add(str(other.path), name="shared").has("other.py")


def test_a_removal_that_was_killed_halfway_is_finished_before_the_name_is_used_again(corpus, app, make_git, settings):
    removed = corpus.add(str(app.path), name="shared")
    (settings.home / "corpus" / "shared" / "current.json").unlink()
    other = make_git("other")
    other.commit({"other.py": "x = 1\n"})

    assert corpus.snapshots() == []
    assert corpus.add(str(other.path), name="shared").has("other.py")
    with pytest.raises(NotIndexedError):
        corpus.get("shared", removed.commit)


def test_a_manifest_that_cannot_be_read_is_named(corpus, app, settings):
    snapshot = corpus.add(str(app.path))
    manifest = settings.home / "corpus" / "app" / "commits" / f"{snapshot.commit}.json"
    manifest.write_text("{")

    with pytest.raises(OperationError, match=str(manifest)):
        corpus.get("app")
    corpus.remove("app")
    assert corpus.add(str(app.path)) == snapshot


def test_other_rules_choose_the_files_of_the_same_commit_anew(app, settings):
    small = settings.model_copy(update={"corpus": settings.corpus.model_copy(update={"max_file_bytes": 20})})

    assert len(Corpus(settings).add(str(app.path)).files) == 3
    assert Corpus(small).add(str(app.path)).skipped == {"too large": 1}
    assert len(Corpus(settings).add(str(app.path)).files) == 3


def test_a_snapshot_is_read_by_name_only(corpus, app):
    snapshot = corpus.add(str(app.path))

    assert snapshot.has("README.md")
    assert not snapshot.has("../README.md")
    with pytest.raises(InputError, match="no indexed file"):
        snapshot.read_bytes("../../current.json")
    with pytest.raises(AttributeError):
        snapshot.commit = "other"


def test_progress_is_told_file_by_file(corpus, app):
    told: list[tuple[str, int, int]] = []
    corpus.add(str(app.path), progress=lambda stage, done, total: told.append((stage, done, total)))

    assert told == [("reading files", number, 3) for number in (1, 2, 3)]
