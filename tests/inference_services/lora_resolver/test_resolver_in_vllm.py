"""The resolver in vLLM itself, started once: what clients see, and what the engine lives through."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from cia.registry.mlflow_client import open_client
from inference_services.vllm_arguments import VLLM_MODULE
from tests.inference_services.real_vllm import ServedRegistry, served_registry

pytestmark = pytest.mark.slow

CACHED = 2
CHOICES = 16
SHORT, LONG = CHOICES * 8, CHOICES * 700
"""Tokens of a stream: the long one outlasts half a dozen other requests, also where nothing else slows vLLM down."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRegistry]:
    """A vLLM whose memory and disk both hold two adapters: the fewest, so that every third one pushes another out."""
    few = {"cached_adapters": CACHED, "max_adapters": CACHED, "adapters_in_memory": CACHED}
    with served_registry(tmp_path_factory.mktemp("served"), **few) as running:
        yield running


@pytest.fixture(scope="module")
def names(served: ServedRegistry) -> list[str]:
    return [served.register(seed) for seed in range(1, 5)]


def tokenize(served: ServedRegistry, name: str) -> httpx.Response:
    """The cheapest request that names an adapter."""
    url = served.process.base_url.removesuffix("/v1")
    return httpx.post(f"{url}/tokenize", json={"model": name, "prompt": "a"}, timeout=120)


def sentence(reply: httpx.Response) -> str:
    return reply.json()["error"]["message"]


def likelihoods(served: ServedRegistry, name: str) -> list[float]:
    """The log-likelihoods of twelve tokens: what tells adapters of a model apart that knows one word."""
    body = {"model": name, "prompt": "def trim_the_wick(", "max_tokens": 12, "temperature": 0, "ignore_eos": True, "logprobs": 1}
    reply = httpx.post(f"{served.process.base_url}/completions", json=body, timeout=120)
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["logprobs"]["token_logprobs"]


def stream(served: ServedRegistry, name: str, tokens: int, begun: threading.Event) -> int:
    """Return how many tokens came, of the ``tokens`` asked for; ``begun`` is set with the first.

    They are those of ``CHOICES`` answers that are written side by side: one alone would be over before anything else happened.
    """
    body = {"model": name, "prompt": "def trim(", "max_tokens": tokens // CHOICES, "n": CHOICES, "ignore_eos": True}
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    came = 0
    with httpx.stream("POST", f"{served.process.base_url}/completions", json=body, timeout=300) as reply:
        for line in reply.iter_lines():
            if line.startswith("data: {"):
                piece = json.loads(line[6:])
                assert "error" not in piece, line
                came = (piece.get("usage") or {}).get("completion_tokens", came)
                begun.set()
    return came


def on_disk(served: ServedRegistry) -> set[str]:
    """The numbers of the versions in the cache."""
    return {path.name.partition("-")[0] for path in (served.settings.home / "adapters-of-vllm").glob("*/*-*")}


def api_server() -> psutil.Process:
    """The process of this test's vLLM that answers HTTP."""
    return next(child for child in psutil.Process().children(recursive=True) if child.cmdline()[1:3] == ["-m", VLLM_MODULE])


def number(name: str) -> str:
    return name.partition(":")[2]


def test_a_request_brings_its_adapter_and_each_version_answers_for_itself(served: ServedRegistry, names: list[str]) -> None:
    base, first, second = (likelihoods(served, name) for name in (served.settings.model.base_model, *names[:2]))
    assert first != pytest.approx(base, abs=1e-3)
    assert first != pytest.approx(second, abs=1e-3)
    assert likelihoods(served, names[0]) == pytest.approx(first, abs=1e-4)
    assert set(served.process.client.models()) >= {*names[:2]}


def test_a_stream_ends_well_while_more_versions_come_than_the_cache_holds(served: ServedRegistry, names: list[str]) -> None:
    running, *others = names
    tokenize(served, running)
    begun = threading.Event()
    with ThreadPoolExecutor() as pool:
        streamed = pool.submit(stream, served, running, LONG, begun)
        assert begun.wait(60)
        for name in [*others, *others]:
            assert tokenize(served, name).status_code == 200
            assert likelihoods(served, name), "its adapter is loaded into the engine, in the place of another"
            assert number(running) in on_disk(served)
            assert len(on_disk(served)) <= CACHED
        assert not streamed.done(), "the stream was too short to show anything"
        assert streamed.result() == LONG
    assert len(set(served.process.client.models()) & set(names)) <= CACHED
    assert all(likelihoods(served, name) for name in names), "what went is fetched again"
    assert served.process.restarts == 0


def test_when_every_cached_version_streams_a_third_is_told_to_wait(served: ServedRegistry, names: list[str]) -> None:
    first, second, third, _ = names
    events = [threading.Event(), threading.Event()]
    with ThreadPoolExecutor() as pool:
        streams = [
            pool.submit(stream, served, name, LONG // 4, event) for name, event in zip((first, second), events, strict=True)
        ]
        assert all(event.wait(60) for event in events)
        refused = tokenize(served, third)
        assert not any(running.done() for running in streams)
        assert (refused.status_code, "there is no room for" in sentence(refused)) == (503, True), refused.text
        assert all(running.result() == LONG // 4 for running in streams)
    time.sleep(2.1)  # so long a failure is remembered
    assert tokenize(served, third).status_code == 200


HOSTILE = ["code-assistant:99999", "code-assistant:../../../etc", "code-assistant:%2e%2e", "code-assistant:" + "9" * 10_000]
HOSTILE += ["code-assistant:file:///etc/passwd", "code-assistant:٣", "code-assistant:7\0", "x" * 10_000, "s3://bucket/a", "/etc"]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:24])
def test_a_name_that_is_no_version_is_a_404_with_a_sentence(served: ServedRegistry, names: list[str], name: str) -> None:
    before = on_disk(served)
    reply = tokenize(served, name)
    assert reply.status_code == 404
    assert sentence(reply)
    assert on_disk(served) == before


def test_broken_versions_are_refused_with_the_reason_and_disturb_nobody(served: ServedRegistry, names: list[str]) -> None:
    def artifacts(name: str) -> Path:
        run = served.registry.get(name).run_id
        return served.settings.home / "mlartifacts" / served.settings.registry.experiment / run / "artifacts" / "adapter"

    def stopped_short(folder: Path) -> None:
        weights = folder / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])

    corrupted, lost, dora, deleted = (served.register(seed) for seed in range(10, 14))
    stopped_short(artifacts(corrupted))
    shutil.rmtree(artifacts(lost))
    config = artifacts(dora) / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "use_dora": True, "r": 64}))
    client = open_client(served.settings)
    client.set_model_version_tag("code-assistant", number(dora), "sha256.adapter_config.json", _sha256(config))
    client.delete_model_version("code-assistant", number(deleted))

    begun = threading.Event()
    with ThreadPoolExecutor() as pool:
        streamed = pool.submit(stream, served, names[0], SHORT, begun)
        assert begun.wait(60)
        replies = {name: tokenize(served, name) for name in (corrupted, lost, dora, deleted)}
        assert streamed.result() == SHORT
    said = {name: (reply.status_code, sentence(reply)) for name, reply in replies.items()}
    assert said[corrupted][0] == said[lost][0] == said[dora][0] == 422
    assert "is not the file that was registered" in said[corrupted][1]
    assert "are gone from the registry" in said[lost][1]
    assert "does not yet support DoRA" in said[dora][1]
    assert "LoRA rank 64 is greater than max_lora_rank 16" in said[dora][1], "vLLM's own words"
    assert said[deleted] == (404, f"the registry has no {deleted}")
    assert not {number(name) for name in replies} & on_disk(served)
    assert served.process.restarts == 0


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_with_the_registry_away_loaded_and_cached_versions_answer(served: ServedRegistry, names: list[str]) -> None:
    first, second, third, _ = names
    for name in (first, second):
        assert tokenize(served, name).status_code == 200
    unload = {"lora_name": second}
    assert httpx.post(f"{served.process.base_url}/unload_lora_adapter", json=unload, timeout=60).status_code == 200
    database = served.settings.home / "mlflow.db"
    good = database.read_bytes()
    database.write_bytes(b"no database" * 1000)
    try:
        assert tokenize(served, first).status_code == 200, "loaded"
        assert tokenize(served, second).status_code == 200, "on the disk"
        begun = time.monotonic()
        refused = tokenize(served, third)
        assert refused.status_code == 503
        assert "the registry at" in sentence(refused)
        assert time.monotonic() - begun < 15
    finally:
        database.write_bytes(good)
    time.sleep(2.1)
    assert tokenize(served, third).status_code == 200


def test_unknown_names_leave_nothing_behind(served: ServedRegistry, names: list[str]) -> None:
    server = api_server()
    long = "y" * 100_000
    with httpx.Client(timeout=60) as client:
        url = f"{served.process.base_url.removesuffix('/v1')}/tokenize"
        for asked in range(20):
            client.post(url, json={"model": f"warm-{asked}-{long}", "prompt": "a"})
        before = server.memory_info().rss
        for asked in range(300):
            client.post(url, json={"model": f"{asked}-{long}", "prompt": "a"})
    assert server.memory_info().rss - before < 20 << 20, "300 names of 100 kB are 30 MB when each is kept"
