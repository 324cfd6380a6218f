"""The one settings tree: what can be set, what each value means, and where it came from.

Layers, later ones win: the defaults below, ``params.yaml``, ``params.<profile>.yaml``, and ``CIA_*`` environment
variables (``CIA_RAG__RATE_LIMIT=20`` sets ``rag.rate_limit``). Three variables stand outside the tree:
``CIA_HOME`` (the state folder), ``CIA_PROFILE`` (``local`` or ``cluster``) and ``CIA_PARAMS`` (another ``params.yaml``).
A secret is never a setting: settings name the environment variable that holds it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError

from cia.cluster_settings import NAME, QUANTITY, ClusterSettings, Compute
from cia.durable_files import replace_text
from cia.errors import SettingsError
from cia.settings_section import Section

ENVIRONMENT_PREFIX = "CIA_"
OUTSIDE_THE_TREE = frozenset({"CIA_HOME", "CIA_PROFILE", "CIA_PARAMS"})


class CorpusSettings(Section):
    """Which repositories, and which of their files."""

    sources: list[str] = Field(
        default=["pypi:httpx==0.28.1", "pypi:click==8.3.3"], description="What the pipeline and the demo index."
    )
    max_file_bytes: int = Field(default=2_000_000, gt=0, description="Larger files are skipped and counted.")


class ChunkingSettings(Section):
    """How files are cut."""

    max_lines: int = Field(default=120, gt=0, description="A longer definition is cut between statements.")
    class_outline_lines: int = Field(default=60, gt=0, description="A longer class becomes its outline plus a chunk per member.")


class IndexSettings(Section):
    """Where vectors live and which model makes them."""

    qdrant_url: str | None = Field(default=None, description="A Qdrant server; null keeps the index in CIA_HOME.")
    qdrant_api_key_variable: str = Field(default="QDRANT_API_KEY", description="Environment variable with the API key.")
    collection: str = Field(default="code_chunks", description="Name of the collection on the server.")
    embedding_model: str = Field(
        default="static",
        description="static | minilm | sentence-transformers:NAME | openai:MODEL (with embedding_url).",
    )
    embedding_url: str | None = Field(default=None, description="OpenAI-compatible embeddings endpoint.")
    embedding_api_key_variable: str = Field(default="EMBEDDING_API_KEY", description="Variable with its key.")


class RetrievalSettings(Section):
    """What a search returns."""

    limit: int = Field(default=10, gt=0, le=100, description="Results of a search that names no limit.")
    candidates: int = Field(default=120, gt=0, description="Hits taken from each vector before ranking.")


AnswerForm = Literal["choice", "prose"]


class ModelSettings(Section):
    """The language model behind the answers, at an OpenAI-compatible address."""

    base_url: str | None = Field(default=None, description="vLLM, for example http://127.0.0.1:8001/v1; null: extractive.")
    base_model: str = Field(default="code-assistant-base", description="The name under which vLLM serves the base model.")
    api_key_variable: str = Field(default="CIA_MODEL_API_KEY", description="Variable with the API key, if it wants one.")
    context_tokens: int = Field(default=1024, gt=0, description="The model's window: prompt plus answer.")
    answer_tokens: int = Field(default=160, gt=0, description="The longest answer.")
    form: AnswerForm = Field(
        default="choice", description="choice: it picks the place, the code writes the sentence; prose: it writes (1B and more)."
    )
    timeout_seconds: float = Field(default=30.0, gt=0, description="After this and one retry the answer is extractive.")


class AnsweringSettings(Section):
    """What goes into the prompt and when to abstain."""

    context_chunks: int = Field(default=5, gt=0, le=50, description="Chunks shown to the model, best first.")
    use_base_model: bool = Field(
        default=True, description="Let the base model answer when no adapter is in Production; otherwise extractive."
    )


class TeacherSettings(Section):
    """A stronger model, at an OpenAI-compatible address, that writes questions and answers about the code."""

    base_url: str | None = Field(default=None, description="Such as http://127.0.0.1:8000/v1; null: nobody is asked.")
    model: str = Field(default="teacher", description="Its name at that address.")
    api_key_variable: str = Field(default="TEACHER_API_KEY", description="Variable with its key, if it wants one.")
    pairs_per_repo: int = Field(default=200, gt=0, description="Definitions of each repository that it is asked about, at most.")
    requests_per_minute: float = Field(default=60.0, gt=0, description="Evenly spaced; a repeated request counts too.")
    concurrency: int = Field(default=4, gt=0, le=256, description="Requests under way at once.")
    tries: int = Field(default=5, gt=0, le=20, description="Of one request, with growing pauses, before it is given up.")
    timeout_seconds: float = Field(default=60.0, gt=0, description="For one try, from the request to the last byte.")
    answer_tokens: int = Field(default=300, gt=0, description="The longest reply.")
    cost_cap: float = Field(default=5.0, ge=0, description="All requests ever sent cost no more, in the prices' currency.")
    input_price: float = Field(default=0.0, ge=0, description="Price of a million prompt tokens.")
    output_price: float = Field(default=0.0, ge=0, description="Price of a million tokens of replies.")


class ProductionSettings(Section):
    """What users approved or corrected."""

    export: Path | None = Field(default=None, description="JSON Lines of rated answers; null: none.")
    langfuse: bool = Field(default=False, description="Read the rated answers from Langfuse, see tracing.")
    days: int = Field(default=90, gt=0, description="How far back Langfuse is asked.")


class DatasetSettings(Section):
    """Question-answer pairs made from the code, by a teacher, and by users."""

    pairs_per_repo: int = Field(default=1000, gt=0, description="How many pairs to make from each repository's code at most.")
    evaluation_share: float = Field(default=0.2, gt=0, lt=1, description="Share of definitions kept for evaluation.")
    unanswerable_share: float = Field(default=0.1, ge=0, lt=1, description="Share of questions the code does not answer.")
    seed: int = Field(default=7, description="Fixes sampling; the split depends on names alone.")
    teacher: TeacherSettings = TeacherSettings()
    production: ProductionSettings = ProductionSettings()


class EarlyStoppingSettings(Section):
    """Part of the training examples is held out; the adapter whose loss on it was least is kept."""

    share: float = Field(default=0.05, ge=0, lt=0.5, description="Of the examples, at most 64 are held out; 0: none.")
    patience: int = Field(default=0, ge=0, description="Stop after so many checkpoints without a better loss; 0: never.")


class GrpoSettings(Section):
    """Reinforcement by rewards that can be checked: citations that resolve and cover, support, rightful abstention."""

    steps: int = Field(default=30, gt=0, description="Optimiser steps.")
    questions: int = Field(default=8, gt=0, description="Questions a step.")
    answers: int = Field(default=8, gt=1, description="Answers sampled for each, compared with one another.")
    learning_rate: float = Field(default=3e-4, gt=0, description="Peak learning rate.")
    temperature: float = Field(default=1.0, gt=0, description="Of the sampled answers.")
    beta: float = Field(default=0.0, ge=0, description="Weight of staying near the model that it starts from.")
    answer_tokens: int = Field(default=12, gt=0, description="The longest sampled answer; an abstention must fit.")


class TrainingSettings(Section):
    """LoRA fine-tuning."""

    base_model: str = Field(default="local", description="'local' is the small model shipped with this; or a path or hub name.")
    method: Literal["sft", "grpo", "sft+grpo"] = Field(default="sft", description="Imitate, be rewarded, or one after the other.")
    quantization: Literal["none", "nf4"] = Field(default="none", description="nf4 is QLoRA (bitsandbytes).")
    rank: int = Field(default=16, gt=0, description="LoRA rank.")
    alpha: int = Field(default=32, gt=0, description="LoRA alpha.")
    target_modules: list[str] = Field(
        default=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        description="Layers that get an adapter.",
    )
    learning_rate: float = Field(
        default=1.5e-3, gt=0, description="Peak learning rate: 1.5e-3 for the small model, 2e-4 for billions."
    )
    warm_up: float = Field(
        default=0.05, ge=0, lt=1, description="Share of the steps in which the rate rises; then a half cosine."
    )
    steps: int = Field(default=90, gt=0, description="Optimiser steps.")
    batch_size: int = Field(default=16, gt=0, description="Sequences a step, over all processes.")
    max_tokens: int = Field(default=640, gt=0, description="Longer sequences are cut from the left of the context.")
    packing: Literal["none", "by_length", "packed"] = Field(
        default="by_length", description="by_length: batches of one length; packed: several examples a sequence, for GPUs."
    )
    seed: int = Field(default=7, description="Fixes initialisation and order.")
    checkpoint_steps: int = Field(default=25, gt=0, description="Steps between the checkpoints that a killed run resumes from.")
    early_stopping: EarlyStoppingSettings = EarlyStoppingSettings()
    grpo: GrpoSettings = GrpoSettings()
    memory: Literal["auto", "laptop", "4GB", "24GB"] = Field(
        default="auto", description="What a training may take; refused when it does not fit. auto: what the device has."
    )
    gradient_accumulation: int | None = Field(
        default=None, gt=0, description="Parts of a step's batch; null: the fewest that fit."
    )
    gradient_checkpointing: bool | None = Field(
        default=None, description="Compute activations twice, a third slower; null: only when it does not fit otherwise."
    )
    precision: Literal["auto", "bfloat16", "float32"] = Field(default="auto", description="Of matrix products.")
    threads: int | None = Field(default=None, gt=0, description="CPU threads; null: as many as cores are idle when it starts.")
    processes: int = Field(default=1, gt=0, description="Processes on one machine (torchrun), one a GPU.")
    timeout_seconds: int = Field(default=3600, gt=10, description="A training job that runs longer is stopped.")
    pending_seconds: int = Field(default=3600, gt=0, description="A TrainJob whose pod has not started by then is given up.")
    backend: Literal["local", "kubeflow"] = Field(default="local", description="Run jobs as a process here, or as TrainJobs.")
    runtime: str = Field(default="code-assistant-qlora", description="ClusterTrainingRuntime of the TrainJobs.")
    image: str = Field(default="code-assistant-trainer:0.1.0", description="Image of the TrainJobs.")
    gpu_slices: int = Field(default=5, gt=0, description="Time slices of a GPU; a TrainJob takes all of them.")
    node_selector: dict[str, str] = Field(
        default={"nvidia.com/gpu.sharing-strategy": "time-slicing"}, description="Labels of the nodes that TrainJobs run on."
    )


class EvaluationSettings(Section):
    """Scoring and the promotion gate."""

    questions: int = Field(default=240, gt=0, description="Evaluation questions a run, at most.")
    shuffled_questions: int = Field(
        default=40, ge=0, description="Of which so many are asked once more with their context in another order."
    )
    minimum_questions: int = Field(default=20, gt=0, description="Fewer are too few to tell: nothing is promoted.")
    judge: str = Field(default="offline", description="'offline', or the base URL of an OpenAI-compatible judge.")
    judge_model: str = Field(default="judge", description="Model name at that address.")
    judge_api_key_variable: str = Field(default="JUDGE_API_KEY", description="Variable with its key.")
    judge_timeout_seconds: float = Field(default=60.0, gt=0, description="For one verdict; three tries, then it is a fail.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Of the bootstrap interval.")
    gain_metrics: list[str] = Field(
        default=["right_line_rate", "citation_recall"],
        min_length=1,
        description="The interval's lower end must be above 0 on one of these.",
    )
    default_tolerance: float = Field(default=0.02, ge=0, description="No other metric's mean may fall by more than this.")
    tolerance: dict[str, float] = Field(
        default={
            "abstention": 0.05,
            "answer_relevancy": 0.05,
            "citation_precision": 0.05,
            "faithfulness": 0.03,
            "right_line_shuffled": 0.15,
        },
        description="The same for single metrics.",
    )
    minimum: dict[str, float] = Field(
        default={"faithfulness": 0.5, "answer_relevancy": 0.5}, description="Floors below which nothing is promoted."
    )


class RegistrySettings(Section):
    """MLflow."""

    tracking_uri: str | None = Field(default=None, description="An MLflow server; null: SQLite under CIA_HOME.")
    model_name: str = Field(default="code-assistant", description="The registered model.")
    alias: str = Field(default="Production", description="The alias that serving follows.")
    experiment: str = Field(default="code-assistant", description="Where runs are logged.")


class RagSettings(Section):
    """The HTTP server."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="0 takes a free port.")
    workers: int = Field(default=1, gt=0, le=64, description="Processes that answer; several share limits by Redis alone.")
    allowed_hosts: list[str] | None = Field(
        default=None, description="Host names to answer to; null: those of the loopback address, or any when listening elsewhere."
    )
    rate_limit: int = Field(default=100, gt=0, description="Requests a minute and user.")
    health_rate_limit: int = Field(default=10, gt=0, description="Health checks a minute and address, without a credential.")
    failed_logins: int = Field(default=10, gt=0, description="Wrong credentials a minute and address.")
    max_concurrent: int = Field(default=64, gt=0, description="Questions answered at once.")
    concurrent_per_user: int = Field(default=8, gt=0, description="Of which for one user.")
    daily_tokens: int = Field(default=1_000_000, gt=0, description="Tokens, prompt and answer, that a user's day (UTC) has.")
    redis_url_variable: str = Field(
        default="RAG_REDIS_URL", description="Variable with a Redis URL for limits; unset: in memory."
    )
    database_url_variable: str = Field(
        default="RAG_DATABASE_URL",
        description="Variable with an SQLAlchemy URL for users and history; unset: SQLite in CIA_HOME.",
    )
    admin_key_variable: str = Field(
        default="CIA_ADMIN_KEY", description="Variable with the first administrator's key; unset: one is made and printed once."
    )
    token_minutes: int = Field(default=15, gt=0, description="Life of an access token.")
    session_hours: int = Field(default=12, gt=0, description="Life of a sign-in on the web page.")
    signing_key_days: int = Field(default=30, gt=0, description="After so long tokens are signed with a new key.")
    oidc_issuer: str | None = Field(default=None, description="Issuer whose bearer tokens are accepted; null: none.")
    oidc_audience: str = Field(default="code-assistant", description="Audience that such a token must name.")
    oidc_user_claim: str = Field(default="sub", description="Claim with the user's name, here called oidc:NAME.")
    oidc_repos_claim: str | None = Field(default=None, description="Claim with a list of repositories to grant; null: none.")
    max_question_chars: int = Field(default=8000, gt=0, description="Longer questions get 422.")
    max_history_chars: int = Field(default=20_000, gt=0, description="Of a conversation, so much is read, the newest first.")
    max_body_bytes: int = Field(default=262_144, gt=0, description="Larger bodies get 413.")
    log_questions: bool = Field(default=False, description="Put the text of questions into the log.")


class CanarySettings(Section):
    """A share of the users on another version, and when it is taken back.

    A server that starts with a ``version`` here begins its trial as `cia models canary start` would, once no other is under
    way, and gives a trial that began so the ``percent`` here. One whose trial ended, however it did, or that was in Production
    does not begin again from here. A trial ends as others do; taking the version out of the settings leaves it alone.
    """

    version: int | None = Field(
        default=None, gt=0, description="Tried once by itself, unless it was tried or promoted; null: by `cia models canary`."
    )
    percent: float = Field(default=10.0, gt=0, le=50, description="Share of the users that it answers.")
    minimum_answers: int = Field(default=50, gt=0, description="Before so many answers of each version nothing is judged.")
    bound: float = Field(
        default=0.05, ge=0, lt=1, description="So much more frequent may its errors, abstentions or thumbs down be."
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="How sure it must be that they are, to take it back.")


class ServingSettings(Section):
    """vLLM, as started here or as an InferenceService."""

    model: str | None = Field(
        default=None,
        description="Folder or hub name that vLLM loads; null: the base of the adapter in Production, or newest.",
    )
    vllm_python: str = Field(default=".venv-vllm/bin/python", description="Interpreter of vLLM's own environment.")
    port: int = Field(default=8001, ge=0, le=65535, description="0 takes a free port.")
    max_lora_rank: int = Field(default=16, gt=0, le=512, description="The largest adapter rank that vLLM accepts.")
    max_adapters: int = Field(
        default=3, gt=0, description="Adapters in one batch: the old and the new while one is promoted, and one on trial."
    )
    adapters_in_memory: int = Field(default=8, gt=0, description="Adapters that vLLM keeps in memory, those included.")
    cached_adapters: int = Field(default=8, gt=1, description="Versions that vLLM keeps on its disk.")
    cached_gib: float = Field(default=10.0, gt=0, description="Disk that they may take.")
    prefix_caching: bool = Field(default=True, description="Keep the key-value blocks of prompts for those that begin alike.")
    speculation: Literal["none", "ngram", "draft"] = Field(
        default="none", description="Guess several tokens ahead: from the prompt, or with draft_model."
    )
    speculative_tokens: int = Field(default=4, gt=0, le=32, description="Tokens guessed at a time.")
    draft_model: str | None = Field(default=None, description="The small model that guesses; of the same tokenizer.")
    canary: CanarySettings = CanarySettings()
    dtype: str = Field(default="auto", description="auto takes the checkpoint's; or float32, bfloat16, float16.")
    tensor_parallel: int = Field(default=1, gt=0, description="GPUs that one vLLM spreads the model over.")
    gpu_memory_utilization: float | None = Field(
        default=None, gt=0, le=1, description="Share of a GPU's memory that vLLM takes; null: vLLM's own."
    )
    kv_cache_dtype: Literal["auto", "fp8"] = Field(default="auto", description="fp8 halves the KV cache, at some quality.")
    batched_tokens: int | None = Field(
        default=None, gt=0, description="Tokens a step; long prompts are read in chunks of it. null: vLLM's own."
    )
    enforce_eager: bool = Field(default=True, description="Skip compilation: starts sooner, generates slower.")
    cpu_threads: int | None = Field(default=None, gt=0, description="Threads of a vLLM on the CPU; null: every core.")
    cpu_kv_cache_gib: int = Field(default=1, gt=0, description="Memory for the KV cache of a vLLM on the CPU.")
    memory_limit_gib: float | None = Field(default=None, gt=0, description="A vLLM here that grows beyond it is restarted.")
    hang_seconds: float = Field(default=90.0, gt=0, description="A vLLM here that was not healthy for so long is restarted.")
    start_timeout_seconds: float = Field(default=240.0, gt=0, description="vLLM must be ready within this.")


class ModelWeightsSettings(Section):
    """Where a cluster keeps the weights of its models, so that no pod downloads any when it starts."""

    source: Literal["claim", "cache"] = Field(
        default="claim",
        description="claim: a shared volume that a job fills once; cache: KServe's LocalModelCache, on the nodes' disks.",
    )
    claim: str = Field(default="code-assistant-models", pattern=NAME, description="The volume claim, which many pods may read.")
    storage_class: str | None = Field(default=None, description="Its storage class; null: the cluster's default.")
    size: str = Field(default="200Gi", pattern=QUANTITY, description="Its size.")
    node_group: str = Field(default="gpu", pattern=NAME, description="LocalModelNodeGroup whose nodes cache the models.")
    cached_size: str = Field(default="40Gi", pattern=QUANTITY, description="Disk that one cached model takes at most.")
    revisions: dict[str, str] = Field(
        default={}, description="Hub name: commit or tag to take. A model that is not named takes main, as it is then."
    )
    image: str = Field(default="code-assistant-pipeline:0.1.0", description="Image of the job that fills the volume.")
    token_key: str = Field(default="hub-token", description="Key of the secret with the hub's token; absent: public models.")


class AutoscaleProbeSettings(Section):
    """A small model that is scaled by its load, to measure how replicas follow it."""

    model: str = Field(default="google/gemma-2-2b-it", description="Hub name.")
    context_tokens: int = Field(default=2048, gt=0, description="Its window.")
    mode: Literal["Standard", "Knative"] = Field(
        default="Standard", description="Standard: KEDA on vLLM's queue; Knative: the Knative Pod Autoscaler on concurrency."
    )
    minimum: int = Field(default=1, ge=0, description="Replicas without load; 0 needs Knative. At most one a slice of a GPU.")
    concurrency: int = Field(default=8, gt=0, description="Requests in a replica, running or waiting, before another starts.")
    settle_seconds: int = Field(default=60, ge=0, le=3600, description="The load must be down for so long before one is ended.")
    kv_cache_gib: int = Field(default=2, gt=0, description="KV cache of a replica; all replicas share one GPU's memory.")
    prometheus_url: str = Field(
        default="http://prometheus-operated.monitoring:9090", description="Where KEDA reads vLLM's queue."
    )
    cpu: str = Field(default="2", pattern=QUANTITY, description="CPUs, asked for and allowed.")
    memory: str = Field(default="12Gi", pattern=QUANTITY, description="Memory, asked for and allowed.")


class EmbeddingsServiceSettings(Section):
    """The embedding model of a cluster's index, behind an OpenAI-compatible address."""

    model: str = Field(default="NovaSearch/stella_en_1.5B_v5", description="Hub name.")
    served_name: str = Field(
        default="stella_en_1.5B_v5", description="Its name in requests: index.embedding_model is openai:NAME."
    )
    context_tokens: int = Field(default=512, gt=0, description="Longer texts are refused; stella was trained on 512.")
    bidirectional: bool = Field(default=True, description="Every token sees every other, as stella was trained; false: causal.")
    replicas: int = Field(default=1, gt=0, description="How many.")
    gpu_slices: int = Field(default=1, gt=0, description="Slices of a GPU that a replica takes.")
    cpu: str = Field(default="2", pattern=QUANTITY, description="CPUs, asked for and allowed.")
    memory: str = Field(default="12Gi", pattern=QUANTITY, description="Memory, asked for and allowed.")


class InferenceServicesSettings(Section):
    """The InferenceServices of a cluster."""

    deployed: list[Literal["code-assistant", "embeddings", "autoscale-probe"]] = Field(
        default=["embeddings", "code-assistant"], description="Which are applied. Each of them needs free slices of a GPU."
    )
    image: str = Field(default="code-assistant-vllm:0.1.0", description="vLLM with the adapter resolver.")
    gpus: int = Field(default=1, gt=0, description="GPUs for the main model: a replica on each, with all its slices.")
    api_key: str = Field(default="model-api-key", description="Key of that secret with the API key that vLLM asks for.")
    secret_variables: dict[str, str] = Field(
        default={"MLFLOW_TRACKING_USERNAME": "mlflow-username", "MLFLOW_TRACKING_PASSWORD": "mlflow-password"},
        description="Variable of the main model's pods: key in that secret. A key that is absent is left out.",
    )
    start_seconds: int = Field(default=900, gt=0, description="A pod that is not ready by then is restarted.")
    leave_seconds: int = Field(default=15, ge=0, description="So long a pod goes on serving until no router sends it more.")
    drain_seconds: int = Field(default=120, gt=0, description="Then it finishes what runs, within this.")
    user: int = Field(default=1000, gt=0, description="User and group of the containers, as a number.")
    cpu: str = Field(default="4", pattern=QUANTITY, description="CPUs of a replica of the main model.")
    memory: str = Field(default="32Gi", pattern=QUANTITY, description="Its memory, asked for and allowed.")
    shared_memory: str = Field(default="8Gi", pattern=QUANTITY, description="Of which so much may be shared memory.")
    weights: ModelWeightsSettings = ModelWeightsSettings()
    embeddings: EmbeddingsServiceSettings = EmbeddingsServiceSettings()
    autoscale_probe: AutoscaleProbeSettings = AutoscaleProbeSettings()


class TracingSettings(Section):
    """Langfuse, on when both key variables are set, and any OpenTelemetry collector by its address."""

    langfuse_url: str | None = Field(default=None, description="Base URL; null: LANGFUSE_BASE_URL or off.")
    public_key_variable: str = Field(default="LANGFUSE_PUBLIC_KEY", description="Variable with the public key.")
    secret_key_variable: str = Field(default="LANGFUSE_SECRET_KEY", description="Variable with the secret key.")
    otlp_endpoint: str | None = Field(
        default=None, description="OTLP over HTTP, for example http://jaeger:4318/v1/traces; null: none."
    )
    input_price: float = Field(default=0.0, ge=0, description="Cost of a million prompt tokens, for the traces and metrics.")
    output_price: float = Field(default=0.0, ge=0, description="Cost of a million answer tokens.")


class StepSettings(Section):
    """The pod of a pipeline's step on a cluster."""

    compute: Compute = Compute(cpu="500m", cpu_limit="2", memory="4Gi")
    gpu_slices: int = Field(default=0, ge=0, description="Slices of a GPU, on the nodes of training.node_selector.")
    timeout_seconds: int = Field(default=2 * 3600, gt=0, description="A pod that runs longer is ended, and tried again.")


class PipelineSettings(Section):
    """Kubeflow Pipelines."""

    engine: Literal["local", "kubeflow"] = Field(default="local", description="Where `cia pipeline run` runs.")
    host: str | None = Field(default=None, description="Address of the KFP API for `cia pipeline submit`.")
    server_url: str | None = Field(
        default=None, description="RAG server that a promotion waits for: it follows Production; null: vLLM itself is told."
    )
    token_variable: str = Field(default="KFP_TOKEN", description="Variable with a bearer token for it, if it wants one.")
    image: str = Field(default="code-assistant-pipeline:0.1.0", description="The image every component runs in.")
    service_account: str = Field(default="code-assistant-pipeline", pattern=NAME, description="Account that its runs have.")
    caching: bool = Field(default=True, description="Reuse steps whose inputs have not changed.")
    repositories_at_once: int = Field(default=4, gt=0, description="Pods that index a repository each, at the same time.")
    retries: int = Field(default=2, ge=0, description="Of a step that failed, after 30 seconds and then ever later.")
    step: StepSettings = StepSettings()
    steps: dict[str, StepSettings] = Field(
        default={
            "prepare_index": StepSettings(compute=Compute(cpu="2", cpu_limit="4", memory="8Gi"), timeout_seconds=6 * 3600),
            "build_dataset": StepSettings(compute=Compute(cpu="2", cpu_limit="4", memory="8Gi"), timeout_seconds=4 * 3600),
            "fine_tune_llm": StepSettings(timeout_seconds=24 * 3600),
            "evaluate_model": StepSettings(
                compute=Compute(cpu="4", cpu_limit="8", memory="24Gi"), gpu_slices=1, timeout_seconds=4 * 3600
            ),
        },
        description="The same for single steps.",
    )
    schedule: str = Field(default="0 17 3 * * *", description="When `cia pipeline schedule` indexes: six fields, seconds first.")
    report_variable: str = Field(
        default="RUN_WEBHOOK_URL", description="Variable with an address that the end of each run is posted to; unset: none."
    )
    secret_variables: dict[str, str] = Field(
        default={
            "QDRANT_API_KEY": "qdrant-api-key",
            "JUDGE_API_KEY": "judge-api-key",
            "TEACHER_API_KEY": "teacher-api-key",
            "EMBEDDING_API_KEY": "model-api-key",
            "CIA_MODEL_API_KEY": "model-api-key",
            "MLFLOW_TRACKING_USERNAME": "mlflow-username",
            "MLFLOW_TRACKING_PASSWORD": "mlflow-password",
            "RUN_WEBHOOK_URL": "run-webhook-url",
        },
        description="Variable of a step: key in that secret. A key that is absent is left out.",
    )


class Settings(Section):
    """All settings. ``home`` is the only folder that the assistant writes to."""

    profile: Literal["local", "cluster"] = "local"
    home: Path = Path(".cia")
    corpus: CorpusSettings = CorpusSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    index: IndexSettings = IndexSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    model: ModelSettings = ModelSettings()
    answering: AnsweringSettings = AnsweringSettings()
    dataset: DatasetSettings = DatasetSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    registry: RegistrySettings = RegistrySettings()
    rag: RagSettings = RagSettings()
    serving: ServingSettings = ServingSettings()
    inference_services: InferenceServicesSettings = InferenceServicesSettings()
    tracing: TracingSettings = TracingSettings()
    pipeline: PipelineSettings = PipelineSettings()
    cluster: ClusterSettings = ClusterSettings()


def load_settings(profile: str | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings for ``profile`` (default: ``CIA_PROFILE``, else ``local``).

    Raises SettingsError that names the key, the file or variable it stands in, and what is allowed there.
    """
    environment = os.environ if environment is None else environment
    profile = profile or environment.get("CIA_PROFILE") or "local"
    if profile not in ("local", "cluster"):
        raise SettingsError(f"CIA_PROFILE or --profile is {profile!r}; allowed: local, cluster")
    params = Path(environment.get("CIA_PARAMS") or default_params_path())
    tree: dict[str, Any] = {}
    origin: dict[str, str] = {}
    _merge(tree, _read_yaml(params), str(params), origin)
    if profile != "local":
        overlay = params.with_name(f"{params.stem}.{profile}{params.suffix}")
        _merge(tree, _read_yaml(overlay), str(overlay), origin)
    for name in sorted(environment):
        if _is_setting(name):
            keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            _merge(tree, _nested(keys, _parse_scalar(environment[name])), f"the variable {name}", origin)
    tree["profile"] = profile
    tree["home"] = Path(environment.get("CIA_HOME") or ".cia").absolute()
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_explain(error, origin, params)) from None


def for_child_process(settings: Settings, directory: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment under which a child process loads exactly ``settings``, also when they were made in a program.

    Writes them to ``directory/params.yaml``; variables that are no settings are passed on.
    """
    environment = os.environ if environment is None else environment
    params = directory / "params.yaml"
    tree = settings.model_dump(mode="json", exclude={"profile", "home"})
    replace_text(params, yaml.safe_dump(tree, sort_keys=False))
    kept = {name: value for name, value in environment.items() if not _is_setting(name)}
    # The written tree already holds the overlay, so that the child needs none.
    return kept | {"CIA_PARAMS": str(params), "CIA_HOME": str(settings.home), "CIA_PROFILE": "local"}


def default_params_path() -> Path:
    """The ``params.yaml`` beside the package: the project's in a checkout, the packaged copy in an installation."""
    package = Path(__file__).resolve().parent
    checkout = package.parent / "params.yaml"
    return checkout if checkout.exists() else package / "params.yaml"


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"no settings file at {path}; set CIA_PARAMS to one, or restore it") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must hold sections such as 'rag:', not a {type(content).__name__}")
    return content


def _merge(tree: dict[str, Any], layer: dict[str, Any], source: str, origin: dict[str, str], prefix: str = "") -> None:
    for key, value in layer.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, dict) and isinstance(tree.get(key, {}), dict):
            origin.setdefault(dotted, source)
            _merge(tree.setdefault(key, {}), value, source, origin, f"{dotted}.")
        else:
            tree[key] = value
            origin[dotted] = source


def _is_setting(variable: str) -> bool:
    # CIA_MODEL_API_KEY and its like hold a secret that a setting names; they are not settings themselves.
    return variable.startswith(ENVIRONMENT_PREFIX) and variable not in OUTSIDE_THE_TREE and not variable.endswith("_KEY")


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value  # type: ignore[no-any-return]


def _parse_scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _explain(error: ValidationError, origin: Mapping[str, str], params: Path) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    dotted = ".".join(path)
    source = next((origin[".".join(path[:n])] for n in range(len(path), 0, -1) if ".".join(path[:n]) in origin), str(params))
    if first["type"] == "extra_forbidden":
        return f"unknown setting '{dotted}' in {source}; allowed there: {', '.join(_keys_at(path[:-1]))}"
    return f"setting '{dotted}' in {source} is {first.get('input')!r}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _keys_at(path: list[str]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        annotation = model.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(set(model.model_fields) - {"profile", "home"})
