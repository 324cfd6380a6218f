"""Step 2: cut the code into definitions and make them searchable."""

from kfp.dsl import Markdown, Metrics, Output

from components.definition import component


@component
def index_code(repos: list, metrics: Output[Metrics], summary: Output[Markdown]) -> str:
    """Index the repositories at their pinned commits and return the fingerprint of what a search now sees.

    Args:
        repos: What ``fetch_corpus`` returned.

    Outputs: ``metrics`` counts files and chunks; ``summary`` shows, for a query a repository, what is found first.
    """
    from pathlib import Path

    from cia.corpus import Corpus
    from cia.durable_files import replace_text
    from cia.retrieval import Indexer, Retriever
    from cia.settings import load_settings
    from components.step import Step
    from components.tables import markdown_table, record_metrics

    with Step("index_code") as step:
        settings = load_settings()
        indexer = Indexer(settings)
        corpus = Corpus(settings)
        reports = [indexer.index_snapshot(corpus.get(repo["name"], repo["commit"]), step.progress) for repo in repos]
        names = [report.name for report in reports]
        retriever = Retriever(settings)
        try:
            fingerprint = retriever.fingerprint(names)
            rows = [
                (name, query, f"{result.file_path}:{result.line_start}-{result.line_end}", result.symbol, f"{result.score:.2f}")
                for name in names
                for query in ("where are errors raised", "public entry point", "how is it configured")
                for result in retriever.search(query, repos=[name], limit=3).results
            ]
        finally:
            retriever.close()
        table = markdown_table(("repository", "query", "place", "symbol", "score"), rows)
        replace_text(Path(summary.path), f"# What a search finds\n\n{table}")
        counts = {"files": sum(report.files for report in reports), "chunks": sum(report.chunks for report in reports)}
        record_metrics(metrics, counts)
        step.summary = ", ".join(f"{report.name}: {report.chunks} chunks, {report.added} new" for report in reports)
    return fingerprint
