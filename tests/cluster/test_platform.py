"""The list of everything that is applied."""

from __future__ import annotations

import pytest

from cia.errors import InputError
from cia.settings import load_settings
from cluster.part import PART_LABEL
from cluster.platform import PARTS, platform


def test_every_object_says_which_part_it_belongs_to_and_who_owns_it() -> None:
    settings = load_settings("cluster", environment={})
    labels = [(part.name, built["metadata"]["labels"]) for part, objects in platform(settings) for built in objects]
    assert {name for name, _ in labels} == {part.name for part in PARTS}
    for name, carried in labels:
        assert carried[PART_LABEL] == name
        assert carried["app.kubernetes.io/managed-by"] == "cia"


def test_a_part_that_there_is_not_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"no part 'qdrent'; write one of .*runtimes"):
        platform(load_settings("cluster", environment={}), only=["qdrent"])
