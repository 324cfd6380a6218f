"""The arguments are what vLLM's own parser understands, and mean there what the settings mean here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cia.settings import Settings
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
    chosen = settings.model_copy(update={"serving": settings.serving.model_copy(update={"max_lora_rank": rank})})
    arguments = vllm_arguments(chosen, "/models/base")
    assert arguments[arguments.index("--max-lora-rank") + 1] == allowed


def test_vllm_writes_only_below_the_home_and_phones_nobody(settings: Settings) -> None:
    environment = vllm_environment(settings)
    assert environment["HF_HUB_OFFLINE"] == environment["VLLM_NO_USAGE_STATS"] == "1"
    for variable in ("VLLM_CACHE_ROOT", "VLLM_CONFIG_ROOT", "TORCHINDUCTOR_CACHE_DIR"):
        assert Path(environment[variable]).is_relative_to(settings.home)


@pytest.mark.skipif(not VLLM_PYTHON.exists(), reason="vLLM's environment is not installed (make setup)")
def test_vllms_own_parser_understands_every_argument(settings: Settings) -> None:
    adapters = {"code-assistant:3": "/adapters/3", "code-assistant:4": "/adapters/4"}
    arguments = vllm_arguments(settings, "/models/base", adapters=adapters, port=8123)
    environment = {**os.environ, **vllm_environment(settings)}
    done = subprocess.run(
        [str(VLLM_PYTHON), "-c", PARSE, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    parsed = json.loads(done.stdout.strip().splitlines()[-1])
    assert parsed["model"] == "/models/base"
    assert parsed["served_model_name"] == [settings.model.base_model]
    assert (parsed["host"], parsed["port"]) == ("127.0.0.1", 8123)
    assert parsed["max_model_len"] == settings.model.context_tokens
    assert (parsed["enable_lora"], parsed["max_lora_rank"], parsed["max_loras"]) == (True, 16, 2)
    assert parsed["enable_prefix_caching"] is True
    assert [name for name in ("code-assistant:3", "code-assistant:4") if name in str(parsed["lora_modules"])] == [*adapters]
