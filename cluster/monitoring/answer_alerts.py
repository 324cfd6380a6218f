"""Alerts on what users meet: no answer, late ones, bad ones, dear ones."""

from __future__ import annotations

from cia.settings import Settings
from cluster.access import RAG_SERVER
from cluster.monitoring.alert import Alert
from cluster.monitoring.recorded import down, in_namespace, unless_training

NEIGHBOURS = {
    "model": ("ModelAway", "5m", "answers are quotations", "See whether the pods of InferenceService code-assistant are ready."),
    "registry": ("RegistryAway", "15m", "promotions are not followed", "See whether MLflow is up: `cia cluster doctor`."),
}


def answer_alerts(settings: Settings) -> list[Alert]:
    """Return the alerts on the RAG server."""
    return [*_availability(settings), *_speed(settings), *_quality(settings), _cost(settings)]


def _availability(settings: Settings) -> list[Alert]:
    here = in_namespace(settings)
    return [
        Alert(
            "CodeAssistantDown",
            "critical",
            down(settings, RAG_SERVER),
            "2m",
            "No RAG server answers",
            "Run `cia cluster doctor`, then look at the pods with app.kubernetes.io/name=rag-server.",
        ),
        Alert(
            "CodeAssistantIndexAway",
            "critical",
            f'min by (namespace) (cia_dependency_up{{{here},dependency="index"}}) == 0',
            "5m",
            "The RAG server reaches no index: every question is refused with 503",
            "See whether Qdrant is up and has the collections; without any, index a repository.",
        ),
        *(
            Alert(
                f"CodeAssistant{name}",
                "warning",
                f'min by (namespace) (cia_dependency_up{{{here},dependency="{neighbour}"}}) == 0'
                + (unless_training(settings) if neighbour == "model" else ""),
                lasting,
                f"The {neighbour} does not answer: {effect}",
                action,
            )
            for neighbour, (name, lasting, effect, action) in NEIGHBOURS.items()
        ),
        Alert(
            "CodeAssistantErrors",
            "critical",
            "namespace:cia_request_errors:share5m > 0.05 and namespace:cia_requests:rate5m > 0.05",
            "10m",
            "{{ $value | humanizePercentage }} of the requests fail",
            "The log of the RAG server has a line for each with its route and request id; start with the commonest route.",
        ),
    ]


def _speed(settings: Settings) -> list[Alert]:
    bounds = settings.cluster.monitoring
    return [
        Alert(
            "CodeAssistantSlowAnswers",
            "warning",
            f"namespace:cia_answer_seconds:p95_5m > {bounds.slow_answer_seconds:g}",
            "15m",
            "One answer in 20 takes more than {{ $value | humanizeDuration }}",
            "The dashboard of the model server tells whether requests wait, or each takes long.",
        ),
        Alert(
            "CodeAssistantSlowRetrieval",
            "warning",
            f"namespace:cia_retrieval_seconds:p95_5m > {bounds.slow_retrieval_seconds:g}",
            "15m",
            "One search in 20 takes more than {{ $value | humanizeDuration }}",
            "Compare Qdrant's own times with it; the rest is the embedding endpoint and the server's CPU.",
        ),
    ]


def _quality(settings: Settings) -> list[Alert]:
    here = in_namespace(settings)
    return [
        Alert(
            "CodeAssistantFallsBack",
            "warning",
            f"namespace:cia_fallbacks:share15m > 0.2 and sum by (namespace) (increase(cia_answers_total{{{here}}}[15m])) > 10"
            + unless_training(settings),
            "15m",
            "{{ $value | humanizePercentage }} of the answers are quotations in place of the model's",
            "Each such answer says why (fallback_reason, in its trace); look whether the model is away, slow or confused.",
        ),
        Alert(
            "CodeAssistantDropsCitations",
            "warning",
            "namespace:cia_citations_dropped:share1h > 0.3"
            f" and sum by (namespace) (increase(cia_citations_total{{{here}}}[1h])) > 50",
            "30m",
            "{{ $value | humanizePercentage }} of the model's citations do not stand the check",
            "See since which version (dashboard of the answers); `cia models rollback` takes a new adapter back.",
        ),
        Alert(
            "CodeAssistantAbstainsMore",
            "warning",
            _risen("cia_abstentions", "cia_answers", at_least=(50, 200)),
            "1h",
            "{{ $value | humanizePercentage }} more of the questions find no answer than in the week before",
            "Users ask about what is not indexed, or the index lost something: look at the declined questions' traces.",
        ),
        Alert(
            "CodeAssistantLikedLess",
            "warning",
            _risen("cia_feedback_down", "cia_feedback", at_least=(20, 50)),
            "1h",
            "{{ $value | humanizePercentage }} more of the ratings are bad ones than in the week before",
            "Read the rated answers in Langfuse; compare the versions that gave them.",
        ),
        Alert(
            "CodeAssistantAdapterProblem",
            "warning",
            f"max by (namespace) (cia_adapter_problem{{{here}}}) == 1",
            "10m",
            "The version in Production cannot be served: another one answers",
            "GET /readyz of the RAG server says why; `cia models rollback` goes back to the version before.",
        ),
        Alert(
            "CodeAssistantTrialEnded",
            "info",
            # A version's series begins with its end: there is no earlier value that it could have grown from.
            f"sum by (namespace, version) (cia_canaries_taken_back_total{{{here}}})"
            f" unless sum by (namespace, version) (cia_canaries_taken_back_total{{{here}}} offset 1h)",
            "0m",
            "Version {{ $labels.version }} did worse than Production, and its trial ended by itself",
            "Nothing is on fire: compare the two in the registry before the next promotion.",
        ),
    ]


def _cost(settings: Settings) -> Alert:
    budget = settings.cluster.monitoring.cost_a_day
    return Alert(
        "CodeAssistantCostsMore",
        "warning",
        f"namespace:cia_cost:increase1d > {budget:g}",
        "15m",
        "Tokens of the last 24 hours cost {{ $value | humanize }}",
        f"More than cluster.monitoring.cost_a_day ({budget:g}); rag.daily_tokens limits what one user may spend.",
    )


def _risen(part: str, whole: str, *, at_least: tuple[int, int]) -> str:
    """More than chance would bring, and enough to matter: 10 points. ``at_least`` are the numbers to compare, now and before."""
    now, before = at_least
    return (
        f"namespace:{part}:share_rise1d > 0.1 and namespace:{part}:share_rise1d_z > 3"
        f" and namespace:{whole}:increase1d > {now} and namespace:{whole}:increase7d_before > {before}"
    )
