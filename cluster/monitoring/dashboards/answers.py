"""What users meet: how many answers, how fast, how good, how dear."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.dashboards.panel import Dashboard, Row, panel, panel_by, quantile, rate
from cluster.monitoring.recorded import ANSWERING, PROBES, in_namespace


def answers(settings: Settings) -> Dashboard:
    """Return the dashboard of the RAG server."""
    here = in_namespace(settings)
    return Dashboard(
        "answers",
        "Code assistant: answers",
        "What users meet: how many answers, how fast, how good, how dear.",
        (_traffic(here), _quality(here), _cost(here), _neighbours(here)),
    )


def _traffic(here: str) -> Row:
    asked = f'{here},route!~"{PROBES}"'
    whole = f'{here},route=~"{ANSWERING}"'
    return Row(
        "Traffic",
        (
            panel_by(
                "Answers",
                "By mode: written by the model, or quoted.",
                "reqps",
                "{{mode}}",
                rate(f"cia_answers_total{{{here}}}", "mode"),
            ),
            panel_by(
                "Requests", "By status, without probes.", "reqps", "{{code}}", rate(f"cia_requests_total{{{asked}}}", "code")
            ),
            panel(
                "Time to the whole answer",
                "To the end of the reply.",
                "s",
                half=quantile(0.5, "cia_request_seconds", whole),
                nineteen_in_20=quantile(0.95, "cia_request_seconds", whole),
            ),
            panel(
                "Time to the first word",
                "What a user waits for before anything appears.",
                "s",
                half=quantile(0.5, "cia_first_token_seconds", here),
                nineteen_in_20=quantile(0.95, "cia_first_token_seconds", here),
            ),
            panel(
                "Errors", "Requests that end with 5xx.", "percentunit", failed=f"namespace:cia_request_errors:share5m{{{here}}}"
            ),
            panel_by(
                "Time to write an answer",
                "19 in 20, by mode, after the sources are found.",
                "s",
                "{{mode}}",
                quantile(0.95, "cia_generation_seconds", here, "mode"),
            ),
        ),
    )


def _quality(here: str) -> Row:
    return Row(
        "Quality",
        (
            panel(
                "Quoted in place of written",
                "Of all answers, those where a model was to answer and did not.",
                "percentunit",
                fallbacks=f"namespace:cia_fallbacks:share15m{{{here}}}",
            ),
            panel(
                "Citations dropped",
                "Of all citations that models wrote, those that did not stand the check.",
                "percentunit",
                dropped=f"namespace:cia_citations_dropped:share1h{{{here}}}",
            ),
            panel(
                "Abstentions",
                "Questions that the indexed code does not answer.",
                "percentunit",
                abstained=f"namespace:cia_abstentions:share1h{{{here}}}",
            ),
            panel_by(
                "Ratings", "In a day.", "short", "{{rating}}", f"sum by (rating) (increase(cia_feedback_total{{{here}}}[1d]))"
            ),
            panel(
                "Drift",
                "The last day against the week before, in standard errors: above 3 is no chance.",
                "short",
                abstentions=f"namespace:cia_abstentions:share_rise1d_z{{{here}}}",
                bad_ratings=f"namespace:cia_feedback_down:share_rise1d_z{{{here}}}",
            ),
            panel_by(
                "Answers by version",
                "And whether it answered, abstained or failed.",
                "reqps",
                "{{version}} {{outcome}}",
                rate(f"cia_answers_by_adapter_total{{{here}}}", "version", "outcome"),
            ),
        ),
    )


def _cost(here: str) -> Row:
    return Row(
        "Cost",
        (
            panel_by(
                "Tokens",
                "Read and written by models.",
                "short",
                "{{direction}}",
                rate(f"cia_tokens_total{{{here}}}", "direction"),
            ),
            panel(
                "Cost of 24 hours",
                "At the prices of tracing.input_price and output_price.",
                "short",
                cost=f"namespace:cia_cost:increase1d{{{here}}}",
            ),
        ),
    )


def _neighbours(here: str) -> Row:
    return Row(
        "Neighbours",
        (
            panel_by(
                "Answering",
                "1 while the neighbour answers.",
                "short",
                "{{dependency}}",
                f"min by (dependency) (cia_dependency_up{{{here}}})",
            ),
            panel_by(
                "Version in use",
                "1 for the version that answers in a role.",
                "short",
                "{{role}} {{version}}",
                f"max by (role, version) (cia_adapter_info{{{here}}})",
            ),
        ),
    )
