"""Which names are asked of the registry, and which are refused before anything is asked."""

from __future__ import annotations

import pytest

from code_assistant_lora_resolver.errors import NoSuchAdapter
from code_assistant_lora_resolver.names import shown, version_of

HOSTILE = [
    "code-assistant:../../etc/passwd",
    "code-assistant:/etc/passwd",
    "code-assistant:7/../8",
    "code-assistant:%2e%2e%2f7",
    "code-assistant:file:///etc/passwd",
    "code-assistant:models:/other/1",
    "code-assistant:" + "9" * 10_000,
    "code-assistant:１２",  # fullwidth digits
    "code-assistant:٣",  # an Arabic three
    "code-assistant:7\0",
    "code-assistant:7\n",
    "code-assistant: 7",
    "code-assistant:+7",
    "code-assistant:-1",
    "code-assistant:0",
    "code-assistant:007",
    "code-assistant:1e3",
    "code-assistant:7:8",
    "code-assistant:Production",
    "code-assistant:",
    "code-assistant:$(id)",
]


@pytest.mark.parametrize("name", ["code-assistant:1", "code-assistant:999999999"])
def test_a_version_is_read_from_its_name(name: str) -> None:
    assert version_of(name, "code-assistant") == int(name.partition(":")[2])


@pytest.mark.parametrize("name", ["code-assistant-base", "code-assistant", "other:7", "s3://bucket/code-assistant:7", "", ":7"])
def test_other_names_are_left_to_vllm(name: str) -> None:
    assert version_of(name, "code-assistant") is None


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:30])
def test_what_only_looks_like_a_version_is_refused_in_a_short_sentence(name: str) -> None:
    with pytest.raises(NoSuchAdapter) as caught:
        version_of(name, "code-assistant")
    message = str(caught.value)
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 300


def test_a_long_name_is_shown_with_its_length() -> None:
    assert shown("x" * 10_000).endswith("... (10000 characters)")
