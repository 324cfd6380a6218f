"""Progress bars and notices of the Hugging Face libraries, off: a run reports by itself, a line at a time."""

from __future__ import annotations

import logging


def quiet_libraries() -> None:
    """Leave only the errors of datasets, transformers and bitsandbytes."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    for name in ("bitsandbytes", "peft", "trl"):
        logging.getLogger(name).setLevel(logging.ERROR)
