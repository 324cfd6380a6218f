"""Step 6: register the candidate with its scores; promote it if, and only if, it passed the gate."""

from kfp.dsl import Artifact, Input, Markdown, Model, Output

from components.definition import component


@component
def register_model(adapter: Input[Model], scores: Input[Artifact], summary: Output[Markdown]) -> str:
    """Register the adapter in MLflow and return its version; the same adapter with the same scores keeps its version.

    Args:
        adapter: What ``fine_tune_llm`` made.
        scores: What ``evaluate_model`` found and decided.

    Outputs: ``summary`` says which version it is, what the gate decided, and which version is in Production.
    """
    from pathlib import Path

    from components.registration import register
    from components.step import Step

    with Step("register_model") as step:
        version, said = register(Path(adapter.path), adapter.metadata, Path(scores.path))
        Path(summary.path).write_text(f"# {said}\n", encoding="utf-8")
        step.summary = said
    return version
