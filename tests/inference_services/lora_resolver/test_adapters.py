"""From a name to a folder, over a real registry: fetched once, bounded, and served on when the registry is away."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cia.registry.mlflow_client import open_client
from code_assistant_lora_resolver import adapters as adapters_module
from code_assistant_lora_resolver.adapters import Adapters, Deployment
from code_assistant_lora_resolver.errors import AdapterRefused, NoSuchAdapter, NotNow, RegistryAway
from code_assistant_lora_resolver.registry_client import CONFIG, WEIGHTS, RegistryClient
from tests.inference_services.lora_resolver.conftest import Registered, StandInServer

Open = Callable[..., Adapters]


def name(number: int) -> str:
    return f"code-assistant:{number}"


def cached(cache: Path) -> list[int]:
    return sorted(int(path.name.partition("-")[0]) for path in cache.glob("*/*"))


@pytest.fixture
def _forgets_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters_module, "REMEMBER_SECONDS", 0.0)


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The versions that were downloaded."""
    seen: list[int] = []
    download = RegistryClient.download

    def counted(self: RegistryClient, version: object, folder: Path) -> None:
        seen.append(version.number)  # type: ignore[attr-defined]
        download(self, version, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(RegistryClient, "download", counted)
    return seen


async def test_a_version_is_fetched_and_its_files_are_the_registered_ones(
    registered: Registered, open_adapters: Open, deployment: Deployment, cache: Path
) -> None:
    first, second = registered.register(), registered.register()
    adapters = open_adapters()
    folders = [await adapters.folder(name(number), str(registered.base), deployment) for number in (first, second)]
    assert folders[0] != folders[1]
    for folder, number in zip(folders, (first, second), strict=True):
        assert folder is not None
        assert folder.is_relative_to(cache)
        original = registered.folder / f"adapter-{registered.made - (second - number)}"
        assert (folder / WEIGHTS).read_bytes() == (original / WEIGHTS).read_bytes()


async def test_other_names_are_not_ours_and_hostile_ones_touch_nothing(
    open_adapters: Open, deployment: Deployment, cache: Path
) -> None:
    adapters = open_adapters("http://127.0.0.1:1")
    assert await adapters.folder("other:7", "base", deployment) is None
    with pytest.raises(NoSuchAdapter):
        await adapters.folder("code-assistant:../../7", "base", deployment)
    assert not cache.exists()


async def test_requests_for_one_version_share_one_fetch(
    registered: Registered, open_adapters: Open, deployment: Deployment, downloads: list[int]
) -> None:
    number = registered.register()
    adapters = open_adapters()
    requests = [asyncio.create_task(adapters.folder(name(number), str(registered.base), deployment)) for _ in range(32)]
    await asyncio.sleep(0)
    requests[0].cancel()  # the one that began the fetch goes away
    folders = await asyncio.gather(*requests[1:])
    assert len(set(folders)) == 1
    assert downloads == [number]


async def test_a_restarted_vllm_finds_what_was_fetched(
    registered: Registered, open_adapters: Open, deployment: Deployment, downloads: list[int]
) -> None:
    number = registered.register()
    folder = await open_adapters().folder(name(number), str(registered.base), deployment)
    assert await open_adapters().folder(name(number), str(registered.base), deployment) == folder
    assert downloads == [number]


async def test_what_is_cached_is_served_while_the_registry_is_away(
    registered: Registered, open_adapters: Open, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = registered.register()
    folder = await open_adapters().folder(name(number), str(registered.base), deployment)
    adapters = open_adapters()

    def away(self: RegistryClient, number: int) -> None:
        raise RegistryAway("the registry does not answer")

    monkeypatch.setattr(RegistryClient, "describe", away)
    assert await adapters.folder(name(number), str(registered.base), deployment) == folder
    with pytest.raises(RegistryAway):
        await adapters.folder(name(number + 1), str(registered.base), deployment)


async def test_a_slow_registry_holds_what_is_cached_up_for_moments_only(
    registered: Registered, open_adapters: Open, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = registered.register()
    folder = await open_adapters().folder(name(number), str(registered.base), deployment)
    adapters = open_adapters()
    answer = threading.Event()
    monkeypatch.setattr(RegistryClient, "describe", lambda self, number: answer.wait(30))
    monkeypatch.setattr(adapters_module, "PATIENCE_SECONDS", 0.2)
    try:
        assert await asyncio.wait_for(adapters.folder(name(number), str(registered.base), deployment), 5) == folder
    finally:
        answer.set()


async def test_a_version_that_was_deleted_is_not_loaded_again(
    registered: Registered, open_adapters: Open, deployment: Deployment
) -> None:
    number = registered.register()
    await open_adapters().folder(name(number), str(registered.base), deployment)
    open_client(registered.settings).delete_model_version("code-assistant", str(number))
    with pytest.raises(NoSuchAdapter, match=f"no code-assistant:{number}"):
        await open_adapters().folder(name(number), str(registered.base), deployment)


async def test_a_version_one_of_a_registry_made_anew_is_not_the_old_one(
    registered: Registered, open_adapters: Open, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    former, number = registered.register(), registered.register()
    folder = await open_adapters().folder(name(former), str(registered.base), deployment)
    describe = RegistryClient.describe

    def renumbered(self: RegistryClient, asked: int) -> object:
        found = describe(self, number)
        return type(found)(former, found.files, found.base_model, found.checksums)

    monkeypatch.setattr(RegistryClient, "describe", renumbered)
    again = await open_adapters().folder(name(former), str(registered.base), deployment)
    assert again is not None
    assert again != folder


def damage(file: str) -> Callable[[Path], None]:
    def change(adapter: Path) -> None:
        content = bytearray((adapter / file).read_bytes())
        content[-2] ^= 1
        (adapter / file).write_bytes(content)

    return change


def delete_the_weights(adapter: Path) -> None:
    (adapter / WEIGHTS).unlink()


def delete_all(adapter: Path) -> None:
    shutil.rmtree(adapter)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (damage(WEIGHTS), "is not the file that was registered"),
        (damage(CONFIG), "is not the file that was registered"),
        (delete_the_weights, "are gone from the registry"),
        (delete_all, "are gone from the registry"),
    ],
)
async def test_a_broken_version_is_refused_with_the_reason_and_leaves_nothing(
    registered: Registered, open_adapters: Open, deployment: Deployment, cache: Path, change: Callable[[Path], None], reason: str
) -> None:
    number = registered.register(change)
    with pytest.raises(AdapterRefused, match=reason):
        await open_adapters().folder(name(number), str(registered.base), deployment)
    assert cached(cache) == []
    assert not list(cache.glob(".staging-*"))


async def test_files_damaged_on_this_disk_are_fetched_again(
    registered: Registered, open_adapters: Open, deployment: Deployment, downloads: list[int]
) -> None:
    number = registered.register()
    folder = await open_adapters().folder(name(number), str(registered.base), deployment)
    assert folder is not None
    good = (folder / WEIGHTS).read_bytes()
    damage(WEIGHTS)(folder)
    assert await open_adapters().folder(name(number), str(registered.base), deployment) == folder
    assert (folder / WEIGHTS).read_bytes() == good
    assert downloads == [number, number]


async def test_another_base_model_is_refused_before_anything_is_fetched(
    registered: Registered, open_adapters: Open, deployment: Deployment, downloads: list[int]
) -> None:
    number = registered.register()
    with pytest.raises(AdapterRefused, match="trained on base; here runs other"):
        await open_adapters().folder(name(number), "/models/other", deployment)
    assert downloads == []


async def test_what_vllm_refuses_is_not_kept(
    registered: Registered, open_adapters: Open, server: StandInServer, cache: Path
) -> None:
    number = registered.register()

    def refuse(called: str, folder: Path) -> None:
        assert json.loads((folder / CONFIG).read_text())["r"] == 4
        raise AdapterRefused(f"vLLM does not serve {called}: LoRA rank 4 is greater than max_lora_rank 1.")

    with pytest.raises(AdapterRefused, match="greater than max_lora_rank"):
        await open_adapters().folder(name(number), str(registered.base), Deployment(server, refuse))
    assert cached(cache) == []


async def test_a_version_registered_without_checksums_is_refused(
    registered: Registered, open_adapters: Open, deployment: Deployment
) -> None:
    number = registered.register()
    open_client(registered.settings).delete_model_version_tag("code-assistant", str(number), f"sha256.{WEIGHTS}")
    with pytest.raises(AdapterRefused, match="without checksums"):
        await open_adapters().folder(name(number), str(registered.base), deployment)


async def test_a_failure_is_told_again_without_asking_again(
    registered: Registered, open_adapters: Open, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    describe = RegistryClient.describe

    def counted(self: RegistryClient, number: int) -> object:
        asked.append(number)
        return describe(self, number)

    monkeypatch.setattr(RegistryClient, "describe", counted)
    monkeypatch.setattr(adapters_module, "REMEMBER_SECONDS", 0.3)
    adapters = open_adapters()
    for _ in range(50):
        with pytest.raises(NoSuchAdapter):
            await adapters.folder(name(900_000), str(registered.base), deployment)
    assert asked == [900_000]
    await asyncio.sleep(0.35)
    number = registered.register()
    with pytest.raises(NoSuchAdapter):
        await adapters.folder(name(900_000), str(registered.base), deployment)
    assert asked == [900_000, 900_000]
    assert await adapters.folder(name(number), str(registered.base), deployment), "the failure of one is not that of another"


async def test_a_flood_of_versions_is_turned_away(
    registered: Registered, open_adapters: Open, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()

    def slow(self: RegistryClient, number: int) -> None:
        answer.wait(30)
        raise NoSuchAdapter("none such")

    monkeypatch.setattr(RegistryClient, "describe", slow)
    adapters = open_adapters()
    flood = [asyncio.create_task(adapters.folder(name(number), "base", deployment)) for number in range(1, 200)]
    await asyncio.sleep(0.1)
    turned_away = [task for task in flood if task.done()]
    assert len(turned_away) == 199 - adapters_module.MOST_AT_ONCE
    assert all(isinstance(task.exception(), NotNow) for task in turned_away)
    answer.set()
    assert all(isinstance(error, NotNow | NoSuchAdapter) for error in await asyncio.gather(*flood, return_exceptions=True))


async def test_a_fetch_that_takes_too_long_is_not_waited_for(
    registered: Registered, open_adapters: Open, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = registered.register()
    go_on = threading.Event()
    download = RegistryClient.download

    def slow(self: RegistryClient, version: object, folder: Path) -> None:
        go_on.wait(30)
        download(self, version, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(RegistryClient, "download", slow)
    monkeypatch.setattr(adapters_module, "FETCH_SECONDS", 0.5)
    adapters = open_adapters()
    with pytest.raises(NotNow, match="is being fetched"):
        await adapters.folder(name(number), str(registered.base), deployment)
    go_on.set()
    monkeypatch.setattr(adapters_module, "FETCH_SECONDS", 30.0)
    assert await adapters.folder(name(number), str(registered.base), deployment), "the fetch went on and is used"


async def test_the_least_recently_used_goes_and_its_name_is_unloaded_first(
    registered: Registered, open_adapters: Open, deployment: Deployment, server: StandInServer, cache: Path
) -> None:
    first, second, third = (registered.register() for _ in range(3))
    adapters = open_adapters(versions=2)
    for number in (first, second):
        await adapters.folder(name(number), str(registered.base), deployment)
    server.looks = {name(first): 2e10, name(second): 1e10}
    await adapters.folder(name(third), str(registered.base), deployment)
    assert cached(cache) == [first, third]
    assert server.unloaded == [name(second)]


@pytest.mark.usefixtures("_forgets_failures")
async def test_a_version_in_use_stays_and_when_all_are_the_new_one_waits(
    registered: Registered, open_adapters: Open, deployment: Deployment, server: StandInServer, cache: Path
) -> None:
    first, second, third = (registered.register() for _ in range(3))
    adapters = open_adapters(versions=2)
    for number in (first, second):
        await adapters.folder(name(number), str(registered.base), deployment)
    server.in_use = {name(first), name(second)}
    with pytest.raises(NotNow, match="no room for"):
        await adapters.folder(name(third), str(registered.base), deployment)
    assert cached(cache) == [first, second]
    assert server.unloaded == []
    server.in_use = {name(first)}
    assert await adapters.folder(name(third), str(registered.base), deployment)
    assert cached(cache) == [first, third]
    assert await adapters.folder(name(second), str(registered.base), deployment), "what went is fetched again"


async def test_a_version_that_is_refused_has_pushed_nothing_out(
    registered: Registered, open_adapters: Open, deployment: Deployment, server: StandInServer, cache: Path
) -> None:
    first, second, broken = registered.register(), registered.register(), registered.register(damage(WEIGHTS))
    adapters = open_adapters(versions=2)
    for number in (first, second):
        await adapters.folder(name(number), str(registered.base), deployment)
    with pytest.raises(AdapterRefused):
        await adapters.folder(name(broken), str(registered.base), deployment)
    assert cached(cache) == [first, second]
    assert server.unloaded == []


async def test_a_version_that_is_wanted_again_while_it_goes_stays(
    registered: Registered, open_adapters: Open, deployment: Deployment, server: StandInServer, cache: Path
) -> None:
    first, second, third = (registered.register() for _ in range(3))
    adapters = open_adapters(versions=2)
    for number in (first, second):
        await adapters.folder(name(number), str(registered.base), deployment)

    async def unload(unloaded: str) -> None:
        server.in_use.add(unloaded)  # a request came between

    server.unload = unload  # type: ignore[method-assign]
    with pytest.raises(NotNow, match="no room for"):
        await adapters.folder(name(third), str(registered.base), deployment)
    assert cached(cache) == [first, second]


async def test_the_bytes_are_bounded_too(
    registered: Registered, open_adapters: Open, deployment: Deployment, cache: Path
) -> None:
    numbers = [registered.register() for _ in range(4)]
    size = sum(path.stat().st_size for path in (registered.folder / f"adapter-{registered.made}").iterdir())
    adapters = open_adapters(versions=100, bytes=3 * size)
    for number in numbers:
        await adapters.folder(name(number), str(registered.base), deployment)
        assert sum(path.stat().st_size for path in cache.glob("*/*/*")) <= 3 * size
    assert cached(cache), "the newest is there"
    assert numbers[-1] in cached(cache)
    with pytest.raises(AdapterRefused, match="the adapter cache holds 0 MiB"):
        await open_adapters(bytes=size - 1, folder=cache.with_name("small")).folder(
            name(numbers[0]), str(registered.base), deployment
        )


async def test_fetches_at_the_same_time_keep_the_bound_together(
    registered: Registered, open_adapters: Open, deployment: Deployment, cache: Path
) -> None:
    numbers = [registered.register() for _ in range(5)]
    adapters = open_adapters(versions=3)
    fetched = await asyncio.gather(
        *(adapters.folder(name(number), str(registered.base), deployment) for number in numbers), return_exceptions=True
    )
    assert len(cached(cache)) <= 3
    assert all(isinstance(result, Path | NotNow) for result in fetched), fetched


async def test_a_hundred_promotions_leave_no_more_than_the_bound(
    registered: Registered, open_adapters: Open, deployment: Deployment, cache: Path
) -> None:
    numbers = [registered.register() for _ in range(4)]
    adapters = open_adapters(versions=2)
    for turn in range(100):
        await adapters.folder(name(numbers[turn % 4]), str(registered.base), deployment)
    assert len(cached(cache)) == 2
    assert not list(cache.glob(".staging-*"))
    assert len(list(Path("/proc/self/fd").iterdir())) < 200
    assert len(adapters._cache._holding) == 2


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB, with room for less than an adapter."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=50", "adapters", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a disk can be mounted by root only")
    (disk / "others").write_bytes(b"x" * 60 * 1024)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # its versions are held open


@pytest.mark.usefixtures("_forgets_failures")
async def test_a_full_disk_is_said_and_recovered_from(
    registered: Registered, open_adapters: Open, deployment: Deployment, full_disk: Path
) -> None:
    number = registered.register()
    adapters = open_adapters(folder=full_disk / "cache")
    with pytest.raises(NotNow, match=r"(?i)no space (is )?left"):
        await adapters.folder(name(number), str(registered.base), deployment)
    assert cached(full_disk / "cache") == []
    assert not list((full_disk / "cache").glob(".staging-*"))
    (full_disk / "others").unlink()
    assert await adapters.folder(name(number), str(registered.base), deployment)


async def test_a_cache_that_cannot_be_written_is_said(
    registered: Registered, open_adapters: Open, deployment: Deployment, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(NotNow, match="the adapter cache cannot be used"):
        await open_adapters(folder=file / "cache").folder(name(registered.register()), str(registered.base), deployment)
