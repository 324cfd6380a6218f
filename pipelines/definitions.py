"""What runs, in which order, and what each step hands to the next.

Data travels as artifacts, decisions and digests as parameters. Steps that look at the outside world (sources, the index, the
registry) are cheap to repeat and never cached; the costly ones are cached on digests of their data, settings and code.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl
from kfp.dsl.pipeline_task import PipelineTask

from cia.settings import Settings, load_settings
from components.build_dataset import build_dataset
from components.evaluate_model import evaluate_model
from components.fetch_corpus import fetch_corpus
from components.fine_tune_llm import fine_tune_llm
from components.index_code import index_code
from components.prepare_index import prepare_index
from components.refresh_serving import refresh_serving
from components.register_model import register_model
from components.report_run import report_run
from pipelines.arguments import as_parameter
from pipelines.code_version import code_version
from pipelines.placement import ON_THIS_MACHINE, Placement

PIPELINE_NAME = "code-assistant-pipeline"
INDEX_PIPELINE_NAME = "index-pipeline"
GATE = "passed-the-gate"
"""The part of a run that only a candidate comes to that is promoted."""
CODE_VERSION = code_version()


def define_code_assistant_pipeline(settings: Settings, placement: Placement) -> Callable[..., PipelineTask]:
    """Return the whole pipeline: from sources to a registered adapter, served if it passed the gate."""
    defaults = {name: as_parameter(getattr(settings, name)) for name in ("dataset", "training", "evaluation")}
    place = placement.place

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
        with _reported(placement):
            fetched, indexed = _index(sources, placement)
            built = place(
                build_dataset(repos=fetched.outputs["Output"], index=indexed.outputs["Output"], dataset=dataset, code=code)
            )
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
            with dsl.If(scored.outputs["Output"] == True, name=GATE):  # noqa: E712 - KFP compares by operator
                place(_uncached(refresh_serving(version=registered.outputs["Output"])))

    return code_assistant_pipeline


def define_index_pipeline(settings: Settings, placement: Placement) -> Callable[..., PipelineTask]:
    """Return the first steps alone, for a schedule that keeps the index fresh."""

    @dsl.pipeline(name=INDEX_PIPELINE_NAME, description="Fetch the repositories and index what has changed.")
    def index_pipeline(sources: list = settings.corpus.sources) -> None:
        with _reported(placement):
            _index(sources, placement)

    return index_pipeline


def _index(sources: Any, placement: Placement) -> tuple[PipelineTask, PipelineTask]:
    """Fetch all, index each by itself, and show the result at once: the tasks of the first step and of the last."""
    fetched = placement.place(_uncached(fetch_corpus(sources=sources)))
    with dsl.ParallelFor(fetched.outputs["Output"], name="repositories", parallelism=placement.repositories_at_once) as repo:
        prepared = placement.place(_uncached(prepare_index(repo=repo)))
    collected = dsl.Collected(prepared.outputs["Output"])
    return fetched, placement.place(_uncached(index_code(prepared=collected)))


def _reported(placement: Placement) -> dsl.ExitHandler:
    """What runs inside is reported when it ends, however that is."""
    report = placement.place(_uncached(report_run()))
    return dsl.ExitHandler(report, name="run")


def _uncached(task: PipelineTask) -> PipelineTask:
    return task.set_caching_options(enable_caching=False)


code_assistant_pipeline = define_code_assistant_pipeline(load_settings(), ON_THIS_MACHINE)
index_pipeline = define_index_pipeline(load_settings(), ON_THIS_MACHINE)
