"""The engine of the embedded index: qdrant-client's local mode next to qdrant-edge-py, with the same points.

    python -m benchmarks.vector_store                        # 10,000 and 200,000 points
    python -m benchmarks.vector_store 50000 --seconds 600    # this size, up to ten minutes a store

Points are random but shaped like those of code: dense unit vectors of 256 numbers around a few hundred centres, about 80 terms
whose frequencies follow Zipf's law, and indexed payload. ``edge: exact`` scans all vectors, as this project does; ``edge: graph``
builds Qdrant's HNSW. A hybrid query fuses the 50 nearest of each vector; a filtered one does so among a tenth of the points.
Recall is of the ten nearest dense vectors. Each store runs in a process of its own; one that takes longer than ``--seconds``
says so. Peak memory includes mapped files and, alike for all, the points themselves.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from qdrant_client import QdrantClient, models

STORES = ("edge: exact", "edge: graph", "local mode")
DIMENSIONS, CENTRES, TERMS, VOCABULARY, LANGUAGES = 256, 300, 80, 50_000, 10
QUERIES, QUERY_TERMS, BATCH = 100, 6, 1000
Terms = models.SparseVector
Ask = Callable[[list[float], Terms | None, bool], list[Any]]
"""Given a dense vector, terms (None: only the dense vector counts) and whether to filter, returns the ten best points."""


class Points:
    """``count`` points, and as many questions near some of them as are asked."""

    def __init__(self, count: int) -> None:
        chance = np.random.default_rng(7)
        centres = chance.normal(size=(CENTRES, DIMENSIONS))
        dense = centres[chance.integers(CENTRES, size=count)] + 0.7 * chance.normal(size=(count, DIMENSIONS))
        self.dense = (dense / np.linalg.norm(dense, axis=1, keepdims=True)).astype(np.float32)
        near = self.dense[chance.integers(count, size=QUERIES)] + 0.04 * chance.normal(size=(QUERIES, DIMENSIONS))
        self.questions = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
        self._terms = chance.zipf(1.3, size=(count, TERMS)) % VOCABULARY
        asked = chance.zipf(1.3, size=(QUERIES, QUERY_TERMS)) % VOCABULARY
        self.asked = [Terms(indices=(found := np.unique(ids).tolist()), values=[1.0] * len(found)) for ids in asked]
        self.batches = [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]

    def terms(self, number: int) -> Terms:
        """The sparse vector of a point."""
        ids, counts = np.unique(self._terms[number], return_counts=True)
        return Terms(indices=ids.tolist(), values=(counts * 2.2 / (counts + 1.2)).tolist())

    def payload(self, number: int) -> dict[str, str]:
        """What filters look at."""
        return {"language": f"language{number % LANGUAGES}", "file_path": f"package/module{number // 20}.py"}


def edge_store(points: Points, folder: str, graph: bool) -> Ask:
    """Fill a shard of qdrant-edge-py and return how it is asked."""
    optimizers = edge.EdgeOptimizersConfig(indexing_threshold=1000 if graph else 2**40)
    dense = {"dense": edge.EdgeVectorParams(size=DIMENSIONS, distance=edge.Distance.Dot)}
    sparse = {"sparse": edge.EdgeSparseVectorParams()}
    config = edge.EdgeConfig(dense, sparse_vectors=sparse, optimizers=optimizers, wal_enabled=False)
    shard = edge.EdgeShard.create(folder, config)
    for field in points.payload(0):
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    for batch in points.batches:
        vectors = [{"dense": points.dense[n].tolist(), "sparse": _edge_terms(points.terms(n))} for n in batch]
        rows = [edge.Point(n, vector, points.payload(n)) for n, vector in zip(batch, vectors, strict=True)]
        shard.update(edge.UpdateOperation.upsert_points(rows))
    shard.optimize()
    shard.flush()
    only = edge.Filter(must=[edge.FieldCondition("language", match=edge.MatchValue("language3"))])
    params = edge.SearchParams(exact=not graph)

    def ask(vector: list[float], terms: Terms | None, filtered: bool) -> list[Any]:
        close = edge.Query.Nearest(vector, using="dense")
        if terms is None:
            return shard.query(edge.QueryRequest(10, query=close, params=params))
        queries = close, edge.Query.Nearest(_edge_terms(terms), using="sparse")
        parts = [edge.Prefetch(50, query, params=params, filter=only if filtered else None) for query in queries]
        return shard.query(edge.QueryRequest(10, prefetches=parts, query=edge.Fusion.Rrf(2), with_payload=True))

    return ask


def local_store(points: Points, folder: str) -> Ask:
    """Fill a collection of qdrant-client's local mode and return how it is asked. It has no payload indexes."""
    client, name = QdrantClient(path=folder), "points"
    dense = {"dense": models.VectorParams(size=DIMENSIONS, distance=models.Distance.DOT)}
    client.create_collection(name, dense, sparse_vectors_config={"sparse": models.SparseVectorParams()})
    for batch in points.batches:
        vectors: list[Any] = [{"dense": points.dense[n].tolist(), "sparse": points.terms(n)} for n in batch]
        rows = [models.PointStruct(id=n, vector=v, payload=points.payload(n)) for n, v in zip(batch, vectors, strict=True)]
        client.upsert(name, rows)
    only = models.Filter(must=[models.FieldCondition(key="language", match=models.MatchValue(value="language3"))])

    def ask(vector: list[float], terms: Terms | None, filtered: bool) -> list[Any]:
        if terms is None:
            return client.query_points(name, vector, using="dense", limit=10).points
        queries: list[tuple[Any, str]] = [(vector, "dense"), (terms, "sparse")]
        parts = [models.Prefetch(query=q, using=using, limit=50, filter=only if filtered else None) for q, using in queries]
        return client.query_points(name, models.FusionQuery(fusion=models.Fusion.RRF), prefetch=parts, limit=10).points

    return ask


def measured(store: str, count: int) -> list[float]:
    """Fill and ask one store, and return its row."""
    points = Points(count)
    with tempfile.TemporaryDirectory(prefix="vector-store-") as folder:
        started = time.perf_counter()
        ask = local_store(points, folder) if store == "local mode" else edge_store(points, folder, store == "edge: graph")
        row = [time.perf_counter() - started]
        for filtered in (False, True):
            times = []
            for n in range(QUERIES):
                started = time.perf_counter()
                ask(points.questions[n].tolist(), points.asked[n], filtered)
                times.append(1000 * (time.perf_counter() - started))
            row += np.percentile(times, (50, 95)).tolist()
        right = np.argsort(-(points.questions @ points.dense.T), axis=1)[:, :10].tolist()
        peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
        found = [len({int(p.id) for p in ask(points.questions[n].tolist(), None, False)} & {*right[n]}) for n in range(QUERIES)]
    return [*row, peak, sum(found) / QUERIES / 10]


def main() -> None:
    """Measure each store at each size and print the table."""
    parser = argparse.ArgumentParser(description="Embedded vector stores, with the same points.")
    parser.add_argument("counts", nargs="*", type=int, default=(10_000, 200_000), help="points (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=300.0, help="longest time for a store (default: %(default)s)")
    parser.add_argument("--store", choices=STORES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.store:
        print(json.dumps(measured(options.store, options.counts[0])))
        return
    columns = ("insert s", "hybrid p50", "p95 ms", "filtered p50", "p95 ms", "peak MB", "recall")
    print(f"{'points':>7} {'store':12}", *(f"{column:>12}" for column in columns))
    for count in options.counts:
        for store in STORES:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.vector_store", str(count), "--store", store]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=options.seconds, check=True)
                row = "".join(f"{value:13.2f}" for value in json.loads(done.stdout))
            except subprocess.TimeoutExpired:
                row = f"   not done in {options.seconds:.0f} s"
            print(f"{count:7} {store:12}{row}", flush=True)


def _edge_terms(terms: Terms) -> edge.SparseVector:
    return edge.SparseVector(terms.indices, terms.values)


if __name__ == "__main__":
    main()
