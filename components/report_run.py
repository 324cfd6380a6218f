"""The last step of every run, whether it succeeded or not: tell how it ended."""

from kfp.dsl import Markdown, Output, PipelineTaskFinalStatus

from components.definition import component


@component
def report_run(status: PipelineTaskFinalStatus, report: Output[Markdown]) -> str:
    """Return KFP's word for how the run ended, and tell the rest to people.

    Args:
        status: What KFP knows of its end.

    Outputs: ``report`` says what each step did, and why the run failed if it did.
    """
    from pathlib import Path

    from cia.durable_files import replace_text
    from cia.settings import load_settings
    from components.gpu_loan import end_loan
    from components.run_report import post, report_of
    from components.step import Step

    with Step("report_run") as step:
        settings = load_settings()
        told = report_of(settings, status.state, status.error_message or "")
        replace_text(Path(report.path), told.markdown)
        step.summary = "; ".join(filter(None, (f"{told.state.lower()}: {told.sentence}", post(settings, told))))
        end_loan(settings)  # last, for it may fail: the end is told by then
    return str(told.state)
