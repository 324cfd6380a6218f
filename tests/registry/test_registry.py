from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cia.errors import AdapterError, InputError, UnavailableError
from cia.evaluation.gate import Decision
from cia.registry import RegisteredAdapter, Registry, TrainingRun, read_curve, training_run
from cia.registry.mlflow_client import open_client
from cia.settings import RegistrySettings, Settings

MakeAdapter = Callable[..., Path]
PASSED = Decision(True, "promoted: citation_recall gained +0.300 [+0.100, +0.500]")
FAILED = Decision(False, "refused: citation_recall gained 0.020 [-0.050, +0.090], the interval includes 0")


@pytest.fixture
def register(registry: Registry, make_adapter: MakeAdapter, base: Path) -> Callable[..., RegisteredAdapter]:
    """Register a fresh adapter with a verdict."""

    def register(decision: Decision = PASSED, **config: object) -> RegisteredAdapter:
        return registry.register(make_adapter(**config), {"faithfulness": 0.75}, decision, base, tags={"data_hash": "d" * 64})

    return register


def test_a_version_keeps_its_scores_and_verdict(
    registry: Registry, register: Callable[..., RegisteredAdapter], base: Path
) -> None:
    assert registry.list() == []
    assert registry.production() is None

    first, second = register(), register(FAILED)

    assert [adapter.version for adapter in registry.list()] == [2, 1]
    assert first.served_name == "code-assistant:1"
    assert (first.gate, first.scores, first.base_model) == ("passed", {"faithfulness": 0.75}, str(base))
    assert (second.gate, second.reason) == ("failed", FAILED.reason)
    assert first.tags["data_hash"] == "d" * 64
    assert registry.production() is None
    json.dumps(first.as_json())


def test_a_version_says_what_its_files_must_hash_to(
    settings: Settings, registry: Registry, make_adapter: MakeAdapter, base: Path
) -> None:
    adapter = make_adapter()
    version = registry.register(adapter, {}, PASSED, base)

    tags = open_client(settings).get_model_version("code-assistant", str(version.version)).tags
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert tags[f"sha256.{name}"] == hashlib.sha256((adapter / name).read_bytes()).hexdigest()


def test_promotion_and_rollback_move_the_alias(registry: Registry, register: Callable[..., RegisteredAdapter]) -> None:
    for _ in range(3):
        register()
    registry.promote(1, by="ada", why="first")
    registry.promote("2")
    third = registry.promote("code-assistant:3")

    assert third.in_production
    assert third.previous_production == 2
    assert [(adapter.version, adapter.in_production) for adapter in registry.list()] == [(3, True), (2, False), (1, False)]
    assert registry.get(1).tags["promoted_by"] == "ada"

    assert registry.rollback().version == 2
    assert registry.rollback().version == 1
    production = registry.production()
    assert production is not None
    assert production.version == 1
    with pytest.raises(InputError, match="no earlier version"):
        registry.rollback()


def test_the_tag_named_like_the_alias_follows_it(registry: Registry, register: Callable[..., RegisteredAdapter]) -> None:
    register(), register()
    registry.promote(1)
    registry.promote(2)

    client = registry._client
    tags = {number: client.get_model_version("code-assistant", str(number)).tags for number in (1, 2)}
    assert "Production" not in tags[1]
    assert tags[2]["Production"] == "true"
    assert client.get_model_version_by_alias("code-assistant", "Production").version == 2


def test_a_version_that_failed_the_gate_is_not_promoted_without_force_and_reason(
    registry: Registry, register: Callable[..., RegisteredAdapter]
) -> None:
    register(FAILED)
    with pytest.raises(AdapterError, match="did not pass the gate"):
        registry.promote(1)
    with pytest.raises(InputError, match="reason"):
        registry.promote(1, force=True)
    assert registry.production() is None

    forced = registry.promote(1, by="ada", why="the judge is wrong about this one", force=True)
    assert forced.in_production
    assert forced.tags["promoted_why"] == "the judge is wrong about this one"


def test_a_version_whose_files_are_gone_is_not_promoted(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings
) -> None:
    register(), register()
    registry.promote(1)
    shutil.rmtree(settings.home / "mlartifacts" / "code-assistant" / registry.get(2).run_id)

    with pytest.raises(AdapterError, match="gone"):
        registry.promote(2, force=True, why="even so")
    with pytest.raises(AdapterError, match="gone"):
        registry.fetch(2)
    assert not (settings.home / "adapters" / "2").exists()
    production = registry.production()
    assert production is not None
    assert production.version == 1


def test_a_version_whose_weights_were_damaged_is_not_promoted(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings
) -> None:
    run_id = register().run_id
    path = settings.home / "mlartifacts" / "code-assistant" / run_id / "artifacts" / "adapter" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AdapterError, match="whole safetensors"):
        registry.promote(1)
    assert registry.production() is None


def test_a_version_on_another_base_is_not_promoted(
    registry: Registry, register: Callable[..., RegisteredAdapter], make_adapter: MakeAdapter, base: Path, tmp_path: Path
) -> None:
    register()
    registry.promote(1)
    other = tmp_path / "other-base"
    shutil.copytree(base, other)
    registry.register(make_adapter(base_model_name_or_path=str(other)), {}, PASSED, other)
    with pytest.raises(AdapterError, match="Production runs on"):
        registry.promote(2)


def test_a_version_is_refused_when_its_base_was_trained_anew(
    registry: Registry, make_adapter: MakeAdapter, base: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other-base"
    shutil.copytree(base, other)
    registry.register(make_adapter(base_model_name_or_path=str(other)), {}, PASSED, other)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    with pytest.raises(AdapterError, match="other weights"):
        registry.promote(1)


def test_an_adapter_that_vllm_would_reject_is_not_registered(registry: Registry, make_adapter: MakeAdapter, base: Path) -> None:
    with pytest.raises(AdapterError, match="DoRA"):
        registry.register(make_adapter(use_dora=True), {}, PASSED, base)
    assert registry.list() == []


def test_an_unknown_version_is_named(registry: Registry) -> None:
    with pytest.raises(InputError, match="code-assistant:9"):
        registry.promote(9)
    with pytest.raises(InputError, match="no version"):
        registry.promote("latest")


def test_a_download_is_whole_and_is_not_repeated(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings
) -> None:
    register()
    folder = registry.fetch(1)
    assert folder == settings.home / "adapters" / "1"
    assert {path.name for path in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors", "registered.json"}
    before = (folder / "adapter_model.safetensors").stat().st_ino
    registry.fetch(1)
    assert (folder / "adapter_model.safetensors").stat().st_ino == before


def test_a_new_registry_does_not_serve_the_old_ones_files(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings, empty_database: Path,
    make_adapter: MakeAdapter, base: Path,
) -> None:  # fmt: skip
    register()
    old = (registry.fetch(1) / "adapter_model.safetensors").read_bytes()
    (settings.home / "mlflow.db").write_bytes(empty_database.read_bytes())

    anew = Registry(settings)
    anew.register(make_adapter(seed=1), {}, PASSED, base)
    assert (anew.fetch(1) / "adapter_model.safetensors").read_bytes() != old


def test_with_mlflow_away_the_last_known_adapter_stays(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings
) -> None:
    register()
    registry.promote(1)
    folder = registry.fetch(1)

    away = settings.model_copy(update={"registry": RegistrySettings(tracking_uri="http://127.0.0.1:9")})
    known = Registry(away).production()
    assert known is not None
    assert known.served_name == "code-assistant:1"
    assert known.age_seconds > 0
    assert Registry(away).fetch(1) == folder
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"):
        Registry(away).list()
    with pytest.raises(UnavailableError):
        Registry(away).promote(1)


def test_with_mlflow_away_and_nothing_known_it_says_so(tmp_path: Path) -> None:
    away = Settings(home=tmp_path, registry=RegistrySettings(tracking_uri="http://127.0.0.1:9"))
    with pytest.raises(UnavailableError, match="does not answer"):
        Registry(away).production()


def test_what_is_no_longer_in_production_is_forgotten(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings
) -> None:
    register()
    registry.promote(1)
    registry._client.delete_registered_model_alias("code-assistant", "Production")
    assert registry.production() is None
    assert not (settings.home / "production.json").exists()


def test_two_promotions_at_once_leave_one_consistent_winner(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings
) -> None:
    register(), register(), register()
    registry.promote(1)
    with ThreadPoolExecutor() as pool:  # each with a connection and a lock of its own, as two processes have
        promoted = list(pool.map(lambda version: Registry(settings).promote(version), (2, 3)))

    production = registry.production()
    assert production is not None
    # One came first and replaced version 1; the other replaced that one.
    assert sorted(adapter.previous_production or 0 for adapter in promoted) in ([1, 2], [1, 3])
    assert {production.version, production.previous_production} == {2, 3}


PROMOTE = """
import sys, time
from pathlib import Path
from cia.registry import Registry
from cia.settings import Settings
registry = Registry(Settings(home=Path(sys.argv[1])))
registry.list()
print("ready", flush=True)
sys.stdin.readline()
adapter = registry.promote(int(sys.argv[2]), by=sys.argv[2], why="at once")
print(adapter.version, adapter.previous_production)
"""


@pytest.mark.slow  # two processes load MLflow
def test_two_processes_that_promote_at_once_take_turns(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings
) -> None:
    register(), register(), register()
    registry.promote(1)
    command = [sys.executable, "-c", PROMOTE, str(settings.home)]
    racers = [
        subprocess.Popen([*command, number], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for number in ("2", "3")
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    said = sorted(racer.communicate("go\n", timeout=120)[0].split() for racer in racers)

    assert [racer.returncode for racer in racers] == [0, 0]
    assert said in ([["2", "1"], ["3", "2"]], [["2", "3"], ["3", "1"]])
    winner = registry.production()
    assert winner is not None
    assert [str(winner.version), str(winner.previous_production)] in said
    assert winner.previous_production != 1
    assert [version.version for version in registry.list() if version.in_production] == [winner.version]


def test_a_rollback_says_on_both_versions_who_and_why(registry: Registry, register: Callable[..., RegisteredAdapter]) -> None:
    register(), register()
    registry.promote(1, by="ada", why="first")
    registry.promote(2, by="ada", why="better")
    restored = registry.rollback(by="grace", why="slower answers")
    left = registry.get(2)
    assert (restored.tags["promoted_by"], restored.tags["promoted_why"]) == ("grace", "slower answers")
    assert (left.tags["rolled_back_by"], left.tags["rolled_back_why"]) == ("grace", "slower answers")
    assert (left.tags["promoted_by"], left.tags["promoted_why"]) == ("ada", "better")
    assert left.tags["rolled_back_at"] >= left.tags["promoted_at"]


def test_a_version_with_other_files_than_were_registered_is_neither_promoted_nor_rolled_back_to(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings, make_adapter: MakeAdapter
) -> None:
    other = make_adapter(seed=5) / "adapter_model.safetensors"
    for number in (1, 2, 3):
        register()
        if number < 3:
            registry.promote(number)

    def swap(version: int) -> None:
        stored = settings.home / "mlartifacts" / "code-assistant" / registry.get(version).run_id / "artifacts" / "adapter"
        (stored / "adapter_model.safetensors").write_bytes(other.read_bytes())

    swap(1)
    swap(3)
    with pytest.raises(AdapterError, match="not the file that was registered"):
        registry.promote(3)
    with pytest.raises(AdapterError, match="not the file that was registered"):
        registry.rollback()
    production = registry.production()
    assert production is not None
    assert production.version == 2


def test_a_promotion_fetches_the_files_once_and_keeps_them(
    registry: Registry, register: Callable[..., RegisteredAdapter], settings: Settings
) -> None:
    register()
    registry.promote(1)
    kept = settings.home / "adapters" / "1" / "adapter_model.safetensors"
    before = kept.stat().st_ino
    assert registry.fetch(1) == kept.parent
    assert kept.stat().st_ino == before


def test_a_training_run_keeps_parameters_curve_and_files(
    settings: Settings, registry: Registry, make_adapter: MakeAdapter, base: Path
) -> None:
    adapter = make_adapter()
    with training_run(settings, "fine-tune", {"rank": 4, "steps": 60}, data_hash="e" * 64) as run:
        run.log_curve("loss", [(step, 3.0 / (step + 1)) for step in range(5)])
        run.log_folder(adapter, "adapter")
    version = registry.register(adapter, {}, PASSED, base, run_id=run.id)

    client = registry._client
    logged = client.get_run(run.id)
    assert logged.info.status == "FINISHED"
    assert logged.data.params == {"rank": "4", "steps": "60"}
    assert logged.data.tags["data_hash"] == "e" * 64
    assert read_curve(settings, run.id) == [(0, 3.0), (1, 1.5), (2, 1.0), (3, 0.75), (4, 0.6)]
    assert read_curve(settings, run.id, "reward") == []
    assert version.run_id == run.id
    assert registry.promote(version.version).in_production


def test_a_training_run_that_raises_is_marked_failed(settings: Settings, registry: Registry) -> None:
    def diverge() -> None:
        with training_run(settings, "fine-tune", {}) as run:
            started.append(run)
            run.log_metrics({"loss": 1.5})
            raise ZeroDivisionError

    started: list[TrainingRun] = []
    with pytest.raises(ZeroDivisionError):
        diverge()
    run = started[0]
    assert registry._client.get_run(run.id).info.status == "FAILED"


@pytest.mark.slow  # makes a database of its own in a process of its own
def test_mlflow_says_nothing_on_the_console(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from cia.settings import Settings; from cia.registry import Registry\n"
    script += "Registry(Settings(home=Path(sys.argv[1]))).list()"
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "h")], capture_output=True, text=True, timeout=200, cwd=tmp_path
    )
    assert (run.stdout, run.stderr, run.returncode) == ("", "", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["h"]
