"""Step 2: make every repository that was prepared searchable, all in one switch."""

from kfp.dsl import Markdown, Metrics, Output

from components.definition import component


@component
def index_code(prepared: list, metrics: Output[Metrics], summary: Output[Markdown]) -> str:
    """Switch to what was prepared and return the fingerprint of what a search now sees.

    Args:
        prepared: What ``prepare_index`` returned for each repository.

    Outputs: ``metrics`` counts files and chunks; ``summary`` shows, for a query a repository, what is found first.
    """
    from pathlib import Path

    from cia.durable_files import replace_text
    from cia.retrieval import Indexer, Retriever
    from cia.settings import load_settings
    from components.step import Step
    from components.tables import markdown_table, record_metrics

    with Step("index_code") as step:
        settings = load_settings()
        Indexer(settings).switch({each["name"]: each["state"] for each in prepared})
        names = [each["name"] for each in prepared]
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
        # KFP hands the numbers of collected outputs on as floats.
        counts = {count: sum(int(each[count]) for each in prepared) for count in ("files", "chunks")}
        record_metrics(metrics, counts)
        step.summary = ", ".join(f"{each['name']}: {int(each['chunks'])} chunks" for each in prepared)
    return fingerprint
