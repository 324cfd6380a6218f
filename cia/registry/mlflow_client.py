"""One quiet MLflow client, and its errors in this project's words."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cia.durable_files import exclusive
from cia.errors import OperationError, UnavailableError
from cia.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

QUIET = {
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # 7 tries with pauses would hold a caller for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "GIT_PYTHON_REFRESH": "quiet",
}

# In a notebook, that the progress bars which MLflow then does not show would want widgets.
warnings.filterwarnings("ignore", message="IProgress not found")

FIRST_START_SECONDS = 120.0
"""To make the database's tables, which another process may be doing."""


def tracking_uri(settings: Settings) -> str:
    """Return ``registry.tracking_uri``, or the SQLite file under CIA_HOME."""
    return settings.registry.tracking_uri or f"sqlite:///{settings.home.absolute() / 'mlflow.db'}"


def artifact_folder(settings: Settings) -> Path | None:
    """Return where local artifacts go; None when a server decides."""
    return None if settings.registry.tracking_uri else settings.home.absolute() / "mlartifacts"


def open_client(settings: Settings) -> MlflowClient:
    """Return a client whose database exists. Raises UnavailableError when MLflow cannot be reached."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise OperationError("mlflow is not installed; install code-intelligence-assistant[evaluation]") from None
    for chatty in ("mlflow", "alembic"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    uri = tracking_uri(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    # Two processes that make the tables at once trip over each other.
    lock = exclusive(settings.home / "mlflow.lock", "preparing the registry", FIRST_START_SECONDS)
    with mlflow_errors(uri), lock:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
    return client


@contextlib.contextmanager
def mlflow_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow, its database and its connections raise into UnavailableError; what is absent stays a LookupError."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, RequestException, ConnectionError) as error:
        code = getattr(error, "error_code", "")
        why = " ".join(str(error).split())[:200]
        if code == "RESOURCE_DOES_NOT_EXIST":
            raise LookupError(why) from error
        raise UnavailableError(f"the registry at {uri} does not answer ({why}); look whether MLflow runs") from error
