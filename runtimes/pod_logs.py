"""What the pods of a job print, as they print it: no line twice, none lost, whatever becomes of a connection or a pod."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any

STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?\S* ?")
"""The time that the API puts before each line when asked to: RFC 3339 with up to nine decimals."""
SILENT_SECONDS = 60.0
"""A connection over which nothing has come for so long is made anew: a broken one looks the same."""
BETWEEN_SECONDS = 1.0
END_SECONDS = 15.0


class PodLogs:
    """Follows each pod that it is told of in a thread; ``lines`` returns what has come since it was last asked."""

    def __init__(self, api: Any, namespace: str, container: str) -> None:
        self._api, self._namespace, self._container = api, namespace, container
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._followers: dict[str, _Follower] = {}

    def follow(self, pods: Iterable[Any]) -> None:
        """Begin with pods that have started; of those that have ended, read the rest."""
        present = {pod.metadata.name: pod.status.phase for pod in pods}
        for name, phase in present.items():
            if phase in ("Running", "Succeeded", "Failed") and name not in self._followers:
                self._followers[name] = _Follower(self, name)
        for name, follower in self._followers.items():
            if present.get(name) != "Running":
                follower.ended.set()

    def lines(self) -> list[str]:
        """Return the lines that have come, in order for each pod."""
        taken = []
        while not self._lines.empty():
            taken.append(self._lines.get())
        return taken

    def close(self) -> list[str]:
        """Return what is left once every pod has been read to its end, or after ``END_SECONDS``."""
        for follower in self._followers.values():
            follower.ended.set()
        for follower in self._followers.values():
            follower.thread.join(END_SECONDS)
        return self.lines()


class _Follower:
    def __init__(self, logs: PodLogs, pod: str) -> None:
        self._logs, self._pod = logs, pod
        self._last, self._with_last = b"", 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"log of {pod}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while True:
            last_time = self.ended.is_set()
            try:
                self._read(follow=not last_time)
            except Exception:  # a pod that goes away, a connection that breaks: the next reading carries on
                if last_time:
                    return
            else:
                if last_time:
                    return
            self.ended.wait(BETWEEN_SECONDS)

    def _read(self, follow: bool) -> None:
        logs = self._logs
        response = logs._api.read_namespaced_pod_log(
            self._pod,
            logs._namespace,
            container=logs._container,
            follow=follow,
            timestamps=True,
            _preload_content=False,
            _request_timeout=(10.0, SILENT_SECONDS),
        )
        try:
            for line in self._new(_lines_of(response.stream(4096, decode_content=True), whole=not follow)):
                logs._lines.put(line)
        finally:
            response.close()

    def _new(self, lines: Iterator[bytes]) -> Iterator[str]:
        """The lines that no earlier reading gave: later than the last one, or as late and more than there were."""
        seen = self._with_last
        for line in lines:
            stamp = STAMP.match(line)
            if stamp is None:
                continue
            at = stamp[1] + (stamp[2] or b"").ljust(9, b"0")
            if at < self._last:
                continue
            if at == self._last and seen > 0:
                seen -= 1
                continue
            self._with_last = self._with_last + 1 if at == self._last else 1
            self._last, seen = at, 0
            yield line[stamp.end() :].decode("utf-8", "replace")


def _lines_of(chunks: Iterable[bytes], whole: bool) -> Iterator[bytes]:
    """The lines in a stream of bytes. The rest after the last line break counts only when the stream is whole."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest and whole:
        yield rest
