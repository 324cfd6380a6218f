"""For each alert, series with which it must fire and series with which it must not, as `promtool test rules` writes them.

`0+5x40` is 0, 5, ... 200: one value a step. Steps are minutes, and two hours in SLOW.
"""

from __future__ import annotations

from dataclasses import dataclass, field

NAMESPACE = "code-assistant"


@dataclass(frozen=True)
class Case:
    """``after`` is when it is looked; a series is written without its namespace."""

    alert: str
    after: str
    fires: dict[str, str]
    quiet: dict[str, str] = field(default_factory=dict)
    also_quiet: dict[str, str] = field(default_factory=dict)


def histogram(name: str, within: int, bound: str, labels: str = "") -> dict[str, str]:
    """``within`` of ten observations a step are at most ``bound``."""
    given = f"{labels}," if labels else ""
    return {f'{name}_bucket{{{given}le="{bound}"}}': f"0+{within}x60", f'{name}_bucket{{{given}le="+Inf"}}': "0+10x60"}


def requests(failing: int) -> dict[str, str]:
    """Of a hundred a minute, so many fail; and a probe that always does."""
    return {
        'cia_requests_total{route="/v1/ask",code="200"}': f"0+{100 - failing}x60",
        'cia_requests_total{route="/v1/ask",code="500"}': f"0+{failing}x60",
        'cia_requests_total{route="/readyz",code="503"}': "0+600x60",
    }


def neighbour(name: str, state: int) -> dict[str, str]:
    """Two servers, of which one finds the neighbour in that state."""
    return {
        f'cia_dependency_up{{dependency="{name}",pod="a"}}': f"{state}x60",
        f'cia_dependency_up{{dependency="{name}",pod="b"}}': "1x60",
    }


def of_ten(part: str, whole: str, share: int) -> dict[str, str]:
    """Of ten a minute, the share that makes up ``part``."""
    return {part: f"0+{share}x120", whole: f"0+{10 - share}x120"}


def risen(part: str, whole: str, before: int, now: int, each_step: int) -> dict[str, str]:
    """Eight days of ``before`` a step, then two of ``now``, among ``each_step``."""
    return {part: f"0+{before}x96 {96 * before}+{now}x24", whole: f"0+{each_step}x120"}


DOWN, UP = {'up{job="rag-server"}': "0x60"}, {'up{job="rag-server"}': "1x60"}
DROPPED, EMITTED = 'cia_citations_total{outcome="dropped"}', 'cia_citations_total{outcome="emitted"}'
ANSWERS, ABSTENTIONS = 'cia_answers_total{mode="llm"}', "cia_abstentions_total"
TRAININGS = 'kube_job_status_active{job_name="fine-tune-1234-node-0"}'
TRAINING = {TRAININGS: "1x120"}
GPU = 'Hostname="gpu-0",gpu="0"'
FREE, CAPACITY = (f'kubelet_volume_stats_{what}_bytes{{persistentvolumeclaim="home"}}' for what in ("available", "capacity"))
SEARCHING = 'job="qdrant",endpoint="/collections/{name}/points/query"'

QUICK = [
    Case("CodeAssistantDown", "10m", DOWN, UP),
    Case("CodeAssistantDown", "10m", {'up{job="another"}': "1x60"}, {'up{job="rag-server",pod="a"}': "0x60"} | UP),
    Case("CodeAssistantIndexAway", "10m", neighbour("index", 0), neighbour("index", 1), neighbour("tracing", 0)),
    Case("CodeAssistantModelAway", "10m", neighbour("model", 0), neighbour("model", 1), neighbour("model", 0) | TRAINING),
    Case("CodeAssistantRegistryAway", "20m", neighbour("registry", 0), neighbour("registry", 1)),
    Case("CodeAssistantErrors", "20m", requests(10), requests(2), requests(0)),
    Case(
        "CodeAssistantSlowAnswers",
        "30m",
        histogram("cia_request_seconds", 5, "30", 'route="/v1/ask"')
        | {'cia_request_seconds_bucket{route="/v1/ask",le="60"}': "0+10x60"},
        histogram("cia_request_seconds", 10, "30", 'route="/v1/ask"'),
        histogram("cia_request_seconds", 0, "30", 'route="/mcp/*"'),
    ),
    Case(
        "CodeAssistantSlowRetrieval",
        "30m",
        histogram("cia_retrieval_seconds", 5, "1") | {'cia_retrieval_seconds_bucket{le="5"}': "0+10x60"},
        histogram("cia_retrieval_seconds", 10, "1"),
    ),
    Case(
        "CodeAssistantFallsBack",
        "60m",
        {"cia_fallbacks_total": "0+3x120", ANSWERS: "0+10x120"},
        {"cia_fallbacks_total": "0+1x120", ANSWERS: "0+10x120"},
        {"cia_fallbacks_total": "0 0 0 1x120", ANSWERS: "0 0 0 2x120"},
    ),
    Case(
        "CodeAssistantFallsBack",
        "60m",
        {"cia_fallbacks_total": "0+3x120", ANSWERS: "0+10x120", TRAININGS: "0x120"},
        {"cia_fallbacks_total": "0+3x120", ANSWERS: "0+10x120"} | TRAINING,
    ),
    Case("CodeAssistantDropsCitations", "110m", of_ten(DROPPED, EMITTED, 5), of_ten(DROPPED, EMITTED, 1)),
    Case("CodeAssistantAdapterProblem", "20m", {"cia_adapter_problem": "1x60"}, {"cia_adapter_problem": "0x60"}),
    Case(
        "CodeAssistantTrialEnded",
        "30m",
        {'cia_canaries_taken_back_total{version="3"}': "_x20 1x60"},
        {'cia_requests_total{route="/v1/ask"}': "0+1x60"},
    ),
    Case(
        "CodeAssistantModelServerDown",
        "20m",
        {'up{job="code-assistant"}': "0x60", 'up{job="embeddings"}': "1x60"},
        {'up{job="code-assistant"}': "1x60", 'up{job="embeddings"}': "1x60"},
        {'up{job="code-assistant"}': "0x60", 'up{job="embeddings"}': "1x60"} | TRAINING,
    ),
    Case(
        "CodeAssistantModelServerDown",
        "20m",
        {'up{job="embeddings"}': "0x60", 'up{job="code-assistant"}': "1x60"} | TRAINING,
        {'up{job="embeddings"}': "1x60", 'up{job="code-assistant"}': "1x60"} | TRAINING,
    ),
    Case(
        "CodeAssistantModelQueue",
        "20m",
        {
            'vllm:num_requests_waiting{model_name="m",pod="a"}': "15x60",
            'vllm:num_requests_waiting{model_name="m",pod="b"}': "15x60",
        },
        {'vllm:num_requests_waiting{model_name="m",pod="a"}': "15x60"},
        {'vllm:num_requests_waiting{model_name="m",pod="a"}': "0x8 30x3 0x60"},
    ),
    Case(
        "CodeAssistantModelMemoryFull",
        "20m",
        {'vllm:kv_cache_usage_perc{model_name="m"}': "0.99x60"},
        {'vllm:kv_cache_usage_perc{model_name="m"}': "0.7x60"},
    ),
    Case(
        "CodeAssistantModelErrors",
        "20m",
        {'vllm:request_success_total{model_name="m",finished_reason="error"}': "0+1x60"},
        {'vllm:request_success_total{model_name="m",finished_reason="stop"}': "0+9x60"},
    ),
    Case("CodeAssistantGPUHot", "20m", {f"DCGM_FI_DEV_GPU_TEMP{{{GPU}}}": "91x60"}, {f"DCGM_FI_DEV_GPU_TEMP{{{GPU}}}": "70x60"}),
    Case(
        "CodeAssistantQdrantSlow",
        "30m",
        histogram("rest_responses_duration_seconds", 5, "0.5", SEARCHING)
        | {f'rest_responses_duration_seconds_bucket{{{SEARCHING},le="2"}}': "0+10x60"},
        histogram("rest_responses_duration_seconds", 10, "0.5", SEARCHING),
        histogram("rest_responses_duration_seconds", 0, "0.5", 'job="qdrant",endpoint="/collections/{name}/snapshots"'),
    ),
    Case(
        "CodeAssistantDiskFilling",
        "30m",
        {FREE: "5x60", CAPACITY: "100x60"},
        {FREE: "20x60", CAPACITY: "100x60"},
        {FREE: "80-1x60", CAPACITY: "100x60"},
    ),
    Case("CodeAssistantDiskFilling", "30m", {FREE: "24-0.02x60", CAPACITY: "100x60"}, {FREE: "24-0.001x60", CAPACITY: "100x60"}),
]

SLOW = [
    Case(
        "CodeAssistantGPUIdle",
        "8h",
        {f"DCGM_FI_DEV_GPU_UTIL{{{GPU}}}": "0x10"},
        {f"DCGM_FI_DEV_GPU_UTIL{{{GPU}}}": "0x2 80 0x6"},
    ),
    Case(
        "CodeAssistantStaleIndex",
        "60h",
        {"cia_index_oldest_timestamp_seconds": "1x40"},
        {"cia_index_oldest_timestamp_seconds": "180000x40"},
        {"cia_index_oldest_timestamp_seconds": "0x40"},
    ),
    Case(
        "CodeAssistantBackupOld",
        "60h",
        {'kube_cronjob_status_last_successful_time{cronjob="qdrant-snapshot"}': "1x40"},
        {'kube_cronjob_status_last_successful_time{cronjob="qdrant-snapshot"}': "180000x40"},
    ),
    Case("CodeAssistantCostsMore", "40h", {"cia_cost_total": "0+6x40"}, {"cia_cost_total": "0+2x40"}),
    Case(
        "CodeAssistantAbstainsMore",
        "220h",
        risen(ABSTENTIONS, ANSWERS, 1, 5, 10),
        risen(ABSTENTIONS, ANSWERS, 5, 5, 10),
        risen(ABSTENTIONS, ANSWERS, 0, 1, 2),
    ),
    Case(
        "CodeAssistantLikedLess",
        "220h",
        risen('cia_feedback_total{rating="down"}', 'cia_feedback_total{rating="up"}', 1, 9, 10),
        risen('cia_feedback_total{rating="down"}', 'cia_feedback_total{rating="up"}', 5, 5, 10),
    ),
]
