"""vLLM: how much it writes, what waits, how full its memory is, and with which adapter it answers."""

from __future__ import annotations

from cia.settings import Settings
from cluster.monitoring.dashboards.panel import Dashboard, Row, panel, panel_by, quantile, rate, share
from cluster.monitoring.recorded import in_namespace

MODEL = "model_name"


def model_server(settings: Settings) -> Dashboard:
    """Return the dashboard of every vLLM of the platform."""
    here = in_namespace(settings)
    return Dashboard(
        "model-server",
        "Code assistant: model server",
        "vLLM: how much it writes, what waits, how full its memory is, and with which adapter it answers.",
        (_throughput(here), _latency(here), _memory(here), _adapters(here)),
    )


def _throughput(here: str) -> Row:
    return Row(
        "Throughput",
        (
            panel_by(
                "Tokens written", "A second.", "short", "{{model_name}}", rate(f"vllm:generation_tokens_total{{{here}}}", MODEL)
            ),
            panel_by(
                "Tokens read",
                "A second, those from the prefix cache too.",
                "short",
                "{{model_name}}",
                rate(f"vllm:prompt_tokens_total{{{here}}}", MODEL),
            ),
            panel(
                "Requests",
                "Those that are computed, and those that wait.",
                "short",
                running=f"sum (vllm:num_requests_running{{{here}}})",
                waiting=f"sum (vllm:num_requests_waiting{{{here}}})",
            ),
            panel_by(
                "Finished",
                "By reason: stop is the model's own end, length the limit.",
                "reqps",
                "{{finished_reason}}",
                rate(f"vllm:request_success_total{{{here}}}", "finished_reason"),
            ),
        ),
    )


def _latency(here: str) -> Row:
    return Row(
        "Latency",
        (
            panel(
                "Time to the first token",
                "From the request, its waiting too.",
                "s",
                half=quantile(0.5, "vllm:time_to_first_token_seconds", here),
                nineteen_in_20=quantile(0.95, "vllm:time_to_first_token_seconds", here),
            ),
            panel(
                "Between two tokens",
                "What a reader sees as speed.",
                "s",
                half=quantile(0.5, "vllm:inter_token_latency_seconds", here),
                nineteen_in_20=quantile(0.95, "vllm:inter_token_latency_seconds", here),
            ),
            panel(
                "Waiting for a place",
                "19 requests in 20 waited less.",
                "s",
                queue=quantile(0.95, "vllm:request_queue_time_seconds", here),
            ),
            panel("Whole request", "19 in 20 took less.", "s", whole=quantile(0.95, "vllm:e2e_request_latency_seconds", here)),
        ),
    )


def _memory(here: str) -> Row:
    return Row(
        "Memory",
        (
            panel_by(
                "KV cache in use",
                "Full, requests wait or are put back and computed again.",
                "percentunit",
                "{{model_name}} {{pod}}",
                f"max by ({MODEL}, pod) (vllm:kv_cache_usage_perc{{{here}}})",
            ),
            panel_by(
                "Prefix cache",
                "Tokens of prompts that were found computed already.",
                "percentunit",
                "{{model_name}}",
                share(f"vllm:prefix_cache_hits_total{{{here}}}", f"vllm:prefix_cache_queries_total{{{here}}}", [MODEL]),
            ),
            panel_by(
                "Put back",
                "Requests that lost their place for want of memory.",
                "reqps",
                "{{model_name}}",
                rate(f"vllm:num_preemptions_total{{{here}}}", MODEL),
            ),
        ),
    )


def _adapters(here: str) -> Row:
    # vLLM writes the time at which it last computed with a set of adapters, in place of a number.
    used = f'vllm:lora_requests_info{{{here},running_lora_adapters!=""}}'
    return Row(
        "Adapters",
        (
            panel_by(
                "Since its last use",
                "Of each set of adapters that were computed together.",
                "s",
                "{{running_lora_adapters}}",
                f"time() - max by (running_lora_adapters) ({used})",
            ),
            panel_by(
                "Answers by version",
                "As the RAG server counts them.",
                "reqps",
                "{{version}}",
                rate(f"cia_answers_by_adapter_total{{{here}}}", "version"),
            ),
        ),
    )
