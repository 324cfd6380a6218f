"""Step 4: fine-tune the model on the code base with LoRA, as a Kubeflow Trainer job."""

from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output

from components.definition import component


@component
def fine_tune_llm(
    train: Input[Dataset],
    base: str,
    training: dict,
    data_digest: str,
    code: str,
    adapter: Output[Model],
    metrics: Output[Metrics],
    loss_curve: Output[HTML],
) -> str:
    """Train an adapter and return the id of its MLflow run.

    Args:
        train: The training set of ``build_dataset``.
        base: The base model that Production stands on, so that adapters stay comparable; "" takes ``training.base_model``.
        training: The ``training`` group of the settings.
        data_digest: What ``build_dataset`` returned; logged with the run.
        code: Digest of the project's code.

    Outputs: ``adapter`` is a PEFT folder that vLLM takes, its metadata names the base model's folder. ``loss_curve`` is a plot.
    """
    from pathlib import Path

    from components.step import Step, settings_with
    from components.tables import record_metrics
    from components.training_artifacts import train_adapter

    with Step("fine_tune_llm") as step:
        settings = settings_with(training=training)
        chosen = base or settings.training.base_model
        tuned = train_adapter(settings, chosen, Path(train.path), data_digest, Path(adapter.path), step.progress)
        Path(loss_curve.path).write_text(tuned.loss_plot, encoding="utf-8")
        record_metrics(metrics, tuned.metrics)
        adapter.metadata.update(
            {"base": str(tuned.base), "run_id": tuned.run_id, "data_digest": data_digest, "code": code, "framework": "peft"}
        )
        step.summary = tuned.summary
    return tuned.run_id
