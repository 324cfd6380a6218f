"""``cia users``: who may ask the server, and which repositories each may read."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cia.settings import Settings, load_settings

if TYPE_CHECKING:
    from rag_server.access.users import User, Users
    from rag_server.database import Database

app = typer.Typer(help="Users of the server, their keys and repositories.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The user; one that an OIDC issuer vouches for is called oidc:NAME.")]
Repos = Annotated[list[str], typer.Option("--repo", help="A repository; '*' for every one. May be given several times.")]
SomeRepos = Annotated[list[str] | None, typer.Option("--repo", help="A repository to grant; '*' for every one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command()
def add(
    name: Name,
    repo: SomeRepos = None,
    admin: Annotated[bool, typer.Option("--admin", help="An administrator, who reads every repository.")] = False,
    no_key: Annotated[bool, typer.Option("--no-key", help="Make no API key, as for users of an OIDC issuer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a user and print its API key, which is shown this once."""
    from rag_server.access.api_keys import new_key
    from rag_server.access.users import Users
    from rag_server.conversations import Conversations

    settings = load_settings()
    key, stored = new_key() if not no_key else (None, None)
    with _database(settings) as database:
        user = Users(database).add(name, repo or (), is_admin=admin, key=stored)
        # Whoever was called so before may have been somebody else.
        Conversations(database).delete_all(user.principal())
    _warn_of_unknown(settings, repo or ())
    _show_key(user.name, key, as_json)
    if not user.repos and not admin:
        _remark(f"{name} may read nothing yet; `cia users grant {name} --repo NAME` grants a repository, --repo '*' every one")


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Print every user and what it may read."""
    with _store(load_settings()) as users:
        everyone = users.list()
    if as_json:
        print(json.dumps({"users": [_as_json(user) for user in everyone]}))
        return
    for user in everyone:
        print(f"{user.name:<24} {_described(user)}")


@app.command()
def revoke(name: Name) -> None:
    """End a user: its keys, tokens and sessions stop working within a second."""
    with _store(load_settings()) as users:
        users.revoke(name)
    print(f"{name} is revoked")


@app.command()
def grant(name: Name, repo: Repos) -> None:
    """Let a user read more repositories."""
    settings = load_settings()
    with _store(settings) as users:
        user = users.grant(name, repo)
    _warn_of_unknown(settings, repo)
    print(f"{name}: {_described(user)}")


@app.command()
def ungrant(name: Name, repo: Repos) -> None:
    """Take repositories away from a user."""
    with _store(load_settings()) as users:
        user = users.ungrant(name, repo)
    print(f"{name}: {_described(user)}")


@app.command()
def key(name: Name, as_json: AsJson = False) -> None:
    """Print a new API key for a user; the old ones end, and the sessions begun with them."""
    from rag_server.access.api_keys import new_key

    made, stored = new_key()
    with _store(load_settings()) as users:
        users.replace_key(name, stored)
    _show_key(name, made, as_json)


@app.command("rotate-signing-key")
def rotate_signing_key(
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="End all tokens and sessions at once, as after a stolen database.")
    ] = False,
) -> None:
    """Sign tokens with a new key; those signed so far stay good until they end."""
    from rag_server.access.tokens import Tokens

    settings = load_settings()
    with _database(settings) as database:
        Tokens(database, settings.rag).rotate(end_tokens=end_sessions)
    print("tokens are signed with a new key" + ("; everyone has to sign in again" if end_sessions else ""))


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    from rag_server.database import Database

    with contextlib.closing(Database(settings)) as database:
        yield database


@contextlib.contextmanager
def _store(settings: Settings) -> Iterator[Users]:
    from rag_server.access.users import Users

    with _database(settings) as database:
        yield Users(database)


def _show_key(name: str, api_key: str | None, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"user": name, "api_key": api_key}))
    elif api_key is None:
        print(f"{name} has no key here and comes by another way")
    else:
        print(f"{name}'s API key, shown this once: {api_key}")


def _warn_of_unknown(settings: Settings, repos: Sequence[str]) -> None:
    from cia.corpus import Corpus
    from rag_server.access.users import EVERY_REPOSITORY

    indexed = {snapshot.repo for snapshot in Corpus(settings).snapshots()} | {EVERY_REPOSITORY}
    for repo in sorted(set(repos) - indexed):
        _remark(f"{repo} is not indexed here; the grant counts once it is")


def _remark(sentence: str) -> None:
    print(f"cia: {sentence}", file=sys.stderr)


def _described(user: User) -> str:
    from rag_server.access.users import EVERY_REPOSITORY

    if user.revoked is not None:
        return f"revoked {user.revoked:%Y-%m-%d}"
    if user.is_admin:
        return "administrator, reads every repository"
    if EVERY_REPOSITORY in user.repos:
        return "reads every repository"
    return f"reads {', '.join(sorted(user.repos))}" if user.repos else "reads nothing"


def _as_json(user: User) -> dict[str, Any]:
    return {
        "user": user.name,
        "admin": user.is_admin,
        "repos": sorted(user.repos),
        "created": f"{user.created.isoformat(timespec='seconds')}Z",
        "revoked": f"{user.revoked.isoformat(timespec='seconds')}Z" if user.revoked else None,
    }
