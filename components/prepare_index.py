"""Step 2a, once a repository: cut it into chunks, embed them and store them where no search sees them yet."""

from components.definition import component


@component
def prepare_index(repo: dict) -> dict:
    """Index the repository at its pinned commit and return its state, which ``index_code`` makes visible.

    Args:
        repo: One of those that ``fetch_corpus`` returned.
    """
    from cia.corpus import Corpus
    from cia.retrieval import Indexer
    from cia.settings import load_settings
    from components.step import Step

    with Step("prepare_index") as step:
        settings = load_settings()
        snapshot = Corpus(settings).get(repo["name"], repo["commit"])
        prepared = Indexer(settings).prepare(snapshot, step.progress)
        report = prepared.report
        step.summary = f"{report.name}: {report.chunks} chunks, {report.added + report.updated} of {report.files} files new"
    return {"name": report.name, "state": prepared.state, "files": report.files, "chunks": report.chunks}
