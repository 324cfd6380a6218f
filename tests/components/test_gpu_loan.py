"""The GPU that the served model lends goes back when the adapter is scored, or when that fails."""

from __future__ import annotations

import pytest

from cia.errors import UnavailableError
from cia.settings import Settings, load_settings
from components.gpu_loan import end_loan, last_use_of_the_gpu
from inference_services import pausing
from runtimes.cluster_trainer import ClusterTrainer


class Served:
    """The served model, as `inference_services.pausing` sees it."""

    def __init__(self) -> None:
        self.paused_for: str | None = "fine-tune-1"
        self.away = False

    def asked(self, _: Settings) -> str | None:
        if self.away:
            raise UnavailableError("no cluster")
        return self.paused_for

    def resume(self, _: Settings, job: str) -> bool:
        assert job == self.paused_for
        self.paused_for = None
        return True


@pytest.fixture
def settings() -> Settings:
    return load_settings("cluster", environment={})


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    model = Served()
    monkeypatch.setattr(pausing, "paused_for", model.asked)
    monkeypatch.setattr(pausing, "resume_after", model.resume)
    monkeypatch.setattr(ClusterTrainer, "__init__", lambda self, _: None)
    monkeypatch.setattr(ClusterTrainer, "is_active", lambda self, job: False)
    return model


def test_the_model_starts_again_after_the_scoring_and_after_one_that_fails(served: Served, settings: Settings) -> None:
    with last_use_of_the_gpu(settings):
        assert served.paused_for == "fine-tune-1"
    assert served.paused_for is None
    served.paused_for = "fine-tune-2"
    with pytest.raises(ZeroDivisionError), last_use_of_the_gpu(settings):
        raise ZeroDivisionError
    assert served.paused_for is None


def test_a_training_that_still_runs_keeps_the_gpu(served: Served, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClusterTrainer, "is_active", lambda self, job: job == "fine-tune-1")
    end_loan(settings)
    assert served.paused_for == "fine-tune-1"


def test_a_cluster_that_does_not_answer_spoils_no_scoring(served: Served, settings: Settings) -> None:
    served.away = True
    with last_use_of_the_gpu(settings):
        pass
    with pytest.raises(UnavailableError):
        end_loan(settings)


def test_here_nobody_is_asked(served: Served) -> None:
    served.away = True
    end_loan(load_settings(environment={}))
