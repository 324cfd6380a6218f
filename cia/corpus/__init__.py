"""Repositories at pinned commits: fetched, filtered, and kept as content-addressed files.

``Corpus(settings).add("/path/to/repo@v1")`` returns a ``Snapshot``; everything that is indexed or cited is read from one.
"""

from cia.corpus.corpus import Corpus
from cia.corpus.snapshot import Snapshot, SourceFile
from cia.corpus.text import decode, split_lines

__all__ = ["Corpus", "Snapshot", "SourceFile", "decode", "split_lines"]
