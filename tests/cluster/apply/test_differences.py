"""A difference is told by its path, and a secret's never."""

from __future__ import annotations

from typing import Any

from cluster.apply.differences import differences


def deployment(image: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "sidecar", "image": "s"}, {"name": "server", "image": image}]
    return {"kind": "Deployment", "metadata": {"name": "x"}, "spec": {"template": {"spec": {"containers": containers}}, **spec}}


def test_a_container_is_found_by_its_name() -> None:
    (found,) = differences(deployment("rag:1"), deployment("rag:2"))
    assert found.path == "spec.template.spec.containers[server].image"
    assert found.lines == ("-rag:1", "+rag:2")


def test_what_is_added_and_what_is_removed_show_on_one_side() -> None:
    added, removed = differences(deployment("a", paused=True), deployment("a", replicas=2))
    assert (added.path, added.lines) == ("spec.paused", ("-true",))
    assert (removed.path, removed.lines) == ("spec.replicas", ("+2",))


def test_the_servers_own_notes_and_the_status_are_no_difference() -> None:
    live = deployment("a") | {"status": {"replicas": 1}}
    live["metadata"] = {"name": "x", "uid": "1", "resourceVersion": "4", "managedFields": [{}], "generation": 3}
    assert differences(live, deployment("a")) == []


def test_a_text_of_many_lines_shows_what_changed_in_it() -> None:
    def params(value: int) -> dict[str, Any]:
        text = "".join(f"line {number}\n" for number in range(50)) + f"chunks: {value}\n"
        return {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"params.yaml": text}}

    (found,) = differences(params(1), params(2))
    assert found.path == "data[params.yaml]"
    assert found.lines == ("@@ -49,3 +49,3 @@", " line 48", " line 49", "-chunks: 1", "+chunks: 2")


def test_a_dashboard_in_one_line_is_compared_value_by_value() -> None:
    def dashboard(title: str) -> dict[str, Any]:
        return {"kind": "ConfigMap", "metadata": {}, "data": {"a": f'{{"panels": [1, 2], "title": "{title}"}}'}}

    (found,) = differences(dashboard("old"), dashboard("new"))
    assert [line for line in found.lines if line[0] in "+-"] == ['- "title": "old"', '+ "title": "new"']


def test_a_secrets_values_are_not_shown() -> None:
    def secret(value: str) -> dict[str, Any]:
        return {"kind": "Secret", "metadata": {"name": "x"}, "data": {"key": value}}

    (found,) = differences(secret("c2VjcmV0"), secret("b3RoZXI="))
    assert found.lines == ("~ hidden",)
