"""``cia cluster secret``: values come in by standard input and never come out."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import run
from tests.cluster.stand_in_cluster import StandInCluster, served


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInCluster]:
    stand_in = StandInCluster()
    stand_in.add("Namespace", "code-assistant")
    with served(stand_in):
        monkeypatch.setattr("cluster.connection.connect", lambda context=None: stand_in.serve())
        yield stand_in


def test_a_value_is_read_from_standard_input_without_its_line_end(
    cluster: StandInCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hf_s3cret\n"))
    assert run(["cluster", "secret", "set", "hub-token"]) == 0
    data = cluster.named("Secret", "code-assistant", "code-assistant")["data"]
    assert base64.b64decode(data["hub-token"]) == b"hf_s3cret"
    assert "s3cret" not in "".join(capsys.readouterr())


def test_the_list_says_what_is_there_and_shows_no_value(cluster: StandInCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.add("Secret", "code-assistant", "code-assistant", data={"qdrant-api-key": base64.b64encode(b"s3cret").decode()})
    assert run(["cluster", "secret", "list", "--json"]) == 0
    shown = capsys.readouterr().out
    rows = {row["key"]: row for row in json.loads(shown)["keys"]}
    assert rows["qdrant-api-key"] == {"key": "qdrant-api-key", "present": True, "source": "made", "optional": False}
    assert not rows["hub-token"]["present"]
    assert run(["cluster", "secret", "list"]) == 0
    lines = capsys.readouterr().out
    assert "missing" in next(line for line in lines.splitlines() if line.startswith("model-api-key"))
    assert "s3cret" not in shown + lines


@pytest.mark.parametrize(
    ("given", "key", "said"), [("a\nb\n", "hub-token", "more than one line"), ("x", "nothing", "no key 'nothing'")]
)
def test_what_cannot_be_a_value_is_refused_in_a_sentence(
    cluster: StandInCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, key: str, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert run(["cluster", "secret", "set", key]) == 2
    assert said in capsys.readouterr().err
