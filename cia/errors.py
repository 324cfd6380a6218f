"""Everything that can go wrong and is shown to a person.

    CiaError                 one sentence: what was wrong and what to do
    ├── InputError           the caller gave something unusable     (exit code 2, HTTP 422)
    │   ├── SettingsError    a key, a type or a file of the settings
    │   ├── SourceError      a repository source that cannot be read
    │   └── NotIndexedError  a repository that the index does not hold (HTTP 404)
    ├── AccessError          who asks is not known, or may not do this (exit code 2, HTTP 401)
    ├── LimitError           too much was asked for at once         (HTTP 429)
    └── OperationError       the request was fine, the work failed  (exit code 1, HTTP 500)
        ├── BusyError        another process holds the lock         (HTTP 503)
        ├── UnavailableError a neighbour (Qdrant, vLLM, MLflow) is away (HTTP 503)
        └── AdapterError     an adapter that must not be served

A message is written for the person who caused it: no stack trace, no class name.
"""

from __future__ import annotations


class CiaError(Exception):
    """Base of all errors that the command line prints as one line."""

    exit_code = 1


class InputError(CiaError):
    """The caller gave something that cannot be used."""

    exit_code = 2


class SettingsError(InputError):
    """A setting is unknown or has the wrong type."""


class SourceError(InputError):
    """A repository source cannot be read as asked."""


class NotIndexedError(InputError):
    """The index holds no such repository."""


class AccessError(CiaError):
    """Who asks is not known, or may not do this."""

    exit_code = 2


class LimitError(CiaError):
    """A limit is spent. ``retry_after`` is the number of seconds after which it is worth asking again."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class OperationError(CiaError):
    """The request was fine; carrying it out failed."""


class BusyError(OperationError):
    """Another process is doing the same work."""


class UnavailableError(OperationError):
    """A service that this needs does not answer."""


class AdapterError(OperationError):
    """An adapter that vLLM would reject or that was tampered with."""
