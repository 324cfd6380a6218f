"""The plugin's environment: what is unset does nothing, what is wrong stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from cia.settings import Settings
from code_assistant_lora_resolver.plugin_settings import PluginSettings
from inference_services.vllm_arguments import LORA_RESOLVER, vllm_environment

COMPLETE = {"CODE_ASSISTANT_REGISTRY_URI": "http://mlflow:5000", "CODE_ASSISTANT_ADAPTER_CACHE": "/cache"}


def test_without_a_registry_the_plugin_does_nothing() -> None:
    assert PluginSettings.from_environment({**COMPLETE, "CODE_ASSISTANT_REGISTRY_URI": ""}) is None


def test_the_settings_reach_the_plugin(settings: Settings) -> None:
    serving = settings.serving.model_copy(update={"model": "org/model", "cached_adapters": 5, "cached_gib": 0.5})
    training = settings.training.model_copy(update={"base_model": "org/quantized"})
    chosen = settings.model_copy(update={"serving": serving, "training": training})
    plugin = PluginSettings.from_environment(vllm_environment(chosen))
    assert plugin is not None
    assert plugin.registry_uri == f"sqlite:///{settings.home.absolute()}/mlflow.db"
    assert plugin.registered_model == settings.registry.model_name
    assert plugin.cache.is_relative_to(settings.home.absolute())
    assert (plugin.cached_adapters, plugin.cached_bytes) == (5, 1 << 29)
    assert plugin.base_models == {"org/model", "org/quantized"}


def test_the_model_made_here_has_no_name_that_adapters_would_carry(settings: Settings) -> None:
    plugin = PluginSettings.from_environment(vllm_environment(settings))
    assert plugin is not None
    assert plugin.base_models == frozenset()


def test_vllm_loads_this_plugin_and_no_other(settings: Settings) -> None:
    assert vllm_environment(settings)["VLLM_PLUGINS"] == LORA_RESOLVER
    pyproject = Path(__file__).parents[3] / "inference_services" / "lora_resolver" / "pyproject.toml"
    assert pyproject.read_text().count(f"\n{LORA_RESOLVER} = ") == 2, "one entry point of each kind, both of the name allowed"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CODE_ASSISTANT_ADAPTER_CACHE", ""),
        ("CODE_ASSISTANT_ADAPTER_CACHE", "relative/cache"),
        ("CODE_ASSISTANT_CACHED_ADAPTERS", "many"),
        ("CODE_ASSISTANT_CACHED_ADAPTERS", "1"),
        ("CODE_ASSISTANT_CACHED_GIB", "-1"),
        ("CODE_ASSISTANT_CACHED_GIB", "nan"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=variable):
        PluginSettings.from_environment({**COMPLETE, variable: value})
