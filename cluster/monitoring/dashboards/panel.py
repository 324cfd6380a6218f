"""A dashboard before it is built: rows of panels, each with its queries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cia.settings import Settings

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.timeseries import Panel as Graph

WIDTH, HEIGHT = 12, 8
"""Two panels stand side by side: a row is 24 wide."""

WINDOW = "$__rate_interval"
"""Grafana puts at least four scrapes in its place."""

DATASOURCE = "datasource"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of Prometheus; in ``legend``, ``{{label}}`` stands for a label's value."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph over time. ``unit`` is one of Grafana's: s, reqps, percentunit (of 1), percent (of 100), short, bytes."""

    title: str
    shows: str
    unit: str
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """``name`` is that of its ConfigMap and file."""

    name: str
    title: str
    shows: str
    rows: tuple[Row, ...]

    @property
    def queries(self) -> list[Query]:
        """Return every query of every panel."""
        return [query for row in self.rows for panel in row.panels for query in panel.queries]


def panel(title: str, shows: str, unit: str, **queries: str) -> Panel:
    """Return a panel; each of ``queries`` is called in its legend as it is called here, with spaces for underscores."""
    return Panel(title, shows, unit, tuple(Query(text, legend.replace("_", " ")) for legend, text in queries.items()))


def panel_by(title: str, shows: str, unit: str, legend: str, expression: str) -> Panel:
    """Return a panel with one query that gives many series."""
    return Panel(title, shows, unit, (Query(expression, legend),))


def as_json(settings: Settings, dashboard: Dashboard) -> str:
    """Return the dashboard as Grafana reads it. Same dashboard, same bytes."""
    from grafana_foundation_sdk.builders import dashboard as grafana
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    namespace = settings.cluster.namespace
    # Two installations in one cluster have dashboards of their own; Grafana takes 40 characters.
    identity = hashlib.sha256(f"{namespace}/{dashboard.name}".encode()).hexdigest()[:16]
    built = (
        grafana.Dashboard(f"{dashboard.title} ({namespace})")
        .uid(identity)
        .description(dashboard.shows)
        .tags(["code-assistant"])
        .time("now-6h", "now")
        .refresh("1m")
        .readonly()
        .with_variable(grafana.DatasourceVariable(DATASOURCE).label("Prometheus").type("prometheus"))
    )
    number = 0
    for row in dashboard.rows:
        built = built.with_row(grafana.Row(row.title).id(number := number + 1))
        for one in row.panels:
            built = built.with_panel(_graph(one).id(number := number + 1))
    return json.dumps(built.build(), cls=JSONEncoder, sort_keys=True, separators=(",", ":"))


def _graph(one: Panel) -> Graph:
    from grafana_foundation_sdk.builders import common, prometheus, timeseries
    from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, TooltipDisplayMode
    from grafana_foundation_sdk.models.dashboard import DataSourceRef

    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    graph = (
        timeseries.Panel()
        .title(one.title)
        .description(one.shows)
        .unit(one.unit)
        .min(0)
        .datasource(DataSourceRef("prometheus", f"${{{DATASOURCE}}}"))
        .legend(legend)
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .fill_opacity(10)
        .span(WIDTH)
        .height(HEIGHT)
    )
    for letter, query in zip("ABCDEFGH", one.queries, strict=False):
        target = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).range().ref_id(letter)
        graph = graph.with_target(target)
    return graph


def share(part: str, whole: str, by: Sequence[str] = ()) -> str:
    """Return the share of one counter in another over the window that Grafana chooses."""
    grouped = f"sum by ({', '.join(by)})" if by else "sum"
    return f"{grouped} (rate({part}[{WINDOW}])) / {grouped} (rate({whole}[{WINDOW}]))"


def rate(counter: str, *by: str) -> str:
    """Return how fast a counter grows, summed up over the pods, a second."""
    return f"sum by ({', '.join(by)}) (rate({counter}[{WINDOW}]))" if by else f"sum (rate({counter}[{WINDOW}]))"


def quantile(value: float, histogram: str, labels: str, *by: str) -> str:
    """Return the value below which that share of ``histogram``'s observations lies."""
    return f"histogram_quantile({value}, sum by ({', '.join((*by, 'le'))}) (rate({histogram}_bucket{{{labels}}}[{WINDOW}])))"
