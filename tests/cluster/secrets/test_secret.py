"""The secret: what is made, what is never overwritten, and what happens when two write at once."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cia.errors import InputError, UnavailableError
from cia.settings import Settings, load_settings
from cluster.secret_keys import SECRET_KEYS
from cluster.secrets import ensure_secret, key_states, set_key
from cluster.secrets.values import fresh
from tests.cluster.stand_in_cluster import StandInCluster, served

HERE = "code-assistant"
MADE = {key.key for key in SECRET_KEYS if key.generated}


@pytest.fixture
def cluster() -> Iterator[StandInCluster]:
    stand_in = StandInCluster()
    stand_in.add("Namespace", HERE)
    with served(stand_in):
        yield stand_in


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings("cluster", environment={})


def values(cluster: StandInCluster) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in cluster.named("Secret", HERE, HERE)["data"].items()}


def test_what_can_be_made_is_made_once(cluster: StandInCluster, settings: Settings) -> None:
    first = ensure_secret(cluster.serve(), settings)
    made = values(cluster)
    assert (first.created, set(first.made)) == (True, MADE)
    assert set(made) == MADE
    assert len(set(made.values())) == len(made)
    again = ensure_secret(cluster.serve(), settings)
    assert (again.created, again.made) == (False, ())
    assert values(cluster) == made


def test_a_missing_or_empty_value_is_made_and_no_other_is_touched(cluster: StandInCluster, settings: Settings) -> None:
    mine = base64.b64encode(b"mine").decode()
    cluster.add("Secret", HERE, HERE, data={"model-api-key": mine, "qdrant-api-key": "", "own-key": mine})
    report = ensure_secret(cluster.serve(), settings)
    assert not report.created
    assert set(report.made) == MADE - {"model-api-key"}
    assert values(cluster)["model-api-key"] == values(cluster)["own-key"] == "mine"
    assert len(values(cluster)["qdrant-api-key"]) == 43


def test_two_at_once_agree_on_one_value(cluster: StandInCluster, settings: Settings) -> None:
    for _ in range(3):
        with ThreadPoolExecutor(6) as pool:
            reports = list(pool.map(lambda _: ensure_secret(cluster.serve(), settings), range(6)))
        assert sorted(key for report in reports for key in report.made) == sorted(MADE)
        assert sum(report.created for report in reports) == 1
        cluster.remove("Secret", HERE, HERE)


def test_of_two_that_fill_in_a_key_at_once_the_second_keeps_the_first_ones_value(
    cluster: StandInCluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_secret(cluster.serve(), settings)
    cluster.named("Secret", HERE, HERE)["data"]["qdrant-api-key"] = ""
    patch = StandInCluster._patch
    raced: list[str] = []

    def somebody_is_faster(self: StandInCluster, path: str, body: dict) -> tuple[int, object]:
        if not raced:
            raced.append(path)
            patch(self, path, {"metadata": {}, "data": {"qdrant-api-key": base64.b64encode(b"theirs").decode()}})
        return patch(self, path, body)

    monkeypatch.setattr(StandInCluster, "_patch", somebody_is_faster)
    assert ensure_secret(cluster.serve(), settings).made == ()
    assert values(cluster)["qdrant-api-key"] == "theirs"


def test_the_secret_is_labelled_as_ours_and_under_no_part_that_is_rendered(cluster: StandInCluster, settings: Settings) -> None:
    ensure_secret(cluster.serve(), settings)
    labels = cluster.named("Secret", HERE, HERE)["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "cia"
    assert labels["code-assistant/part"] == "secret"


def test_a_key_is_made_under_the_name_that_the_settings_give_it(cluster: StandInCluster, settings: Settings) -> None:
    services = settings.inference_services.model_copy(update={"api_key": "vllm-key"})
    renamed = settings.model_copy(update={"inference_services": services})
    assert "vllm-key" in ensure_secret(cluster.serve(), renamed).made
    assert "model-api-key" not in values(cluster)


def test_a_person_gives_a_value_and_sees_which_are_there_but_none_of_them(cluster: StandInCluster, settings: Settings) -> None:
    set_key(cluster.serve(), settings, "hub-token", "s3cret")
    assert values(cluster) == {"hub-token": "s3cret"}
    set_key(cluster.serve(), settings, "hub-token", "n3w-value")
    assert values(cluster) == {"hub-token": "n3w-value"}
    states = key_states(cluster.serve(), settings)
    assert [state.key.key for state in states if state.present] == ["hub-token"]
    assert "n3w-value" not in repr(states) + repr(ensure_secret(cluster.serve(), settings))


@pytest.mark.parametrize(
    ("key", "value", "said"), [("hub-tokn", "x", "no key 'hub-tokn'.*hub-token"), ("hub-token", "", "is empty")]
)
def test_a_key_that_there_is_not_or_no_value_is_refused(
    cluster: StandInCluster, settings: Settings, key: str, value: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        set_key(cluster.serve(), settings, key, value)


def test_a_missing_namespace_and_a_missing_right_are_told_with_what_to_do(cluster: StandInCluster, settings: Settings) -> None:
    cluster.remove("Namespace", HERE)
    with pytest.raises(InputError, match="no namespace code-assistant; `cia cluster apply --only namespace`"):
        ensure_secret(cluster.serve(), settings)
    cluster.denied.add(("get", "secrets"))
    with pytest.raises(InputError, match="may not read and write the secret code-assistant in code-assistant"):
        ensure_secret(cluster.serve(), settings)


def test_a_server_that_is_away_is_told(settings: Settings) -> None:
    with served(StandInCluster()) as cluster:
        connection = cluster.serve()
    connection.api.configuration.retries = False
    with pytest.raises(UnavailableError, match="does not answer"):
        ensure_secret(connection, settings)


def test_each_form_reads_as_its_owner_wants_it() -> None:
    assert re.fullmatch(r"[\w-]{43}", fresh("token"))
    assert re.fullmatch(r"[0-9a-f]{64}", fresh("hex64"))
    assert re.fullmatch(r"cia-[0-9a-f]{8}", fresh("username"))
    assert re.fullmatch(r"sk-lf-[0-9a-f-]{36}", fresh("sk-lf"))
