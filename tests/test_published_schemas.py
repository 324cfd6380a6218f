"""The reading of rules that the validation of every object relies on."""

from __future__ import annotations

from typing import Any

from tests.published_schemas import broken_rules, refused_by, with_defaults

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer", "default": 1},
        "policies": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "x-kubernetes-validations": [{"rule": "self.name.matches('^[a-z]+$')", "message": "a name is of letters"}],
            },
        },
    },
    "x-kubernetes-validations": [
        {"rule": "self.replicas >= 1", "message": "one at least"},
        {"rule": "self == oldSelf", "message": "it cannot be changed"},
    ],
}


def test_a_rule_is_asked_of_every_item_and_says_where_it_was_broken() -> None:
    broken = list(broken_rules(SCHEMA, {"replicas": 1, "policies": [{"name": "a"}, {"name": "7"}]}))
    assert broken == [".policies[1]: a name is of letters"]


def test_defaults_are_filled_in_before_rules_are_asked() -> None:
    assert list(broken_rules(SCHEMA, with_defaults(SCHEMA, {"policies": []}))) == []
    assert list(broken_rules(SCHEMA, {"replicas": 0})) == ["it: one at least"]


def test_a_published_rule_refuses_two_policies_in_one_training_runtime() -> None:
    published = ("TRAINER_CRDS", "_clustertrainingruntimes.yaml")
    runtime: dict[str, Any] = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": "two"},
        "spec": {"mlPolicy": {"numNodes": 1, "torch": {}}, "template": {"spec": {"replicatedJobs": []}}},
    }
    assert refused_by(*published, runtime) == []
    runtime["spec"]["mlPolicy"]["mpi"] = {}
    assert "Only one of the policy can be configured" in refused_by(*published, runtime)[0]
