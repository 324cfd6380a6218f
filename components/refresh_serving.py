"""Step 7, only after a promotion: make sure that what serves has loaded the adapter in Production."""

from kfp.dsl import Markdown, Output

from components.definition import component


@component
def refresh_serving(version: str, summary: Output[Markdown]) -> str:
    """Load the promoted version, whose files the promotion checked, into a running vLLM, and return its served name.

    Args:
        version: What ``register_model`` returned.

    Outputs: ``summary`` says what is served from now on.
    """
    from pathlib import Path

    from components.promotion import refresh
    from components.step import Step

    with Step("refresh_serving") as step:
        name, said = refresh(version)
        Path(summary.path).write_text(f"# {said}\n", encoding="utf-8")
        step.summary = said
    return name
