"""vLLM on this machine: started, watched, restarted when it dies, and never left behind.

with VllmProcess(settings, model_folder, adapters={"code-assistant:3": folder}) as vllm:
    ...  # an OpenAI-compatible server at vllm.base_url
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from cia.errors import OperationError, UnavailableError
from cia.leash import Leashed
from cia.progress import Progress, silent
from cia.settings import Settings
from cia.vllm_client import VllmClient
from inference_services.vllm_arguments import VLLM_MODULE, vllm_arguments, vllm_environment

HOST = "127.0.0.1"
POLL_SECONDS = 0.25
FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
STEADY_SECONDS = 120.0
"""A server that ran this long before it died is restarted without delay."""


class VllmProcess:
    """One vLLM server on the loopback interface, with a thread that restarts it when it dies.

    ``adapters`` maps served names to folders; those loaded later come back after a restart too. Port 0 takes a free one.
    """

    def __init__(
        self,
        settings: Settings,
        model: Path,
        *,
        adapters: Mapping[str, Path] | None = None,
        port: int | None = None,
        progress: Progress = silent,
    ) -> None:
        self.log = settings.home / "logs" / "vllm.log"
        self.port = settings.serving.port if port is None else port
        self.restarts = 0
        self._settings = settings
        self._model = model
        self._adapters = dict(adapters or {})
        self._progress = progress
        self._process: Leashed | None = None
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

    def __enter__(self) -> VllmProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start vLLM and return when it answers with every model listed.

        Raises UnavailableError when there is no vLLM to start, and OperationError with vLLM's last words when the port is
        taken, when it dies while starting, or when it is not ready within ``serving.start_timeout_seconds``.
        """
        interpreter = Path(self._settings.serving.vllm_python).absolute()
        if not interpreter.exists():
            raise UnavailableError(f"no vLLM at {interpreter}; install it with 'make setup', or set serving.vllm_python")
        if not (self._model / "config.json").is_file():
            raise OperationError(f"no model in {self._model}: config.json is missing; train or download the base model first")
        self.port = _bindable_port(self.port)
        self._stopping.clear()
        self._launch(fresh_log=True)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        self._supervisor = threading.Thread(target=self._supervise, name="vllm-supervisor", daemon=True)
        self._supervisor.start()

    def stop(self) -> None:
        """End vLLM and all its children; returns when they are gone. Safe to call twice."""
        self._stopping.set()
        if self._supervisor is not None and self._supervisor is not threading.current_thread():
            self._supervisor.join()
            self._supervisor = None
        self._end()

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

    def _launch(self, *, fresh_log: bool) -> None:
        settings = self._settings
        environment = {**os.environ, **vllm_environment(settings)}
        # The project's own path would make vLLM's interpreter import packages of another environment.
        environment.pop("PYTHONPATH", None)
        if key := os.environ.get(settings.model.api_key_variable):
            environment["VLLM_API_KEY"] = key
        arguments = vllm_arguments(settings, self._model, adapters=self._adapters, host=HOST, port=self.port)
        command = [str(Path(settings.serving.vllm_python).absolute()), "-m", VLLM_MODULE, *arguments]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb" if fresh_log else "ab") as log:
            self._process = Leashed(
                command, environment=environment, directory=settings.home, stdout=log, stderr=subprocess.STDOUT
            )

    def _end(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _wait_until_ready(self) -> None:
        limit = self._settings.serving.start_timeout_seconds
        begun = time.monotonic()
        wanted = {self._settings.model.base_model, *self._adapters}
        while not self._stopping.is_set():
            seconds = time.monotonic() - begun
            self._progress("starting, seconds so far", int(seconds), 0)
            if not self.is_running():
                raise OperationError(f"vLLM could not start: {self._last_words()}")
            if seconds > limit:
                raise OperationError(
                    f"vLLM was not ready after {limit:.0f} s (serving.start_timeout_seconds): {self._last_words()}"
                )
            with contextlib.suppress(UnavailableError):
                if wanted <= set(self.client.models()):
                    return
            self._stopping.wait(POLL_SECONDS)

    def _supervise(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        started = time.monotonic()
        while not self._stopping.wait(POLL_SECONDS):
            if self.is_running():
                continue
            if time.monotonic() - started > STEADY_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS
            elif self._stopping.wait(backoff):
                return
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
            self._end()
            with self.log.open("a") as log:
                log.write("\n--- vLLM died; starting it again ---\n")
            self.restarts += 1
            started = time.monotonic()
            self._launch(fresh_log=False)

    def _last_words(self, lines: int = 15) -> str:
        """The end of the log: the line that names the error, the path of the log, and the lines before it."""
        try:
            words = self.log.read_text(errors="replace").rstrip().splitlines()[-lines:]
        except OSError:
            words = []
        cause = next((line.strip() for line in reversed(words) if "Error" in line), "no error message")
        return "\n".join([f"{cause} (the whole log: {self.log})", *(f"    {line}" for line in words)])


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
