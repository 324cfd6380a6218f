"""The benchmarks of scale and of vector stores run, and measure what they say, at the smallest sizes."""

from __future__ import annotations

import pytest

from benchmarks import scale, vector_store


def test_a_small_repository_is_indexed_searched_and_measured(capsys: pytest.CaptureFixture[str]) -> None:
    scale.main(["300"])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[0] == "chunks"
    assert int(row.split()[0]) >= 300
    assert all(float(value) > 0 for value in row.split())


@pytest.mark.parametrize("store", ["edge: exact", "local mode"])
def test_an_exact_store_finds_all_of_the_nearest(store: str) -> None:
    insert, *_, recall = vector_store.measured(store, 400)
    assert insert > 0
    assert recall == 1.0
