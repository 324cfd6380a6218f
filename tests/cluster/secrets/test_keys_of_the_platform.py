"""The list of keys against what the platform's pods ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cluster.secrets import secret_keys
from tests.cluster.rendered import objects_of, settings_of


def references(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("secretKeyRef"), dict):
            yield value["secretKeyRef"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("variables", [{}, {"CLUSTER__MLFLOW__ARTIFACTS": "s3"}])
def test_every_key_that_pods_ask_for_is_listed_and_made_unless_they_start_without_it(variables: dict[str, str]) -> None:
    settings = settings_of(**variables)
    keys = {key.key: key for key in secret_keys(settings)}
    asked = [one for one in references(objects_of(**variables)) if one["name"] == settings.cluster.secret]
    assert asked
    assert {one["key"] for one in asked} <= set(keys)
    assert [one["key"] for one in asked if not one.get("optional") and not keys[one["key"]].generated] == []
    of_steps = {**settings.pipeline.secret_variables, **settings.inference_services.secret_variables}
    assert set(of_steps.values()) <= set(keys)
