"""Versions on the disk: whole or absent, apart from each other, and never removed under a reader."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import code_assistant_lora_resolver
from code_assistant_lora_resolver.adapter_cache import AdapterCache
from code_assistant_lora_resolver.errors import NotNow
from code_assistant_lora_resolver.registry_client import FILES, RegisteredVersion

REGISTRY = "sqlite:///one.db\ncode-assistant"
PLUGIN = Path(code_assistant_lora_resolver.__file__).parents[1]

OTHER_PROCESS = """
import sys, time
from pathlib import Path
from code_assistant_lora_resolver.adapter_cache import AdapterCache
from code_assistant_lora_resolver.registry_client import RegisteredVersion
cache = AdapterCache(Path(sys.argv[1]), {registry!r})
{work}
"""


def version(number: int, content: str = "weights") -> RegisteredVersion:
    return RegisteredVersion(number, f"run-{number}", "base", dict.fromkeys(FILES, f"{content}-{number}"))


def keep(cache: AdapterCache, described: RegisteredVersion, content: str = "weights") -> Path:
    with cache.staging() as staging:
        files = staging / "files"
        files.mkdir()
        for name in FILES:
            (files / name).write_text(content)
        return cache.keep(files, described)


@contextmanager
def other_process(folder: Path, work: str) -> Iterator[subprocess.Popen[str]]:
    """Another process on the cache, which has done its work when the block begins, and then waits."""
    program = OTHER_PROCESS.format(registry=REGISTRY, work=f"{work}\nprint('done', flush=True)\ntime.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        env={**os.environ, "PYTHONPATH": str(PLUGIN)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "done\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".staging-*")]


def test_a_version_is_kept_whole_and_found_again(cache: Path) -> None:
    path = keep(AdapterCache(cache, REGISTRY), version(7))
    again = AdapterCache(cache, REGISTRY)
    assert again.newest(7) == version(7)
    assert again.hold(version(7)) == path
    assert {file.name for file in path.iterdir()} == {*FILES, "registered.json"}
    assert not leftovers(cache)


def test_versions_contents_and_registries_never_share_a_path(cache: Path) -> None:
    here, other = AdapterCache(cache, REGISTRY), AdapterCache(cache, "sqlite:///two.db\ncode-assistant")
    paths = [keep(here, version(1)), keep(here, version(11)), keep(here, version(1, "retrained")), keep(other, version(1))]
    assert len(set(paths)) == 4
    assert other.hold(version(11)) is None
    assert here.newest(2) is None


def test_a_download_that_fails_leaves_nothing(cache: Path) -> None:
    opened = AdapterCache(cache, REGISTRY)

    def break_off() -> None:
        with opened.staging() as staging:
            (staging / "half").write_text("ha")
            raise ConnectionError("the registry went away")

    with pytest.raises(ConnectionError):
        break_off()
    assert not leftovers(cache)
    assert opened.newest(7) is None


def test_what_a_killed_process_left_is_swept_and_a_running_download_is_not(cache: Path) -> None:
    opened = AdapterCache(cache, REGISTRY)
    work = "staging = cache.staging().__enter__(); (staging / 'half').write_text('ha')"
    with other_process(cache, f"keep = cache.staging(); staging = keep.__enter__(); {work.partition(';')[2]}") as process:
        opened.sweep()
        assert len(leftovers(cache)) == 1, "the download of a living process"
        process.send_signal(signal.SIGKILL)
        process.wait()
        opened.sweep()
    assert not leftovers(cache)


def test_a_version_that_another_process_serves_is_neither_removed_nor_counted(cache: Path) -> None:
    opened = AdapterCache(cache, REGISTRY)
    path = keep(opened, version(7))
    served = f"assert cache.hold(cache.newest(7))  # {path}"
    with other_process(cache, served) as process:
        assert not opened.remove(path)
        assert path.is_dir()
        assert opened.contents() == []
        process.kill()
        process.wait()
        assert [found.path for found in opened.contents()] == [path]
        assert opened.remove(path)
    assert not path.exists()


def test_what_is_held_here_is_removed_unless_it_is_wanted_again(cache: Path) -> None:
    opened = AdapterCache(cache, REGISTRY)
    path = keep(opened, version(7))
    assert not opened.remove(path, unless=lambda: True)
    assert path.is_dir()
    assert opened.remove(path, unless=lambda: False)
    assert not path.exists()
    assert not leftovers(cache)
    assert opened.hold(version(7)) is None


def test_two_processes_that_fetch_the_same_version_end_with_one_whole_folder(cache: Path) -> None:
    opened = AdapterCache(cache, REGISTRY)
    path = keep(opened, version(7), "the same")
    assert keep(AdapterCache(cache, REGISTRY), version(7), "the same") == path
    assert all((path / name).read_text() == "the same" for name in FILES)
    assert not leftovers(cache)


def test_a_damaged_version_is_mended_while_others_read_it(cache: Path) -> None:
    opened = AdapterCache(cache, REGISTRY)
    path = keep(opened, version(7), "damaged")
    with other_process(cache, "assert cache.hold(cache.newest(7))"):
        keep(opened, version(7), "mended")
        assert all((path / name).read_text() == "mended" for name in FILES)


def test_the_version_used_last_is_the_newest_under_its_number(cache: Path) -> None:
    opened = AdapterCache(cache, REGISTRY)
    first, second = keep(opened, version(1, "old")), keep(opened, version(1, "new"))
    os.utime(first, (1, 1))
    assert opened.newest(1) == version(1, "new")
    os.utime(second, (0, 0))
    assert opened.newest(1) == version(1, "old")


def test_what_is_not_a_version_is_left_alone(cache: Path, tmp_path: Path) -> None:
    opened = AdapterCache(cache, REGISTRY)
    keep(opened, version(7))
    outside = tmp_path / "outside"
    outside.mkdir()
    registry = next(path for path in cache.iterdir() if path.is_dir())
    (registry / "notes").mkdir()
    (cache / "lost+found").mkdir()
    (registry / "8-0123456789ab").symlink_to(outside)
    (cache / ".staging-0123").symlink_to(outside)
    elsewhere = outside / "9-0123456789ab"
    elsewhere.mkdir()
    (cache / "0123456789ab").symlink_to(outside)
    assert [found.number for found in opened.contents()] == [7]
    assert outside.is_dir()
    assert not opened.remove(registry / "8-0123456789ab")
    assert elsewhere.is_dir()


def test_a_process_that_was_stopped_with_the_lock_is_not_waited_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("code_assistant_lora_resolver.adapter_cache.LOCK_SECONDS", 0.2)
    with other_process(cache, "guard = cache._guard(); guard.__enter__()"):
        begun = time.monotonic()
        with pytest.raises(NotNow, match="another process"):
            AdapterCache(cache, REGISTRY).contents()
    assert time.monotonic() - begun < 5


def test_a_folder_without_its_record_is_no_version(cache: Path) -> None:
    path = keep(AdapterCache(cache, REGISTRY), version(7))
    (path / "registered.json").write_text("{")
    opened = AdapterCache(cache, REGISTRY)
    assert opened.newest(7) is None
