"""Step 1: pin each source to a commit and keep its files."""

from typing import List  # noqa: UP035 - of plain `list` KFP does not know the items' type

from kfp.dsl import Dataset, Markdown, Output

from components.definition import component


@component
def fetch_corpus(sources: list, corpus: Output[Dataset], summary: Output[Markdown]) -> List[dict]:  # noqa: UP006
    """Fetch every source and return the repositories as ``[{"name", "commit", "source"}]``.

    Args:
        sources: Folders, git URLs with @REV, pypi:NAME==VERSION, or sdists.

    Outputs: ``corpus`` is a folder with a manifest a repository: each file with its SHA-256. ``summary`` is a table.
    """
    from pathlib import Path

    from cia.corpus import Corpus
    from cia.durable_files import replace_text
    from cia.settings import load_settings
    from components.step import Step
    from components.tables import manifest_json, markdown_table

    with Step("fetch_corpus") as step:
        store = Corpus(load_settings())
        snapshots = [store.add(source, progress=step.progress) for source in sources]
        for snapshot in snapshots:
            replace_text(Path(corpus.path) / f"{snapshot.repo}.json", manifest_json(snapshot))
        rows = [
            (snapshot.repo, snapshot.commit[:12], len(snapshot.files), sum(snapshot.skipped.values()), snapshot.source)
            for snapshot in snapshots
        ]
        replace_text(Path(summary.path), markdown_table(("repository", "commit", "files", "skipped", "source"), rows))
        repos = [{"name": s.repo, "commit": s.commit, "source": s.source} for s in snapshots]
        corpus.metadata.update({s.repo: s.commit for s in snapshots})
        step.summary = ", ".join(f"{s.repo} at {s.commit[:8]} ({len(s.files)} files)" for s in snapshots)
    return repos
