"""Run the notebooks in their order, in one new CIA_HOME, and keep what they print: ``python -m notebooks.execute``."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cia.durable_files import replace_text

if TYPE_CHECKING:
    from nbformat import NotebookNode

NOTEBOOKS = tuple(sorted(Path(__file__).parent.glob("*.ipynb")))
"""The third goes on with what the second registered."""

LONGEST_CELL_SECONDS = 1200


def execute(path: Path, home: Path) -> NotebookNode:
    """Return the notebook at ``path`` with the outputs of a run on ``home`` with default settings.

    Raises nbclient's CellExecutionError for a cell that raises, with the cell and the error.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("CIA_", "LANGFUSE_", "MLFLOW_"))}
    # Two threads that a busy machine keeps apart wait for each other many times longer than one works alone.
    ours |= {"CIA_HOME": str(home), "OMP_NUM_THREADS": "1"}
    client = NotebookClient(
        notebook,
        timeout=LONGEST_CELL_SECONDS,
        resources={"metadata": {"path": str(home.parent)}},
        record_timing=False,
        store_widget_state=False,
    )
    client.execute(env=ours)
    del notebook.metadata["language_info"]  # of this machine's Python
    return notebook


def main() -> None:
    """Run them all and write each back when it ran to its end."""
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        for path in NOTEBOOKS:
            replace_text(path, nbformat.writes(execute(path, Path(folder) / "home")) + "\n")
            print(path.name, flush=True)


if __name__ == "__main__":
    main()
