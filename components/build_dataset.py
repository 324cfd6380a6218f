"""Step 3: make questions and answers from the code, and split them."""

from kfp.dsl import Dataset, Markdown, Metrics, Output

from components.definition import component


@component
def build_dataset(
    repos: list,
    index: str,
    dataset: dict,
    code: str,
    train: Output[Dataset],
    evaluation: Output[Dataset],
    metrics: Output[Metrics],
    summary: Output[Markdown],
) -> str:
    """Build both sets and return the SHA-256 over their bytes.

    Args:
        repos: What ``fetch_corpus`` returned.
        index: The fingerprint of the index, so that a changed index makes new examples.
        dataset: The ``dataset`` group of the settings.
        code: Digest of the project's code, so that a changed program makes new sets.

    Outputs: ``train`` holds ``train.jsonl`` (pairs) and ``examples.jsonl`` (prompts with context, and completions);
    ``evaluation`` holds ``evaluation.jsonl``. ``summary`` shows the counts and a few pairs of each kind.
    """
    from pathlib import Path

    from components.dataset_artifacts import write_dataset
    from components.step import Step, settings_with
    from components.tables import record_metrics

    with Step("build_dataset") as step:
        settings = settings_with(dataset=dataset)
        names = [repo["name"] for repo in repos]
        report = write_dataset(
            settings, names, Path(train.path), Path(evaluation.path), Path(summary.path), progress=step.progress
        )
        record_metrics(metrics, {f"{split}_pairs": count for split, count in report.splits.items()})
        train.metadata.update({"index": index, "code": code, "sha256": report.data_hash})
        step.summary = f"{report.splits['train']} pairs to train on, {report.splits['evaluation']} to evaluate with"
    return report.data_hash
