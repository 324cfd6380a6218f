"""Makes the secret's missing values, takes those that a person gives, and tells which are there.

Every write names the version that it read, so that of two at once one reads again: a value that somebody may already use is
never replaced by another random one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cia.errors import BusyError, CiaError, InputError, OperationError, UnavailableError
from cia.settings import Settings
from cluster.part import PART_LABEL
from cluster.secret_keys import SECRET_KEYS, SecretKey
from cluster.secrets.values import fresh
from inference_services.object_metadata import LABELS

if TYPE_CHECKING:
    from kubernetes.client import ApiException, V1Secret

    from cluster.connection import Connection

PART = "secret"
"""In the part label: by it `cia cluster delete` knows that this object is not one that it could render again."""

TIMEOUT = (5.0, 30.0)
"""Seconds until a connection stands, and until its answer is there."""

TRIES = 5


@dataclass(frozen=True, slots=True)
class SecretReport:
    """``created``: there was no secret yet; ``made``: keys that have a random value now; ``missing``: those to be given."""

    created: bool
    made: tuple[str, ...]
    missing: tuple[SecretKey, ...]


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key, and whether the secret has a value for it."""

    key: SecretKey
    present: bool


def secret_keys(settings: Settings) -> tuple[SecretKey, ...]:
    """Return the keys under the names that the settings give them."""
    services = settings.inference_services
    named = {"model-api-key": services.api_key, "hub-token": services.weights.token_key}
    return tuple(replace(key, key=named.get(key.key, key.key)) for key in SECRET_KEYS)


def ensure_secret(connection: Connection, settings: Settings) -> SecretReport:
    """Give every key that can be made a random value, where it has none, and return what was done.

    ``missing`` holds the keys that a person has to give and has not. Raises InputError when the namespace is not there or does
    not let us write, BusyError when others keep writing at the same time, UnavailableError when the server does not answer.
    """
    keys = secret_keys(settings)

    def what_is_missing(there: Mapping[str, str]) -> dict[str, str]:
        return {key.key: fresh(key.form) for key in keys if key.generated and not there.get(key.key)}

    created, written, there = _write(connection, settings, what_is_missing)
    to_be_given = (key for key in keys if not key.generated and not key.optional)
    return SecretReport(created, tuple(written), tuple(key for key in to_be_given if not there.get(key.key)))


def set_key(connection: Connection, settings: Settings, key: str, value: str) -> None:
    """Write a person's ``value`` under ``key``, over what may be there. Raises like `ensure_secret`, and InputError for both."""
    names = [known.key for known in secret_keys(settings)]
    if key not in names:
        raise InputError(f"the secret has no key {key!r}; write one of {', '.join(names)}")
    if not value:
        raise InputError(f"the value for {key} is empty; write it to standard input")
    _write(connection, settings, lambda _: {key: value})


def key_states(connection: Connection, settings: Settings) -> list[KeyState]:
    """Return every key and whether it has a value. Raises like `ensure_secret`."""
    from kubernetes import client

    secret = _answered(settings, partial(_read, client.CoreV1Api(connection.api), settings))
    there = (secret.data or {}) if secret else {}
    return [KeyState(key, bool(there.get(key.key))) for key in secret_keys(settings)]


def _write(
    connection: Connection, settings: Settings, wanted: Callable[[Mapping[str, str]], dict[str, str]]
) -> tuple[bool, dict[str, str], Mapping[str, str]]:
    """Write what ``wanted`` makes of the data that is there; return whether the secret is new, what was written, and the data."""
    from kubernetes import client

    api = client.CoreV1Api(connection.api)
    for _ in range(TRIES):
        before = _answered(settings, partial(_read, api, settings))
        there = dict(before.data or {}) if before else {}
        values = {name: base64.b64encode(value.encode()).decode() for name, value in wanted(there).items()}
        if not values:
            return False, {}, there
        version = before.metadata.resource_version if before else None
        if _answered(settings, partial(_try_to_write, api, settings, values, version)):
            return before is None, values, there | values
    raise BusyError(f"others keep writing the secret {settings.cluster.secret}; run this again")


def _read(api: Any, settings: Settings) -> V1Secret | None:
    from kubernetes.client import ApiException

    where = settings.cluster
    try:
        return api.read_namespaced_secret(where.secret, where.namespace, _request_timeout=TIMEOUT)
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def _try_to_write(api: Any, settings: Settings, values: dict[str, str], version: str | None) -> bool:
    """Write ``values`` into the secret of that version, or a new one; False when somebody else was faster."""
    from kubernetes import client

    where = settings.cluster
    labels = {"app.kubernetes.io/name": where.secret, **LABELS, PART_LABEL: PART}
    body = client.V1Secret(
        api_version="v1",
        kind="Secret",
        type="Opaque" if version is None else None,
        metadata=client.V1ObjectMeta(name=where.secret, namespace=where.namespace, labels=labels, resource_version=version),
        data=values,
    )
    options = {"field_manager": "cia", "_request_timeout": TIMEOUT}
    try:
        if version is None:
            api.create_namespaced_secret(where.namespace, body, **options)
        else:
            api.patch_namespaced_secret(where.secret, where.namespace, body, **options)
    except client.ApiException as error:
        # 404 with a version: it was deleted since. Without one it is the namespace that is missing.
        if error.status == 409 or (error.status == 404 and version is not None):
            return False
        raise
    return True


def _answered(settings: Settings, ask: Callable[[], Any]) -> Any:
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        return ask()
    except ApiException as error:
        raise _refused(settings, error) from None
    except HTTPError as error:
        raise UnavailableError(f"the server does not answer ({type(error).__name__}); check that it runs, then again") from None


def _refused(settings: Settings, error: ApiException) -> CiaError:
    where = settings.cluster
    if error.status == 404:
        return InputError(f"there is no namespace {where.namespace}; `cia cluster apply --only namespace` makes it")
    if error.status == 403:
        return InputError(
            f"you may not read and write the secret {where.secret} in {where.namespace}; "
            "have somebody who may run `cia cluster apply`, or give you get, create and patch on secrets there"
        )
    if error.status == 422:
        return OperationError(
            f"the server takes no such secret ({error.reason}): is {where.secret} immutable? Delete it, then again"
        )
    return UnavailableError(f"the server answers {error.status} {error.reason}; try again in a moment")
