"""The ClickHouse that Langfuse keeps its traces in."""

from __future__ import annotations

import hashlib
from typing import Any

from cia.settings import Settings
from cluster.pod import config_files, container, empty, from_secret, http_probe, literal, mount, pod_template
from cluster.workload import claim_template, config_map, service, stateful_set

NAME = "langfuse-clickhouse"
HTTP, NATIVE = 8123, 9000
USER = 101
"""``clickhouse`` in the image."""

LOGIN = "langfuse"
PASSWORD = "CLICKHOUSE_PASSWORD"
PASSWORD_KEY = "langfuse-clickhouse-password"
DATA = "/var/lib/clickhouse"
CONFIGURATION = "/etc/clickhouse-server"

NOISY_LOGS = (
    "asynchronous_metric_log",
    "latency_log",
    "metric_log",
    "processors_profile_log",
    "query_metric_log",
    "text_log",
    "trace_log",
)
"""Tables in which ClickHouse writes down what itself does. They outgrow the traces of a small installation."""

DAYS_OF_QUERIES = 7

SERVER = f"""<clickhouse>
  <logger replace="replace"><level>information</level><console>true</console></logger>
  <mysql_port remove="remove"/>
  <postgresql_port remove="remove"/>
  <query_log><ttl>event_date + INTERVAL {DAYS_OF_QUERIES} DAY DELETE</ttl></query_log>
{"".join(f'  <{log} remove="remove"/>{chr(10)}' for log in NOISY_LOGS)}</clickhouse>
"""

USERS = f"""<clickhouse>
  <users>
    <default remove="remove"/>
    <{LOGIN}>
      <password from_env="{PASSWORD}"/>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </{LOGIN}>
  </users>
</clickhouse>
"""
"""One user, whose password the server reads from its environment: this file is no secret."""


def clickhouse(settings: Settings) -> list[Any]:
    """Return the ConfigMap, Service and StatefulSet of one server."""
    langfuse = settings.cluster.langfuse
    program = container(
        settings,
        "clickhouse",
        langfuse.clickhouse_image,
        compute=langfuse.clickhouse_compute,
        # Not by the image's script, which would write the password into a file of the image.
        command=["clickhouse-server", f"--config-file={CONFIGURATION}/config.xml"],
        env=[from_secret(settings, PASSWORD, PASSWORD_KEY), literal("CLICKHOUSE_WATCHDOG_ENABLE", "0")],
        ports={"http": HTTP, "native": NATIVE},
        mounts=[
            mount("data", DATA),
            mount("configuration", f"{CONFIGURATION}/config.d/{NAME}.xml", sub_path="server.xml", read_only=True),
            mount("configuration", f"{CONFIGURATION}/users.d/{NAME}.xml", sub_path="users.xml", read_only=True),
            mount("tmp", "/tmp"),
        ],
        startup=http_probe("/ping", "http", failures=60),
        readiness=http_probe("/ping", "http"),
        liveness=http_probe("/ping", "http", failures=6),
    )
    template = pod_template(
        NAME,
        [program],
        user=USER,
        volumes=[config_files("configuration", NAME), empty("tmp", "256Mi")],
        grace_seconds=120,
        annotations={"code-assistant/configuration": hashlib.sha256((SERVER + USERS).encode()).hexdigest()[:16]},
    )
    data = claim_template(settings, "data", langfuse.clickhouse_size)
    return [
        config_map(settings, NAME, {"server.xml": SERVER, "users.xml": USERS}),
        service(settings, NAME, {"http": HTTP, "native": NATIVE}),
        stateful_set(settings, NAME, template, service=NAME, claims=[data]),
    ]
