"""``cia models canary``: a version on trial with a share of the users, beside the one in Production."""

from __future__ import annotations

import contextlib
import getpass
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cia.errors import InputError
from cia.settings import load_settings

if TYPE_CHECKING:
    from cia.proportions import Share
    from cia.registry import Canary, RegisteredAdapter, Registry
    from cia.settings import Settings
    from rag_server.adapters import Verdict

app = typer.Typer(help="Try a version with a share of the users.", no_args_is_help=True, rich_markup_mode=None)
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ReasonOption = Annotated[str, typer.Option(help="Why; kept with the version.")]

SHOWN_CONFIDENCE = 0.975
"""Of each limit: both together are a 95% interval."""


@app.command()
def start(
    version: Annotated[str, typer.Argument(help="The version to try.")],
    percent: Annotated[float | None, typer.Option(help="Share of the users; default: serving.canary.percent.")] = None,
    reason: ReasonOption = "",
    force: Annotated[bool, typer.Option("--force", help="Although it failed the gate; with a reason.")] = False,
) -> None:
    """Let a version answer a share of the users, or change the share of the one that does."""
    from cia.registry import Registry

    settings = load_settings()
    share = settings.serving.canary.percent if percent is None else percent
    canary = Registry(settings).start_canary(version, share, getpass.getuser(), reason, force)
    print(f"{canary.served_name} answers {canary.percent:g}% of the users; `cia models canary status` shows how it does")


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show how the version on trial and the one in Production do, side by side."""
    from cia.registry import Registry

    settings = load_settings()
    registry = Registry(settings)
    canary, production = registry.canary(), registry.production()
    if canary is None or production is None:
        ended = _last_ended(registry)
        print(json.dumps({"canary": None, "last": ended}) if as_json else _nothing_on_trial(ended))
        return
    verdict, next_look = _verdict(settings, canary, production)
    if as_json:
        print(json.dumps(_document(canary, verdict, next_look)))
    else:
        _show(canary, production, verdict, next_look)


@app.command()
def finish(reason: ReasonOption = "") -> None:
    """Promote the version on trial, by the rules of `cia models promote`."""
    from cia.registry import Registry

    promoted = Registry(load_settings()).finish_canary(getpass.getuser(), reason)
    print(f"{promoted.served_name} is in Production")


@app.command()
def abort(reason: ReasonOption = "aborted by hand") -> None:
    """End the trial: all users get Production."""
    from cia.registry import Registry

    ended = Registry(load_settings()).stop_canary("aborted", getpass.getuser(), reason)
    if ended is None:
        raise InputError("no version is on trial")
    print(f"{ended.served_name} is on trial no more; all users get Production")


def _verdict(settings: Settings, canary: Canary, production: RegisteredAdapter) -> tuple[Verdict, int]:
    """What the present figures would say if they were looked at, and at how many answers the next look is."""
    from rag_server.adapters import AnswerCounts, judge
    from rag_server.adapters.answer_counts import Look
    from rag_server.adapters.verdict import answers_at, looks_due
    from rag_server.database import Database

    with contextlib.closing(Database(settings)) as database:
        counts = AnswerCounts(database)
        ours, theirs = counts.of(canary.trial, canary.version), counts.of(canary.trial, production.version)
    rules = settings.serving.canary
    due = looks_due(min(ours.answers, theirs.answers), rules.minimum_answers)
    return judge(Look(max(1, due), ours, theirs), rules), answers_at(due + 1, rules.minimum_answers)


def _show(canary: Canary, production: RegisteredAdapter, verdict: Verdict, next_look: int) -> None:
    look = verdict.look
    print(f"{canary.served_name} is on trial with {canary.percent:g}% of the users since {canary.begun} ({canary.by})\n")
    print(f"{'':12}  {canary.served_name:32}  {production.served_name} in Production")
    print(f"{'answers':12}  {look.canary.answers:<32}  {look.production.answers}")
    for one in verdict.comparisons:
        print(f"{one.rate:12}  {_share(one.canary):32}  {_share(one.production)}")
    print(f"\n{_outlook(verdict, next_look)}")


def _outlook(verdict: Verdict, next_look: int) -> str:
    counted = min(verdict.look.canary.answers, verdict.look.production.answers)
    waiting = f"the next look is at {next_look} answers of each version, of which there are {counted}"
    if verdict.is_worse:
        return f"worse, and taken back if a look still finds that: {verdict.reason}; {waiting}"
    return f"not worse beyond the bound; {waiting}"


def _share(share: Share) -> str:
    lower, upper = share.limits(SHOWN_CONFIDENCE)
    return f"{share.hits} of {share.count}  {share.rate:.1%} [{lower:.1%}, {upper:.1%}]" if share.count else "none yet"


def _document(canary: Canary, verdict: Verdict, next_look: int) -> dict[str, Any]:
    def described(share: Share) -> dict[str, Any]:
        return {"hits": share.hits, "count": share.count, "rate": share.rate, "interval": share.limits(SHOWN_CONFIDENCE)}

    rates = {
        one.rate: {
            "canary": described(one.canary), "production": described(one.production),
            "more_by_at_least": one.at_least, "is_worse": one.is_worse,
        }
        for one in verdict.comparisons
    }  # fmt: skip
    return {
        "canary": {**asdict(canary), "counts": asdict(verdict.look.canary)},
        "production": {"version": verdict.look.production.version, "counts": asdict(verdict.look.production)},
        "rates": rates,
        "confidence": verdict.confidence,
        "is_worse": verdict.is_worse,
        "reason": verdict.reason,
        "next_look_at": next_look,
    }


def _last_ended(registry: Registry) -> dict[str, str] | None:
    ended = [version for version in registry.list() if version.tags.get("canary_outcome")]
    last = max(ended, key=lambda version: version.tags.get("canary_ended", ""), default=None)
    if last is None:
        return None
    names = {"outcome": "canary_outcome", "ended": "canary_ended", "by": "canary_ended_by", "why": "canary_ended_why"}
    return {"name": last.served_name, **{name: last.tags.get(tag, "") for name, tag in names.items()}}


def _nothing_on_trial(ended: dict[str, str] | None) -> str:
    if ended is None:
        return "no version is on trial; `cia models canary start VERSION` begins"
    why = f": {ended['why']}" if ended["why"] else ""
    return f"no version is on trial; {ended['name']} was {ended['outcome']} at {ended['ended']} by {ended['by']}{why}"
