"""The Kubeflow Pipelines API, and its errors in this project's words."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

from cia.errors import AccessError, CiaError, InputError, UnavailableError
from cia.settings import Settings

REACH_SECONDS = 10.0
DENIED = (401, 403)


class Kubeflow:
    """A connection to the API at ``pipeline.host``. Every method raises UnavailableError, AccessError or InputError.

    ``namespace`` is that of the runs where each user has one, None on a Kubeflow Pipelines of a single user.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.pipeline.host:
            raise InputError("no KFP address: set pipeline.host (CIA_PIPELINE__HOST), or use `cia pipeline run` to run here")
        self.host = settings.pipeline.host.rstrip("/")
        self._token_variable = settings.pipeline.token_variable
        token = os.environ.get(self._token_variable)
        self.namespace = settings.cluster.namespace if self._has_users(token) else None
        with self.answering(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore", FutureWarning)
            from kfp import Client

            self._client: Any = Client(host=self.host, namespace=self.namespace or "kubeflow", existing_token=token)

    @property
    def client(self) -> Any:
        """The SDK's client; use it within ``answering``."""
        return self._client

    def address_of(self, run: str) -> str:
        """Return where a browser shows the run."""
        return f"{self.host}/#/runs/details/{run}"

    def experiment(self, name: str, create: bool = False) -> str:
        """Return the id of an experiment. Raises InputError when there is none, unless it is to be made."""
        with self.answering():
            if create:
                return str(self._client.create_experiment(name=name, namespace=self.namespace).experiment_id)
            try:
                return str(self._client.get_experiment(experiment_name=name, namespace=self.namespace).experiment_id)
            except ValueError:
                raise InputError(f"there is no experiment {name!r} at {self.host}") from None

    def run(self, run: str) -> Any:
        """Return a run with its tasks. Raises InputError when there is none."""
        with self.answering(f"there is no run {run!r} at {self.host}; `cia pipeline runs` lists them"):
            return self._client.get_run(run)

    @contextlib.contextmanager
    def answering(self, when_missing: str = "") -> Iterator[None]:
        """Turn what goes wrong inside the block into one sentence; ``when_missing`` is that for status 404."""
        from kfp_server_api.exceptions import ApiException

        try:
            # The SDK prints links to runs and experiments.
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except CiaError:
            raise
        except ApiException as error:
            raise self._refusal(int(error.status or 0), _message(error), when_missing) from error
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"the KFP SDK refuses the package or its arguments: {' '.join(str(error).split())[:300]}") from error
        except Exception as error:  # urllib3's and the SDK's own
            raise self._away(error) from error

    def _has_users(self, token: str | None) -> bool:
        """Whether each user has a namespace there; asked first, for the SDK waits long for an API that is away."""
        import httpx

        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            reply = httpx.get(f"{self.host}/apis/v2beta1/healthz", headers=headers, timeout=REACH_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._away(error) from error
        if reply.status_code != 200:
            raise self._refusal(reply.status_code, reply.reason_phrase, f"{self.host} is no Kubeflow Pipelines API")
        try:
            return bool(reply.json().get("multi_user") or reply.json().get("multiUser"))
        except (ValueError, AttributeError):
            raise InputError(
                f"{self.host} answers with a page, not as the KFP API (a login?); check pipeline.host and {self._token_variable}"
            ) from None

    def _refusal(self, status: int, message: str, when_missing: str) -> CiaError:
        if status in DENIED:
            return AccessError(
                f"{self.host} refuses ({status}: {message}); set {self._token_variable} to a token that may do this"
            )
        if status == 404 and when_missing:
            return InputError(when_missing)
        if 400 <= status < 500:
            return InputError(f"{self.host} does not take this ({status}: {message})")
        return UnavailableError(f"{self.host} failed ({status}: {message}); try again")

    def _away(self, error: Exception) -> UnavailableError:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return UnavailableError(f"no Kubeflow Pipelines API answers at {self.host} ({reason}); check pipeline.host")


def _message(error: Any) -> str:
    """What the API says went wrong: it wraps each sentence in the name of each function that it came through."""
    try:
        body = json.loads(error.body)
        said = str(body.get("error") or body.get("message") or error.reason)
    except (TypeError, ValueError, AttributeError):
        said = str(error.reason)
    return re.sub(r"^.*?rpc error: code = \w+ desc = ", "", " ".join(said.split()))[:300]
