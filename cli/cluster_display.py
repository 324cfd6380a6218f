"""How ``cia cluster`` shows objects, differences and what is pending: tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.apply.differences import Difference
    from cluster.apply.planning import Change, Refusal
    from cluster.apply.server import Server
    from cluster.apply.waiting import Pending
    from cluster.doctor import Finding
    from cluster.part import Object
    from cluster.secrets import SecretReport

MARKS = {"created": "+", "changed": "~", "unchanged": "=", "unknown": "?"}
STATES = {"ok": "ok", "warning": "??", "broken": "!!", "skipped": "--"}
COLOURS = {"ok": "green", "warning": "yellow", "broken": "red", "skipped": "dim"}

QUIET_SECONDS = 15.0
"""Without a terminal, what is pending is told again this often, and when there is less of it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A change and how it differs from what is there."""

    change: Change
    differences: list[Difference]


class Lines:
    """Lines of a command on stdout; none when it prints JSON."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def heading(self, server: Server, namespace: str) -> None:
        self.remark(f"context {server.context} ({server.address}), namespace {namespace}")

    def outcome(self, part: str, outcome: str, built: Object) -> None:
        self.remark(f"{MARKS[outcome]} {part:<19} {outcome:<10} {_named(built)}")

    def secret(self, name: str, report: SecretReport) -> None:
        """Tell how many keys were made and which a person has to give."""
        if report.made:
            self.remark(f"{len(report.made)} keys of the secret {name} got a random value")
        for key in report.missing:
            self.remark(f"the secret {name} lacks {key.key} ({key.what}): `cia cluster secret set {key.key}` writes it")

    def summary(self, outcomes: list[dict[str, Any]], would: str = "") -> None:
        counts = {outcome: sum(one["outcome"] == outcome for one in outcomes) for outcome in MARKS}
        if counts["unchanged"] == len(outcomes):
            self.remark(f"nothing {'would change' if would else 'changed'} ({objects(len(outcomes))})")
        else:
            told = ", ".join(f"{count} {would}{outcome}" for outcome, count in counts.items() if count)
            self.remark(told.replace("would be unknown", "cannot be told before they are sent"))

    def listed(self, what: str, there: Sequence[Object]) -> None:
        for live in there:
            self.remark(f"- {what}: {_named(live)}")

    def remark(self, line: str) -> None:
        if not self._quiet:
            print(line, flush=True)


def objects(count: int) -> str:
    """Return so many objects in words."""
    return "1 object" if count == 1 else f"{count} objects"


def print_differences(shown: Sequence[Shown], left: Sequence[Object], total: int) -> None:
    """Print every difference by object and path, and what is there but no longer made."""
    for one in shown:
        change = one.change
        note = {"created": "would be created", "unknown": "cannot be compared before it is sent"}.get(change.outcome, "")
        print(f"{MARKS[change.outcome]} {_named(change.built)} ({change.part}){f'  {note}' if note else ''}")
        if change.conflict:
            held = "; ".join(f"{manager}: {', '.join(fields)}" for manager, fields in sorted(change.conflict.fields.items()))
            print(f"    held by others, apply needs --force-conflicts ({held})")
        for difference in one.differences:
            print(f"    {difference.path}", *(f"      {line}" for line in difference.lines), sep="\n")
    for live in left:
        print(f"- {_named(live)}  is no longer made; `cia cluster apply --prune` deletes it")
    print(f"{len(shown)} of {objects(total)} differ" if shown else f"no difference in {objects(total)}")


def complain_of_refusals(refusals: Sequence[Refusal]) -> None:
    """Print each sentence once on stderr, with the objects that it is about."""
    about: dict[str, list[str]] = defaultdict(list)
    for refusal in refusals:
        about[str(refusal.error)].append(_named(refusal.built))
    for sentence, names in about.items():
        named = "" if len(names) == 1 and names[0] in sentence else f" ({', '.join(names[:3])}{_more(len(names) - 3)})"
        print(f"! {sentence}{named}", file=sys.stderr)


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def print_remarks(remarks: Sequence[str]) -> None:
    """Print what came up on the way on stderr."""
    for remark in remarks:
        print(f"cia: {remark}", file=sys.stderr)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print the doctor's table, with a fix below each line that needs one."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    area = ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            console.print(Text(area, style="bold"))
        console.print(
            Text(f"  {STATES[finding.state]} ", style=COLOURS[finding.state]).append(f"{finding.subject}: {finding.said}", "")
        )
        if finding.fix:
            console.print(Text(f"       fix: {finding.fix}"))
    counts = {state: sum(finding.state == state for finding in findings) for state in STATES}
    console.print(", ".join(f"{count} {state}" for state, count in counts.items() if count))


@contextlib.contextmanager
def waiting(quiet: bool) -> Iterator[Callable[[list[Pending]], None]]:
    """Yield what shows the pending objects: a live table on a terminal, a line now and then elsewhere."""
    if quiet:
        yield lambda _: None
    elif sys.stdout.isatty():
        from rich.console import Console
        from rich.live import Live

        with Live(console=Console(), refresh_per_second=4, transient=True) as live:
            yield lambda pending: live.update(_table(pending))
    else:
        yield _told_now_and_then()


def print_pending(pending: Sequence[Pending]) -> None:
    """Print what is not ready and why, or that all is."""
    if not pending:
        print("everything is ready")
    for one in pending:
        print(f"! {one.part:<19} {one.kind} {one.name}: {one.why}")


def _told_now_and_then() -> Callable[[list[Pending]], None]:
    last_count, last_time = -1, 0.0

    def show(pending: list[Pending]) -> None:
        nonlocal last_count, last_time
        now = time.monotonic()
        if not pending or (len(pending) == last_count and now - last_time < QUIET_SECONDS):
            return
        last_count, last_time = len(pending), now
        print(f"waiting for {objects(len(pending))}; {pending[0].kind} {pending[0].name}: {pending[0].why}", flush=True)

    return show


def _table(pending: Sequence[Pending]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), title=f"waiting for {objects(len(pending))}", title_justify="left")
    for heading in ("part", "object", "why"):
        table.add_column(heading, overflow="fold")
    for one in pending:
        table.add_row(one.part, f"{one.kind} {one.name}", Text(one.why, style="red" if one.final else ""))
    return table


def _named(built: Object) -> str:
    return f"{built['kind']} {built['metadata']['name']}"
