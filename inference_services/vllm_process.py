"""vLLM on this machine: started, watched, restarted when it dies, hangs or grows too large, and never left behind.

with VllmProcess(settings, model, adapters={"candidate": folder}) as vllm:
    ...  # an OpenAI-compatible server at vllm.base_url
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal

from cia.errors import OperationError, UnavailableError
from cia.leash import Leashed
from cia.progress import Progress, silent
from cia.settings import Settings
from cia.vllm_client import VllmClient
from inference_services.bounded_log import BoundedLog
from inference_services.vllm_arguments import VLLM_MODULE, vllm_arguments, vllm_environment
from inference_services.vllm_watch import HealthWatch, MemoryWatch, resident_gib

HOST = "127.0.0.1"
POLL_SECONDS = 0.25
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
STEADY_SECONDS = 120.0
"""After a server that ran this long the waits begin with the shortest again."""

READY = "vLLM is ready"
AGAIN = "starting it again in"
"""What ``tell`` hears begins with the one, or holds the other."""

State = Literal["stopped", "starting", "ready", "restarting"]


class VllmProcess:
    """One vLLM server on the loopback interface, and a thread that keeps it serving.

    ``model`` is a folder or the name of a model on the hub. ``adapters`` maps served names to folders; those loaded later come
    back after a restart too. What a registry holds needs neither: vLLM resolves it by itself. Port 0 takes a free one.
    ``tell`` hears in a sentence when the server is ready, and when and why it is started again.

    ``state``, ``restarts`` and ``trouble`` (why it was last started again, or could not be) may be read at any time.
    """

    def __init__(
        self,
        settings: Settings,
        model: Path | str,
        *,
        adapters: Mapping[str, Path] | None = None,
        port: int | None = None,
        progress: Progress = silent,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.port = settings.serving.port if port is None else port
        self.state: State = "stopped"
        self.restarts = 0
        self.trouble = ""
        self._settings = settings
        self._model = model
        self._adapters = dict(adapters or {})
        self._progress = progress
        self._tell = tell
        self._log = BoundedLog(settings.home / "logs" / "vllm.log")
        self._last_words: list[str] = []
        self._process: Leashed | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """The OpenAI-compatible address, ending in ``/v1``: what ``model.base_url`` wants."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def client(self) -> VllmClient:
        """To ask this server what it serves."""
        return VllmClient(self.base_url, self._settings.model)

    @property
    def memory_gib(self) -> float:
        """The resident memory of the server and its children, 0 while there is none."""
        process = self._process
        return resident_gib(process.group) if process is not None else 0.0

    def __enter__(self) -> VllmProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start vLLM and return when it answers with every model listed.

        Raises as ``launch`` does, and OperationError with vLLM's last words when its first start fails or takes longer than
        ``serving.start_timeout_seconds``.
        """
        self.launch()
        begun = time.monotonic()
        try:
            while self.state == "starting":
                self._progress("starting, seconds so far", int(time.monotonic() - begun), 0)
                time.sleep(POLL_SECONDS)
            if self.state != "ready":
                raise OperationError("\n".join([f"vLLM {self.trouble}", *(f"    {line}" for line in self._last_words)]))
        except BaseException:
            self.stop()
            raise

    def launch(self) -> None:
        """Start vLLM and return at once: ``state`` says how far it is, and a start that fails is tried again.

        Raises what waiting would not mend: UnavailableError when there is no vLLM to start, OperationError when there is no
        model in the folder or the port is taken, SettingsError for what vLLM would refuse.
        """
        interpreter = Path(self._settings.serving.vllm_python).absolute()
        if not interpreter.exists():
            raise UnavailableError(f"no vLLM at {interpreter}; install it with 'make setup', or set serving.vllm_python")
        self._model = _model_to_load(self._model)
        self.port = _bindable_port(self.port)
        self._command()  # settings that vLLM would refuse are told here, where somebody listens
        self._stopping.clear()
        self._log.begin()
        self.state, self.restarts, self.trouble = "starting", 0, ""
        self._supervisor = threading.Thread(target=self._supervise, name="vllm-supervisor", daemon=True)
        self._supervisor.start()

    def stop(self) -> None:
        """End vLLM and all its children; returns when they are gone. Safe to call twice."""
        self._stopping.set()
        self._end()  # before the supervisor, which may be waiting for an answer
        if self._supervisor is not None:
            self._supervisor.join()
            self._supervisor = None
        self.state = "stopped"

    def is_running(self) -> bool:
        """Whether the process lives; it may still be starting."""
        return self._process is not None and self._process.poll() is None

    def load_adapter(self, name: str, folder: Path) -> None:
        """Serve the adapter in ``folder`` as ``name`` from now on, restarts included.

        Raises AdapterError with vLLM's reason when it refuses, UnavailableError when it does not answer.
        """
        self.client.load_adapter(name, folder)
        self._adapters[name] = folder

    def unload_adapter(self, name: str) -> None:
        """Stop serving ``name``. Raises AdapterError when vLLM does not serve it, UnavailableError when it does not answer."""
        self.client.unload_adapter(name)
        self._adapters.pop(name, None)

    def _supervise(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                ended = self._serve()
            except OSError as error:  # no memory for a process, no disk for a log: both may be over in a while
                ended = f"cannot be started ({error.strerror})"
            self._end()
            if self._stopping.is_set():
                return
            if time.monotonic() - begun > STEADY_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            cause, self._last_words = self._log.last_words()
            self.trouble = f"{ended}: {cause} (the whole log: {self._log.path})"
            self.state = "restarting"
            self._announce(f"vLLM {self.trouble}; {AGAIN} {backoff:.0f} s (restart {self.restarts + 1})")
            if self._stopping.wait(backoff):
                return
            self.restarts += 1
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)

    def _serve(self) -> str:
        """Start vLLM once and watch over it; return what became of it, or "" when it was told to stop."""
        begun = time.monotonic()
        process = self._spawn()
        if process is None:
            return ""
        memory = MemoryWatch(process.group, self._settings.serving.memory_limit_gib)
        health: HealthWatch | None = None
        while not self._stopping.wait(POLL_SECONDS):
            if (code := process.poll()) is not None:
                return f"died with exit code {code}" if health else "could not start"
            self._log.trim()
            if problem := memory.problem() or (health.problem() if health else self._too_slow(begun)):
                return problem
            if health is None and self._lists_every_model():
                health = HealthWatch(f"http://{HOST}:{self.port}", self._settings.serving.hang_seconds)
                self.state = "ready"
                self._announce(f"{READY} after {time.monotonic() - begun:.0f} s at {self.base_url}")
        return ""

    def _spawn(self) -> Leashed | None:
        """Start the process, unless told to stop meanwhile."""
        settings = self._settings
        environment = {**os.environ, **vllm_environment(settings)}
        # The project's own path would make vLLM's interpreter import packages of another environment.
        environment.pop("PYTHONPATH", None)
        if key := os.environ.get(settings.model.api_key_variable):
            environment["VLLM_API_KEY"] = key
        command = self._command()
        with self._lock, self._log.open() as log:
            if self._stopping.is_set():
                return None
            self._process = Leashed(
                command, environment=environment, directory=settings.home, stdout=log, stderr=subprocess.STDOUT
            )
            return self._process

    def _command(self) -> list[str]:
        arguments = vllm_arguments(self._settings, self._model, adapters=self._adapters, host=HOST, port=self.port)
        return [str(Path(self._settings.serving.vllm_python).absolute()), "-m", VLLM_MODULE, *arguments]

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            process.stop()

    def _too_slow(self, begun: float) -> str:
        limit = self._settings.serving.start_timeout_seconds
        late = time.monotonic() - begun > limit
        return f"was not ready after {limit:.0f} s (serving.start_timeout_seconds)" if late else ""

    def _lists_every_model(self) -> bool:
        with contextlib.suppress(UnavailableError):
            return {self._settings.model.base_model, *self._adapters} <= set(self.client.models())
        return False

    def _announce(self, sentence: str) -> None:
        self._log.note(sentence)
        if self._tell is not None:
            with contextlib.suppress(OSError, ValueError):  # a terminal that was closed is no reason to stop watching
                self._tell(sentence)


def _model_to_load(model: Path | str) -> Path | str:
    """Return a folder as an absolute path, as vLLM runs in another directory, and a hub name as it is."""
    folder = Path(model).expanduser()
    if not folder.is_dir() and isinstance(model, str) and not model.startswith(("/", ".", "~")):
        return model
    if not (folder / "config.json").is_file():
        raise OperationError(f"no model in {model}: config.json is missing; train or download the base model first")
    return folder.absolute()


def _bindable_port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise OperationError(
                f"port {port} cannot be used for vLLM ({error.strerror}); end what listens there, or set CIA_SERVING__PORT=0"
            ) from None
        return int(probe.getsockname()[1])
