"""Recording rules: the shares and percentiles that alerts and dashboards look at.

Named as Prometheus advises, ``level:metric:operations`` (https://prometheus.io/docs/practices/rules): each has one series a
namespace. A share of nothing is NaN, which no alert takes for a number above its bound.
"""

from __future__ import annotations

from cia.settings import Settings

PROBES = "/healthz|/readyz|/metrics"
ANSWERING = "/v1/ask|/v1/chat/completions"
TRAININGS = "fine-tune-.+"
"""The jobs of TrainJobs, by their names."""

Rule = dict[str, str]


def recorded_minutes(settings: Settings) -> list[Rule]:
    """Return what is computed over minutes."""
    here = in_namespace(settings)
    asked = f'{here},route!~"{PROBES}"'
    answers, citations = f"cia_answers_total{{{here}}}", f"cia_citations_total{{{here}}}"
    dropped = f'cia_citations_total{{{here},outcome="dropped"}}'
    return [
        recorded("cia_requests:rate5m", _rate(f"cia_requests_total{{{asked}}}", "5m")),
        recorded(
            "cia_request_errors:share5m",
            # Without one error there is no series of errors, and no share of 0 either.
            f'({_rate(f"""cia_requests_total{{{asked},code=~"5.."}}""", "5m")} or namespace:cia_requests:rate5m * 0)'
            " / namespace:cia_requests:rate5m",
        ),
        recorded("cia_answer_seconds:p95_5m", quantile(0.95, f'cia_request_seconds_bucket{{{here},route=~"{ANSWERING}"}}')),
        recorded("cia_first_token_seconds:p95_5m", quantile(0.95, f"cia_first_token_seconds_bucket{{{here}}}")),
        recorded("cia_retrieval_seconds:p95_5m", quantile(0.95, f"cia_retrieval_seconds_bucket{{{here}}}")),
        recorded("cia_fallbacks:share15m", f"{total(f'cia_fallbacks_total{{{here}}}', '15m')} / {total(answers, '15m')}"),
        recorded(
            "cia_citations_dropped:share1h",
            f"{total(dropped, '1h')} / {total(citations, '1h')}",
        ),
        recorded(
            "cia_abstentions:share1h",
            f"{total(f'cia_abstentions_total{{{here}}}', '1h')} / {total(answers, '1h')}",
        ),
    ]


def recorded_days(settings: Settings) -> list[Rule]:
    """Return what is computed over days: the cost, and how far yesterday's shares lie from those of the week before."""
    here = in_namespace(settings)
    counted = {
        "cia_answers": f"cia_answers_total{{{here}}}",
        "cia_abstentions": f"cia_abstentions_total{{{here}}}",
        "cia_feedback": f"cia_feedback_total{{{here}}}",
        "cia_feedback_down": f'cia_feedback_total{{{here},rating="down"}}',
    }
    rules = [recorded("cia_cost:increase1d", total(f"cia_cost_total{{{here}}}", "1d"))]
    for name, series in counted.items():
        rules.append(recorded(f"{name}:increase1d", total(series, "1d")))
        rules.append(recorded(f"{name}:increase7d_before", total(series, "7d", " offset 1d")))
    return rules + _drift("cia_abstentions", "cia_answers") + _drift("cia_feedback_down", "cia_feedback")


def _drift(part: str, whole: str) -> list[Rule]:
    """The rise of a share against the week before, and its z-score: the two-proportion test with a pooled variance.

    Chance alone exceeds 3 in one of 740 independent looks; looks at overlapping days are not independent.
    """
    now, before = (f"namespace:{part}:{span} / namespace:{whole}:{span}" for span in ("increase1d", "increase7d_before"))
    parts, wholes = (f"(namespace:{name}:increase1d + namespace:{name}:increase7d_before)" for name in (part, whole))
    pooled = f"({parts} / {wholes})"
    sizes = f"(1 / namespace:{whole}:increase1d + 1 / namespace:{whole}:increase7d_before)"
    return [
        recorded(f"{part}:share_rise1d", f"{now} - {before}"),
        recorded(f"{part}:share_rise1d_z", f"namespace:{part}:share_rise1d / sqrt({pooled} * (1 - {pooled}) * {sizes})"),
    ]


def in_namespace(settings: Settings) -> str:
    """Return the label that every series of ours carries: another installation's have another."""
    return f'namespace="{settings.cluster.namespace}"'


def down(settings: Settings, job: str) -> str:
    """Return what gives something, with its namespace and job, while no pod of ``job`` answers."""
    pods = f'up{{{in_namespace(settings)},job="{job}"}}'
    return f"(absent({pods}) or sum by (namespace, job) ({pods}) == 0)"


def unless_training(settings: Settings) -> str:
    """Return what ends an expression that is to be quiet while a training runs, for which the model may have stepped aside.

    kube-state-metrics knows the jobs; where there is none, nothing is kept quiet.
    """
    jobs = f'kube_job_status_active{{{in_namespace(settings)},job_name=~"{TRAININGS}"}}'
    return f" unless on (namespace) sum by (namespace) ({jobs}) > 0"


def recorded(name: str, expression: str) -> Rule:
    """Return a recording rule, which sums up over the pods of a namespace."""
    return {"record": f"namespace:{name}", "expr": expression}


def total(series: str, window: str, shift: str = "") -> str:
    """Return how much the counters of a namespace grew together."""
    return f"sum by (namespace) (increase({series}[{window}]{shift}))"


def quantile(share: float, buckets: str, window: str = "5m") -> str:
    """Return the value below which ``share`` of a histogram lies."""
    return f"histogram_quantile({share}, sum by (namespace, le) (rate({buckets}[{window}])))"


def _rate(series: str, window: str) -> str:
    return f"sum by (namespace) (rate({series}[{window}]))"
