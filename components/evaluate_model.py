"""Step 5: score the candidate and what serves today on the same questions, and decide."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output

from components.definition import component


@component
def evaluate_model(
    adapter: Input[Model],
    questions: Input[Dataset],
    train: Input[Dataset],
    index: str,
    evaluation: dict,
    data_digest: str,
    baseline: str,
    code: str,
    scores: Output[Artifact],
    metrics: Output[Metrics],
    report: Output[Markdown],
    page: Output[HTML],
) -> bool:
    """Return whether the candidate passed the gate.

    Args:
        adapter: What ``fine_tune_llm`` made.
        questions: The evaluation set of ``build_dataset``.
        train: Its training set and the examples made from it, to find questions that they give away.
        index: The fingerprint of the index that both systems answer from.
        evaluation: The ``evaluation`` group of the settings.
        data_digest: What ``build_dataset`` returned.
        baseline: The version in Production, "" when there is none: then the baseline is what answers without one.
        code: Digest of the project's code.

    Outputs: ``scores`` holds ``candidate.json``, ``baseline.json`` and ``decision.json``; ``report`` and ``page`` are for people.
    """
    from pathlib import Path

    from components.evaluation_artifacts import compare_with_baseline
    from components.gpu_loan import last_use_of_the_gpu
    from components.step import Step, settings_with
    from components.tables import record_metrics

    with Step("evaluate_model") as step:
        settings = settings_with(evaluation=evaluation)
        with last_use_of_the_gpu(settings):
            verdict = compare_with_baseline(
                settings,
                adapter=Path(adapter.path),
                base=adapter.metadata["base"],
                questions=Path(questions.path),
                train=Path(train.path),
                baseline=baseline,
                progress=step.progress,
            )
        verdict.save(Path(scores.path))
        Path(report.path).write_text(verdict.markdown, encoding="utf-8")
        Path(page.path).write_text(verdict.html, encoding="utf-8")
        record_metrics(metrics, {name: round(value, 4) for name, value in verdict.candidate.means.items()})
        facts = {"index": index, "data_digest": data_digest, "baseline": verdict.baseline.name, "code": code}
        scores.metadata.update(facts)
        step.summary = verdict.decision.reason
    return verdict.decision.promoted
