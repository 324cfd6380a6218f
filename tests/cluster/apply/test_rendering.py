"""Rendered YAML: the same bytes, nothing stale, nobody else's file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cia.errors import InputError, OperationError
from cia.settings import load_settings
from cluster.apply.rendering import render
from cluster.platform import platform
from tests.cluster.apply.objects_of_ours import config_map, made, one_part


def read(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_rendering_is_the_same_bytes_each_time_and_reads_back_as_what_is_applied(tmp_path: Path) -> None:
    settings, some = load_settings("cluster", environment={}), ["access", "runtimes"]
    parts = platform(settings, some)
    paths = render(parts, tmp_path / "a")
    render(platform(settings, some), tmp_path / "b")
    assert read(tmp_path / "a") == read(tmp_path / "b")
    objects = [built for _, of_part in parts for built in of_part]
    assert [yaml.safe_load(path.read_text()) for path in paths] == objects


def test_one_file_an_object_and_a_text_of_many_lines_as_it_reads(tmp_path: Path) -> None:
    (path,) = render(one_part(config_map(config="a: 1\nb: 2\n")), tmp_path)
    assert path == tmp_path / "access" / "configmap-params.yaml"
    assert "  config: |\n    a: 1\n    b: 2\n" in path.read_text()


def test_what_is_no_longer_made_is_removed_and_other_files_stay(tmp_path: Path) -> None:
    render(one_part(config_map("old"), config_map("kept")), tmp_path)
    render(one_part(config_map("other"), name="mlflow"), tmp_path, only=["mlflow"])
    (tmp_path / "access" / "notes.yaml").write_text("mine: true\n")
    render(one_part(config_map("kept")), tmp_path, only=["access"])
    assert sorted(read(tmp_path)) == ["access/configmap-kept.yaml", "access/notes.yaml", "mlflow/configmap-other.yaml"]
    render(one_part(config_map("kept")), tmp_path)
    assert sorted(read(tmp_path)) == ["access/configmap-kept.yaml", "access/notes.yaml"]


def test_a_file_of_somebody_else_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "access").mkdir()
    mine = tmp_path / "access" / "configmap-params.yaml"
    mine.write_text("mine: true\n")
    with pytest.raises(InputError, match="was not written by `cia cluster render`"):
        render(one_part(config_map("first"), config_map()), tmp_path)
    assert read(tmp_path) == {"access/configmap-params.yaml": b"mine: true\n"}


def test_a_secret_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="would hold a secret"):
        render(one_part(made("Secret", "code-assistant", data={"key": "c2VjcmV0"})), tmp_path)
    assert read(tmp_path) == {}
