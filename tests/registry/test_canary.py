"""A version on trial: who gets it, how it begins, and how it ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cia.errors import AdapterError, InputError
from cia.evaluation.gate import Decision
from cia.registry import Canary, Registry
from cia.settings import Settings

MakeAdapter = Callable[..., Path]
PASSED = Decision(True, "promoted: citation_recall gained +0.300 [+0.100, +0.500]")
FAILED = Decision(False, "refused: citation_recall gained 0.020 [-0.050, +0.090], the interval includes 0")
USERS = [f"user-{number}" for number in range(10_000)]


@pytest.fixture
def registry(registry: Registry, make_adapter: MakeAdapter, base: Path) -> Registry:
    """Version 1 is in Production, 2 passed the gate, 3 did not."""
    for verdict in (PASSED, PASSED, FAILED):
        registry.register(make_adapter(), {}, verdict, base)
    registry.promote(1)
    return registry


def share(percent: float, version: int = 7) -> set[str]:
    canary = Canary(version, f"code-assistant:{version}", percent, "2026-11-21T10:00:00.000+00:00", "ada")
    return {user for user in USERS if canary.answers(user)}


def test_the_share_of_users_is_right() -> None:
    for percent in (1, 10, 50):
        # Four standard deviations of a binomial share of 10,000.
        bound = 4 * (percent / 100 * (1 - percent / 100) / len(USERS)) ** 0.5
        assert len(share(percent)) / len(USERS) == pytest.approx(percent / 100, abs=bound)


def test_a_larger_percent_only_adds_users_and_the_same_one_moves_nobody() -> None:
    shares = [share(percent) for percent in (1, 5, 10, 25, 50)]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(shares))
    assert share(10) == share(10)


def test_another_version_has_other_users_and_nobody_is_in_no_share() -> None:
    assert len(share(10, version=7) & share(10, version=8)) < 200
    assert not Canary(7, "code-assistant:7", 50, "", "").answers("")


def test_a_trial_is_begun_changed_and_aborted(registry: Registry, settings: Settings) -> None:
    assert registry.canary() is None
    begun = registry.start_canary(2, 10, by="ada", why="shorter answers")
    assert (begun.version, begun.served_name, begun.percent, begun.by) == (2, "code-assistant:2", 10, "ada")
    assert Registry(settings).canary() == begun

    raised = registry.start_canary("code-assistant:2", 25, by="ada")
    assert (raised.percent, raised.trial) == (25, begun.trial)

    assert registry.stop_canary("aborted", by="ada", why="enough seen") == raised
    assert registry.canary() is None
    tags = registry.get(2).tags
    assert (tags["canary_outcome"], tags["canary_ended_by"], tags["canary_ended_why"]) == ("aborted", "ada", "enough seen")
    assert registry.stop_canary("aborted", by="ada", why="again") is None

    again = registry.start_canary(2, 10, by="ada")
    assert again.trial != begun.trial
    assert registry.get(2).tags["canary_outcome"] == ""


def test_finishing_promotes_and_ends_the_trial(registry: Registry) -> None:
    with pytest.raises(InputError, match="no version is on trial"):
        registry.finish_canary(by="ada")
    registry.start_canary(2, 10, by="ada")
    promoted = registry.finish_canary(by="ada")
    assert (promoted.version, promoted.in_production, promoted.previous_production) == (2, True, 1)
    assert registry.canary() is None
    assert registry.get(2).tags["canary_outcome"] == "finished"
    assert "Canary" not in registry.aliases()


def test_a_version_that_failed_the_gate_is_no_canary_unless_forced_and_never_finishes(registry: Registry) -> None:
    with pytest.raises(AdapterError, match="did not pass the gate"):
        registry.start_canary(3, 10, by="ada")
    with pytest.raises(InputError, match="reason"):
        registry.start_canary(3, 10, by="ada", force=True)
    assert registry.canary() is None
    registry.start_canary(3, 10, by="ada", why="the judge is wrong about it", force=True)
    with pytest.raises(AdapterError, match="did not pass the gate"):
        registry.finish_canary(by="ada")
    canary = registry.canary()
    assert canary is not None
    assert canary.version == 3


def test_what_cannot_be_compared_or_served_is_no_canary(registry: Registry, settings: Settings) -> None:
    with pytest.raises(InputError, match="in Production already"):
        registry.start_canary(1, 10, by="ada")
    for percent in (0, 51, -1):
        with pytest.raises(InputError, match="percent"):
            registry.start_canary(2, percent, by="ada")
    (weights,) = (settings.home / "mlartifacts").rglob(f"{registry.get(2).run_id}/artifacts/adapter/adapter_model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(AdapterError, match="not the file that was registered"):
        registry.start_canary(2, 10, by="ada")
    assert registry.canary() is None
    registry._client.delete_registered_model_alias("code-assistant", "Production")
    with pytest.raises(InputError, match="nothing in Production"):
        registry.start_canary(2, 10, by="ada")


def test_there_is_one_canary_at_a_time(registry: Registry) -> None:
    registry.start_canary(2, 10, by="ada")
    with pytest.raises(InputError, match="code-assistant:2 is on trial"):
        registry.start_canary(3, 10, by="ada", why="w", force=True)


def test_a_take_back_of_an_earlier_trial_leaves_the_present_one(registry: Registry) -> None:
    earlier = registry.start_canary(2, 10, by="ada")
    registry.stop_canary("aborted", by="ada", why="")
    present = registry.start_canary(2, 10, by="ada")
    assert registry.stop_canary("taken back", by="server", why="worse", expected=earlier) is None
    assert registry.canary() == present


def test_several_servers_that_take_it_back_at_once_do_it_once(registry: Registry, settings: Settings) -> None:
    canary = registry.start_canary(2, 10, by="ada")
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda n: Registry(settings).stop_canary("taken back", f"{n}", f"{n}", canary), range(4)))
    assert [one for one in ended if one] == [canary]
    assert registry.canary() is None


def test_a_version_promoted_by_other_hands_is_on_trial_no_more(registry: Registry) -> None:
    registry.start_canary(2, 10, by="ada")
    registry._client.set_registered_model_alias("code-assistant", "Production", "2")
    assert registry.canary() is None
    registry.promote(1)
    assert registry.canary() is None, "the trial came back when another version was promoted"


def test_a_deleted_version_is_on_trial_no_more(registry: Registry) -> None:
    registry.start_canary(2, 10, by="ada")
    registry._client.delete_model_version("code-assistant", "2")
    assert registry.canary() is None


def test_the_files_that_were_checked_are_kept_and_nothing_else_is(registry: Registry, settings: Settings) -> None:
    registry.promote(2)
    registry.rollback()
    registry.start_canary(2, 10, by="ada")
    assert sorted(path.name for path in (settings.home / "adapters").iterdir()) == ["1", "2"]
