"""Prometheus and Alertmanager themselves, as Debian packages them."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

START_SECONDS = 20.0


def program(name: str, package: str) -> str:
    """Where a program is; skips the test where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt-get install {package})")
    return found


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool", "prometheus"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [program("amtool", "prometheus-alertmanager"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@contextlib.contextmanager
def running_prometheus(folder: Path, configuration: dict[str, Any]) -> Iterator[httpx.Client]:
    """Prometheus with ``configuration``; yields a client of its API."""
    binary, port = program("prometheus", "prometheus"), _free_port()
    path = _written(folder / "prometheus.yml", configuration)
    arguments = [
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running([binary, *arguments], folder / "prometheus.log", port) as client:
        yield client


@contextlib.contextmanager
def running_alertmanager(folder: Path, configuration: dict[str, Any]) -> Iterator[httpx.Client]:
    """Alertmanager with ``configuration``; yields a client of its API."""
    binary, port = program("prometheus-alertmanager", "prometheus-alertmanager"), _free_port()
    path = _written(folder / "alertmanager.yml", configuration)
    arguments = [
        f"--config.file={path}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with _running([binary, *arguments], folder / "alertmanager.log", port) as client:
        yield client


@contextlib.contextmanager
def _running(command: list[str], log: Path, port: int) -> Iterator[httpx.Client]:
    with log.open("wb") as errors, subprocess.Popen(command, stdout=errors, stderr=errors) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
                _wait_until_ready(client, process, log)
                yield client
        finally:
            process.terminate()


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/-/ready").is_success:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text()[-2000:])


def _written(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(document))
    return path


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
