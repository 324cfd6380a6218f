"""The arguments are what vLLM's own parser understands, and mean there what the settings mean here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cia.errors import SettingsError
from cia.settings import Settings, load_settings
from inference_services.vllm_arguments import vllm_arguments, vllm_environment

VLLM_PYTHON = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"

PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
validate_parsed_serve_args(parsed)
print(json.dumps({key: value for key, value in vars(parsed).items()}, default=repr))
"""

needs_vllm = pytest.mark.skipif(not VLLM_PYTHON.exists(), reason="vLLM's environment is not installed (make setup)")


def parsed_by_vllm(arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """What vLLM's own parser makes of the arguments."""
    done = subprocess.run(
        [str(VLLM_PYTHON), "-c", PARSE, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    parsed: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return parsed


def with_serving(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"serving": settings.serving.model_copy(update=changes)})


def test_an_adapter_is_served_under_its_version(settings: Settings) -> None:
    arguments = vllm_arguments(settings, "/models/base", adapters={"code-assistant:3": "/adapters/3"})
    assert arguments[-2:] == ["--lora-modules", "code-assistant:3=/adapters/3"]


def test_without_adapters_none_is_named(settings: Settings) -> None:
    assert "--lora-modules" not in vllm_arguments(settings, "/models/base")


def test_vllm_listens_on_the_loopback_interface_unless_told_otherwise(settings: Settings) -> None:
    arguments = vllm_arguments(settings, "/models/base")
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"


@pytest.mark.parametrize(("rank", "allowed"), [(1, "1"), (8, "8"), (12, "16"), (300, "320")])
def test_a_rank_is_rounded_up_to_one_that_vllm_accepts(settings: Settings, rank: int, allowed: str) -> None:
    arguments = vllm_arguments(with_serving(settings, max_lora_rank=rank), "/models/base")
    assert arguments[arguments.index("--max-lora-rank") + 1] == allowed


def test_vllm_writes_only_below_the_home_and_phones_nobody(settings: Settings) -> None:
    environment = vllm_environment(settings)
    assert environment["HF_HUB_OFFLINE"] == environment["VLLM_NO_USAGE_STATS"] == "1"
    for variable in ("VLLM_CACHE_ROOT", "VLLM_CONFIG_ROOT", "TORCHINDUCTOR_CACHE_DIR"):
        assert Path(environment[variable]).is_relative_to(settings.home)


@needs_vllm
def test_vllms_own_parser_understands_every_argument(settings: Settings) -> None:
    adapters = {"code-assistant:3": "/adapters/3", "code-assistant:4": "/adapters/4"}
    arguments = vllm_arguments(settings, "/models/base", adapters=adapters, port=8123)
    parsed = parsed_by_vllm(arguments, vllm_environment(settings))
    assert parsed["model"] == "/models/base"
    assert parsed["served_model_name"] == [settings.model.base_model]
    assert (parsed["host"], parsed["port"]) == ("127.0.0.1", 8123)
    assert parsed["max_model_len"] == settings.model.context_tokens
    assert (parsed["enable_lora"], parsed["max_lora_rank"], parsed["max_loras"]) == (True, 16, 2)
    assert parsed["max_cpu_loras"] == settings.serving.adapters_in_memory
    assert (parsed["enable_prefix_caching"], parsed["enable_chunked_prefill"]) == (True, True)
    assert (parsed["tensor_parallel_size"], parsed["kv_cache_dtype"]) == (1, "auto")
    assert parsed["speculative_config"] is None
    assert parsed["shutdown_timeout"] == 0
    assert [name for name in ("code-assistant:3", "code-assistant:4") if name in str(parsed["lora_modules"])] == [*adapters]


@needs_vllm
def test_vllms_own_parser_understands_the_arguments_of_the_cluster() -> None:
    cluster = with_serving(
        load_settings("cluster", {}), kv_cache_dtype="fp8", batched_tokens=4096, tensor_parallel=2, speculation="none"
    )
    parsed = parsed_by_vllm(vllm_arguments(cluster, "/mnt/models/x", host="0.0.0.0", drain_seconds=90), {})
    assert (parsed["host"], parsed["model"], parsed["max_model_len"]) == ("0.0.0.0", "/mnt/models/x", 8192)
    assert (parsed["gpu_memory_utilization"], parsed["kv_cache_dtype"]) == (0.9, "fp8")
    assert (parsed["max_num_batched_tokens"], parsed["tensor_parallel_size"]) == (4096, 2)
    assert (parsed["shutdown_timeout"], parsed["enforce_eager"]) == (90, False)


@needs_vllm
@pytest.mark.parametrize(
    ("speculation", "expected"),
    [
        ("ngram", {"method": "ngram", "prompt_lookup_min": 2, "prompt_lookup_max": 4}),
        ("draft", {"method": "draft_model", "model": "/models/draft", "draft_tensor_parallel_size": 1}),
    ],
)
def test_vllms_own_parser_understands_each_way_of_speculating(
    settings: Settings, speculation: str, expected: dict[str, object]
) -> None:
    speculating = with_serving(settings, speculation=speculation, draft_model="/models/draft", speculative_tokens=5)
    parsed = parsed_by_vllm(vllm_arguments(speculating, "/models/base"), {})
    assert parsed["speculative_config"] == expected | {"num_speculative_tokens": 5}


def test_the_model_that_guesses_may_lie_in_another_place_than_its_name_says(settings: Settings) -> None:
    speculating = with_serving(settings, speculation="draft", draft_model="org/draft")
    arguments = vllm_arguments(speculating, "/models/base", draft_model="/mnt/models/org/draft")
    assert json.loads(arguments[arguments.index("--speculative-config") + 1])["model"] == "/mnt/models/org/draft"


def test_guessing_with_no_model_to_guess_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"set serving\.draft_model"):
        vllm_arguments(with_serving(settings, speculation="draft"), "/models/base")


def test_fewer_adapters_in_memory_than_in_a_batch_are_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"set it to 4 or more"):
        vllm_arguments(with_serving(settings, max_adapters=4, adapters_in_memory=3), "/models/base")
