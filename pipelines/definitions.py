"""What runs, in which order, and what each step hands to the next.

Data travels as artifacts, decisions and digests as parameters. Steps that look at the outside world (sources, the index, the
registry) are cheap to repeat and never cached; the costly ones are cached on digests of their data, settings and code.
"""

from collections.abc import Callable

from kfp import dsl
from kfp.dsl.pipeline_task import PipelineTask

from cia.settings import Settings, load_settings
from components.build_dataset import build_dataset
from components.evaluate_model import evaluate_model
from components.fetch_corpus import fetch_corpus
from components.fine_tune_llm import fine_tune_llm
from components.index_code import index_code
from components.refresh_serving import refresh_serving
from components.register_model import register_model
from pipelines.arguments import as_parameter
from pipelines.code_version import code_version
from pipelines.placement import Placement, place_locally

PIPELINE_NAME = "code-assistant-pipeline"
INDEX_PIPELINE_NAME = "index-pipeline"
CODE_VERSION = code_version()


def define_code_assistant_pipeline(settings: Settings, place: Placement) -> Callable[..., PipelineTask]:
    """Return the whole pipeline: from sources to a registered adapter, served if it passed the gate."""
    defaults = {name: as_parameter(getattr(settings, name)) for name in ("dataset", "training", "evaluation")}

    @dsl.pipeline(
        name=PIPELINE_NAME, description="Index code, fine-tune on it, score, register, and promote only what is better."
    )
    def code_assistant_pipeline(
        sources: list = settings.corpus.sources,
        dataset: dict = defaults["dataset"],
        training: dict = defaults["training"],
        evaluation: dict = defaults["evaluation"],
        baseline: str = "",
        base: str = "",
        code: str = CODE_VERSION,
    ) -> None:
        fetched = place(_uncached(fetch_corpus(sources=sources)))
        indexed = place(_uncached(index_code(repos=fetched.outputs["Output"])))
        built = place(build_dataset(repos=fetched.outputs["Output"], index=indexed.outputs["Output"], dataset=dataset, code=code))
        tuned = place(
            fine_tune_llm(
                train=built.outputs["train"],
                base=base,
                training=training,
                data_digest=built.outputs["Output"],
                code=code,
            )
        )
        scored = place(
            evaluate_model(
                adapter=tuned.outputs["adapter"],
                questions=built.outputs["evaluation"],
                train=built.outputs["train"],
                index=indexed.outputs["Output"],
                evaluation=evaluation,
                data_digest=built.outputs["Output"],
                baseline=baseline,
                code=code,
            )
        )
        registered = place(_uncached(register_model(adapter=tuned.outputs["adapter"], scores=scored.outputs["scores"])))
        with dsl.If(scored.outputs["Output"] == True, name="passed-the-gate"):  # noqa: E712 - KFP compares by operator
            place(_uncached(refresh_serving(version=registered.outputs["Output"])))

    return code_assistant_pipeline


def define_index_pipeline(settings: Settings, place: Placement) -> Callable[..., PipelineTask]:
    """Return the first two steps alone, for a schedule that keeps the index fresh."""

    @dsl.pipeline(name=INDEX_PIPELINE_NAME, description="Fetch the repositories and index what has changed.")
    def index_pipeline(sources: list = settings.corpus.sources) -> None:
        fetched = place(_uncached(fetch_corpus(sources=sources)))
        place(_uncached(index_code(repos=fetched.outputs["Output"])))

    return index_pipeline


def _uncached(task: PipelineTask) -> PipelineTask:
    return task.set_caching_options(enable_caching=False)


code_assistant_pipeline = define_code_assistant_pipeline(load_settings(), place_locally)
index_pipeline = define_index_pipeline(load_settings(), place_locally)
