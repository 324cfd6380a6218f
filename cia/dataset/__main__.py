"""``python -m cia.dataset --out data/dataset [REPO...]``: build the data set from what is indexed, and print its report."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cia.corpus import Corpus
from cia.dataset import build
from cia.errors import CiaError
from cia.settings import load_settings


def main() -> int:
    """Build the data set; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cia.dataset", description="Make question-answer pairs from indexed code.")
    parser.add_argument("repos", nargs="*", metavar="REPO", help="indexed repositories (default: all)")
    parser.add_argument("--out", type=Path, default=Path("data/dataset"), help="folder to write, replaced as a whole")
    options = parser.parse_args()
    try:
        settings = load_settings()
        report = build(settings, Corpus(settings), options.repos or None, options.out)
    except CiaError as error:
        print(f"cia.dataset: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(report.as_json(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
