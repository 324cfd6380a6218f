"""vLLM loads what is set, else the base that Production was trained on, else that of the newest version, else the next one."""

from __future__ import annotations

from pathlib import Path

from cia.evaluation.gate import Decision
from cia.registry import Registry
from cia.settings import Settings
from inference_services.served_model import model_to_serve
from tests.rag_server.tiny_adapter import make_adapter, make_base


def test_the_setting_comes_first_then_production_then_the_newest(settings: Settings, tmp_path: Path) -> None:
    def next_base() -> str:
        return "/models/next"

    assert model_to_serve(settings, next_base) == "/models/next"
    registry = Registry(settings)
    bases = [make_base(tmp_path / name) for name in ("older", "newer")]
    for seed, base in enumerate(bases):
        registry.register(make_adapter(tmp_path / f"adapter-{seed}", base, seed), {}, Decision(True, "promoted"), base)
    assert model_to_serve(settings, next_base) == str(bases[1])
    registry.promote(1)
    assert model_to_serve(settings, next_base) == str(bases[0])
    serving = settings.serving.model_copy(update={"model": "/models/of-mine"})
    assert model_to_serve(settings.model_copy(update={"serving": serving}), next_base) == "/models/of-mine"
