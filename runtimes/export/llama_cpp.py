"""llama.cpp in this process, by the wheel ``xllamacpp``: what a GGUF file says and how fast."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from cia.errors import OperationError

SILENT = 0
FORCED = 1e4
"""Added to a token's logit this makes it the next one; the log-probabilities that llama.cpp reports come from before that."""


@dataclass(frozen=True, slots=True)
class Generated:
    """Token ids, and tokens a second while reading the prompt and while writing."""

    tokens: list[int]
    prompt_rate: float
    rate: float


class LlamaCpp:
    """A loaded GGUF file. The wheel answers over HTTP: on 127.0.0.1, to whoever knows a key that is made here."""

    def __init__(self, path: Path, context_tokens: int, threads: int = 1) -> None:
        """Load ``path``. Raises OperationError when llama.cpp does not take it."""
        try:
            import xllamacpp
        except ImportError:
            raise OperationError("xllamacpp is not installed; install code-intelligence-assistant[export]") from None
        key = secrets.token_urlsafe()
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx = context_tokens
        parameters.n_parallel = 1
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.verbosity = SILENT
        parameters.fit_params = False
        parameters.cache_ram_mib = 0
        parameters.ui = parameters.endpoint_slots = False
        parameters.api_keys = [key]
        try:
            self._server = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise OperationError(f"llama.cpp does not load {path}: {error}") from error
        address, headers = self._server.listening_address, {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=600, trust_env=False)

    def close(self) -> None:
        """Stop the server and give the memory back."""
        self._http.close()
        del self._server

    def tokenize(self, text: str) -> list[int]:
        """Return the ids of ``text``, special tokens included, with what the file says begins a text."""
        return list(self._post("/tokenize", content=text, add_special=True, parse_special=True)["tokens"])

    def generate(self, prompt: Sequence[int], tokens: int) -> Generated:
        """Continue ``prompt`` by exactly ``tokens`` tokens, always the likeliest; nothing is kept from an earlier call."""
        answer = self._post(
            "/completion",
            prompt=list(prompt),
            n_predict=tokens,
            temperature=0,
            ignore_eos=True,
            return_tokens=True,
            cache_prompt=False,
        )
        timings = answer["timings"]
        return Generated(list(answer["tokens"]), timings["prompt_per_second"], timings["predicted_per_second"])

    def log_probabilities(self, prompt: Sequence[int], continuation: Sequence[int]) -> list[float]:
        """Return the logarithm of each token's probability in ``continuation``, all tokens before it given.

        Raises OperationError at a token that ends within a character (a byte of UTF-8), for which llama.cpp reports none.
        """
        known = list(prompt)
        found = []
        for token in continuation:
            answer = self._post(
                "/completion",
                prompt=known,
                n_predict=1,
                n_probs=1,
                temperature=0,
                logit_bias=[[token, FORCED]],
                cache_prompt=True,
            )
            reported = answer.get("completion_probabilities", [])
            if [each["id"] for each in reported] != [token]:
                raise OperationError(f"llama.cpp reports no probability of token {token}; it may be half a character")
            found.append(float(reported[0]["logprob"]))
            known.append(token)
        return found

    def chat(self, messages: Sequence[dict[str, str]], tokens: int) -> tuple[str, int]:
        """Return the likeliest answer to ``messages``, at most ``tokens`` long, and how many tokens the template made of them."""
        answer = self._post("/v1/chat/completions", messages=list(messages), max_tokens=tokens, temperature=0)
        return str(answer["choices"][0]["message"]["content"]), int(answer["usage"]["prompt_tokens"])

    def _post(self, path: str, **body: Any) -> Any:
        response = self._http.post(path, json=body)
        if response.is_error:
            raise OperationError(f"llama.cpp answers {path} with {response.status_code}: {response.text[:200]}")
        return response.json()
