"""From a name to a folder that vLLM may load: asked of the registry, fetched once, checked, and kept within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from code_assistant_lora_resolver import checks
from code_assistant_lora_resolver.adapter_cache import AdapterCache
from code_assistant_lora_resolver.errors import NotNow, RegistryAway, ResolveError
from code_assistant_lora_resolver.names import version_of
from code_assistant_lora_resolver.plugin_settings import PluginSettings
from code_assistant_lora_resolver.registry_client import RegisteredVersion, RegistryClient
from code_assistant_lora_resolver.room import Room
from code_assistant_lora_resolver.server import Server

T = TypeVar("T")

FETCH_SECONDS = 90.0
"""A request waits so long for its adapter. The fetch itself goes on: the next request may find it done."""

PATIENCE_SECONDS = 2.0
"""So long the registry is waited for when the version is on the disk already."""

REMEMBER_SECONDS = 2.0
"""A failure is told again for so long without asking again, so that a flood of requests is no flood for the registry."""

MOST_AT_ONCE = 16
"""Versions that are being resolved at a time; the requests for others are told to come again."""

THREADS = 8


@dataclass(frozen=True, slots=True)
class Deployment:
    """The vLLM that loads: its server, and its own check of a folder for the adapter of that name."""

    server: Server
    check: Callable[[str, Path], None]


class Adapters:
    """The registered versions, as folders. Used on one event loop; what blocks runs in threads."""

    def __init__(self, settings: PluginSettings) -> None:
        self.model = settings.registered_model
        self._registry = RegistryClient(settings.registry_uri, settings.registered_model)
        self._base_models = settings.base_models
        self._cache = AdapterCache(settings.cache, f"{settings.registry_uri}\n{settings.registered_model}")
        self._room = Room(self._cache, self.model, settings.cached_adapters, settings.cached_bytes)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="adapter")
        self._resolving: dict[int, tuple[float, asyncio.Task[Path]]] = {}
        self._failed: dict[int, tuple[float, ResolveError]] = {}
        self._away: tuple[float, RegistryAway] | None = None

    def warm(self) -> None:
        """Do what takes seconds before the first request: import MLflow. And remove what killed processes left."""
        with contextlib.suppress(NotNow, OSError):  # the first request is told
            self._cache.sweep()
        self._registry.warm()

    async def folder(self, name: str, base_model: str, deployment: Deployment) -> Path | None:
        """Return the folder of the adapter called ``name``; None when the name is not one of ours.

        ``base_model`` is the name or the folder that vLLM loaded its model by. Requests for the same version share one fetch, and
        one that leaves does not end it. Raises ResolveError.
        """
        number = version_of(name, self.model)
        if number is None:
            return None
        if remembered := self._remembered(number):
            raise remembered
        if number not in self._resolving:
            if len(self._resolving) >= MOST_AT_ONCE:
                raise NotNow(f"{MOST_AT_ONCE} adapters are being fetched; ask for {name} again in a moment")
            # In a context of its own: what this task looks up is not looked up by the request that happened to come first.
            task = asyncio.create_task(self._resolve(number, base_model, deployment), context=Context())
            self._resolving[number] = (time.monotonic(), task)
            task.add_done_callback(lambda done: self._finish(number, done))
        begun, task = self._resolving[number]
        try:
            return await asyncio.wait_for(asyncio.shield(task), max(0.0, begun + FETCH_SECONDS - time.monotonic()))
        except TimeoutError:
            raise NotNow(f"{name} is being fetched, for {time.monotonic() - begun:.0f} s now; the registry is slow") from None

    def _remembered(self, number: int) -> ResolveError | None:
        now = time.monotonic()
        self._failed = {failed: facts for failed, facts in self._failed.items() if now - facts[0] < REMEMBER_SECONDS}
        return self._failed[number][1].with_traceback(None) if number in self._failed else None

    def _finish(self, number: int, done: asyncio.Task[Path]) -> None:
        del self._resolving[number]
        error = None if done.cancelled() else done.exception()
        if isinstance(error, ResolveError):
            self._failed[number] = (time.monotonic(), error)

    async def _resolve(self, number: int, base_model: str, deployment: Deployment) -> Path:
        try:
            known = await self._in_thread(lambda: self._cache.newest(number))
            version = await self._described(number, known)
            name = f"{self.model}:{number}"
            checks.check_base(name, version.base_model, self._served(base_model))
            if folder := await self._in_thread(lambda: self._cached(version)):
                await self._in_thread(lambda: self._check(name, folder, base_model, deployment))
                return folder
            size = await self._in_thread(lambda: self._registry.size(version))
            await self._room.expect(name, size, deployment.server)
            fetched = self._fetched(name, version, base_model, deployment)
            # Room is made after the fetch, so that a version that is refused has pushed nothing out.
            async with fetched as files, self._room.made(name, size, deployment.server):
                return await self._in_thread(lambda: self._cache.keep(files, version))
        except OSError as error:
            raise NotNow(f"the adapter cache cannot be used ({error.strerror}); look at its disk and its rights") from error

    async def _described(self, number: int, known: RegisteredVersion | None) -> RegisteredVersion:
        """What the registry says of the version; what it said before when that is ``known`` here and it does not answer now.

        So a version that was deleted is not loaded again, and one that is only out of reach is.
        """
        away = self._away
        if away is None or time.monotonic() - away[0] >= REMEMBER_SECONDS:
            try:
                asked = self._in_thread(lambda: self._registry.describe(number))
                return await asyncio.wait_for(asked, PATIENCE_SECONDS if known else None)
            except TimeoutError:
                away = (time.monotonic(), RegistryAway(f"the registry did not answer within {PATIENCE_SECONDS:.0f} s"))
            except RegistryAway as error:
                away = (time.monotonic(), error)
            self._away = away
        if known is None:
            raise away[1].with_traceback(None)
        return known

    def _cached(self, version: RegisteredVersion) -> Path | None:
        """The folder of the version when it is here and undamaged."""
        folder = self._cache.hold(version)
        return folder if folder is not None and checks.is_intact(folder, version.checksums) else None

    @contextlib.asynccontextmanager
    async def _fetched(
        self, name: str, version: RegisteredVersion, base_model: str, deployment: Deployment
    ) -> AsyncIterator[Path]:
        """The folder that a version was downloaded to, and found good, while the block keeps it."""

        def fetch(files: Path) -> None:
            files.mkdir()
            self._registry.download(version, files)
            checks.check_checksums(name, files, version.checksums)
            self._check(name, files, base_model, deployment)

        staging = self._cache.staging()
        files = await self._in_thread(staging.__enter__) / "files"
        try:
            await self._in_thread(lambda: fetch(files))
            yield files
        finally:
            await self._in_thread(lambda: staging.__exit__(None, None, None))

    def _check(self, name: str, folder: Path, base_model: str, deployment: Deployment) -> None:
        """All but the checksums. Files from the cache are checked too: this vLLM may have other limits than the last."""
        checks.check_base(name, checks.read_config(name, folder)["base_model_name_or_path"], self._served(base_model))
        deployment.check(name, folder)
        checks.check_weights(name, folder, Path(base_model))

    def _served(self, base_model: str) -> set[str]:
        return {base_model, *self._base_models}

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)
