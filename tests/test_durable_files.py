import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cia.durable_files import exclusive, remove_unfinished, replace_bytes, replace_directory, replace_text
from cia.errors import BusyError, OperationError


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    replace_text(target, "old")
    with pytest.raises(TypeError):
        replace_bytes(target, "fails while it is being written")  # type: ignore[arg-type]
    assert target.read_text() == "old"
    replace_text(target, "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.json"]
    assert target.read_text() == "new"


def test_a_directory_is_replaced_only_when_the_block_succeeds(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with replace_directory(target) as staging:
        (staging / "a").write_text("1")
    with pytest.raises(FileExistsError), replace_directory(target) as staging:
        (staging / "b").mkdir() or (staging / "b").mkdir()
    assert [entry.name for entry in target.iterdir()] == ["a"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_a_full_disk_says_so_and_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "state.json"
    replace_text(target, "old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OperationError, match="no space left"):
        replace_text(target, "new")
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from cia.durable_files import replace_directory\n"
        "with replace_directory(Path(sys.argv[1])) as staging:\n"
        "    (staging / 'half').write_text('x'); print('writing', flush=True); time.sleep(60)"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "model")], stdout=subprocess.PIPE, text=True)
    assert writer.stdout
    assert writer.stdout.readline() == "writing\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert not (tmp_path / "model").exists()
    assert remove_unfinished(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_refused_while_held_and_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    lock = tmp_path / "index.lock"
    script = (
        "import sys, time; from pathlib import Path; from cia.durable_files import exclusive\n"
        "with exclusive(Path(sys.argv[1]), 'indexing httpx'):\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(lock)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match="indexing httpx"), exclusive(lock, "indexing httpx"):
        pass
    waits: list[str] = []
    started = time.monotonic()
    with pytest.raises(BusyError), exclusive(lock, "indexing httpx", wait_seconds=0.3, on_wait=waits.append):
        pass
    assert time.monotonic() - started >= 0.3
    assert len(waits) == 1
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(lock, "indexing httpx"):
        pass
