"""The arguments are what vLLM's own parser understands, and mean there what the settings mean here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cia.errors import SettingsError
from cia.settings import Settings, load_settings
from inference_services.autoscale_probe import probe_arguments
from inference_services.embeddings import embedding_arguments
from inference_services.vllm_arguments import vllm_arguments, vllm_environment

VLLM_PYTHON = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"
ADAPTERS = {"code-assistant:3": "/adapters/3", "code-assistant:4": "/adapters/4"}

PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser, answers = make_arg_parser(FlexibleArgumentParser()), {}
for name, arguments in json.load(sys.stdin).items():
    try:
        parsed = parser.parse_args(arguments)
        validate_parsed_serve_args(parsed)
        answers[name] = vars(parsed)
    except (SystemExit, Exception) as error:
        answers[name] = {"refused": repr(error)}
print(json.dumps(answers, default=repr))
"""


@pytest.fixture(scope="module")
def parsed_by_vllm() -> dict[str, dict[str, Any]]:
    """What vLLM's own parser makes of the arguments of each vLLM that we start: one process, since it takes seconds to load."""
    if not VLLM_PYTHON.exists():
        pytest.skip("vLLM's environment is not installed (make setup)")
    laptop, cluster = load_settings("local", {}), load_settings("cluster", {})
    in_full = with_serving(cluster, kv_cache_dtype="fp8", batched_tokens=4096, tensor_parallel=2, speculation="none")
    guessing = {"draft_model": "/models/draft", "speculative_tokens": 5}
    arguments = {
        "laptop": vllm_arguments(laptop, "/models/base", adapters=ADAPTERS, port=8123),
        "cluster": vllm_arguments(in_full, "/mnt/models/x", host="0.0.0.0", drain_seconds=90),
        "ngram": vllm_arguments(with_serving(laptop, speculation="ngram", **guessing), "/models/base"),
        "draft": vllm_arguments(with_serving(laptop, speculation="draft", **guessing), "/models/base"),
        "probe": probe_arguments(cluster, "/mnt/models/gemma"),
        "embeddings": embedding_arguments(cluster, "/mnt/models/stella"),
        "unknown": ["--model", "x", "--no-such-option"],
    }
    done = subprocess.run(
        [str(VLLM_PYTHON), "-c", PARSE], input=json.dumps(arguments), capture_output=True, text=True, check=True
    )
    answers: dict[str, dict[str, Any]] = json.loads(done.stdout.strip().splitlines()[-1])
    assert "refused" in answers.pop("unknown")
    return answers


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


def test_vllms_own_parser_understands_every_argument(parsed_by_vllm: dict[str, Any], settings: Settings) -> None:
    parsed = parsed_by_vllm["laptop"]
    assert parsed["model"] == "/models/base"
    assert parsed["served_model_name"] == [settings.model.base_model]
    assert (parsed["host"], parsed["port"]) == ("127.0.0.1", 8123)
    assert parsed["max_model_len"] == settings.model.context_tokens
    assert (parsed["enable_lora"], parsed["max_lora_rank"], parsed["max_loras"]) == (True, 16, 3)
    assert parsed["max_cpu_loras"] == settings.serving.adapters_in_memory
    assert (parsed["enable_prefix_caching"], parsed["enable_chunked_prefill"]) == (True, True)
    assert (parsed["tensor_parallel_size"], parsed["kv_cache_dtype"]) == (1, "auto")
    assert parsed["speculative_config"] is None
    assert parsed["shutdown_timeout"] == 0
    assert [name for name in ADAPTERS if name in str(parsed["lora_modules"])] == [*ADAPTERS]


def test_vllms_own_parser_understands_the_arguments_of_the_cluster(parsed_by_vllm: dict[str, Any]) -> None:
    parsed = parsed_by_vllm["cluster"]
    assert (parsed["host"], parsed["model"], parsed["max_model_len"]) == ("0.0.0.0", "/mnt/models/x", 8192)
    assert (parsed["gpu_memory_utilization"], parsed["kv_cache_dtype"]) == (0.9, "fp8")
    assert (parsed["max_num_batched_tokens"], parsed["tensor_parallel_size"]) == (4096, 2)
    assert (parsed["shutdown_timeout"], parsed["enforce_eager"]) == (90, False)


@pytest.mark.parametrize(
    ("speculation", "expected"),
    [
        ("ngram", {"method": "ngram", "prompt_lookup_min": 2, "prompt_lookup_max": 4}),
        ("draft", {"method": "draft_model", "model": "/models/draft", "draft_tensor_parallel_size": 1}),
    ],
)
def test_vllms_own_parser_understands_each_way_of_speculating(
    parsed_by_vllm: dict[str, Any], speculation: str, expected: dict[str, object]
) -> None:
    assert parsed_by_vllm[speculation]["speculative_config"] == expected | {"num_speculative_tokens": 5}


def test_vllms_own_parser_understands_the_autoscale_probe(parsed_by_vllm: dict[str, Any]) -> None:
    parsed = parsed_by_vllm["probe"]
    assert (parsed["served_model_name"], parsed["max_model_len"]) == (["autoscale-probe"], 2048)
    assert (parsed["gpu_memory_utilization"], parsed["kv_cache_memory_bytes"]) == (0.18, 2 * 1024**3)
    assert (bool(parsed["enable_lora"]), parsed["shutdown_timeout"]) == (False, 120)


def test_vllms_own_parser_understands_the_embeddings(parsed_by_vllm: dict[str, Any]) -> None:
    parsed = parsed_by_vllm["embeddings"]
    assert (parsed["runner"], parsed["convert"]) == ("pooling", "embed")
    assert parsed["hf_overrides"] == {"is_causal": False}
    assert "use_activation=True" in parsed["pooler_config"]
    assert (parsed["served_model_name"], parsed["max_model_len"]) == (["stella_en_1.5B_v5"], 512)


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
