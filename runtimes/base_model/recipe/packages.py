"""The packages that the base model learns from, and the check that each may be learnt from.

``packages.txt`` pins them. Those that the model is looked at with while it trains, and those that it is scored on in the end, are
others, and never train it.
"""

from __future__ import annotations

import re
import tarfile
from email.parser import HeaderParser
from pathlib import Path

from cia.corpus import Corpus, Snapshot
from cia.corpus.sdist import download
from cia.errors import InputError
from cia.progress import Progress, silent
from cia.settings import Settings

PACKAGES = Path(__file__).parent / "packages.txt"

DEVELOPMENT = ("attrs==26.1.0", "flask==3.1.3", "requests==2.34.2", "rich==15.0.0", "marshmallow==4.4.0", "starlette==1.10.0")
"""What the recipe was tuned with."""

TEST = ("celery==5.7.0", "click==8.5.1", "httpx==0.28.1", "jinja2==3.1.6", "werkzeug==3.1.9")
"""What the figures in the model card are from."""

PERMISSIVE = re.compile(
    r"(?:MIT|BSD|ISC|Apache|Python Software Foundation|PSF|HPND|Freely Distributable|Public Domain|Unlicense|0BSD|Zlib)\b", re.I
)
COPYLEFT = re.compile(r"\b(?:[AL]?GPL|MPL|EPL|EUPL|CDDL|GNU|Mozilla|Eclipse)", re.I)


def training_packages() -> list[str]:
    """Return the pins (``name==version``) of ``packages.txt``."""
    return PACKAGES.read_text(encoding="utf-8").split()


def bring(pinned: str, settings: Settings, progress: Progress = silent) -> Snapshot:
    """Return the snapshot of a package's sdist, downloaded unless the corpus has it."""
    return Corpus(settings).add(f"pypi:{pinned}", progress=progress)


def licence_of(pinned: str, settings: Settings, progress: Progress = silent) -> str:
    """Return the licence that the sdist's own PKG-INFO names. Raises InputError when it is none that allows everything.

    The fields are those of the core metadata specification: License-Expression, else the classifiers, else License.
    """
    name, version = pinned.split("==")
    archive = download(name, version, settings.home / "corpus" / ".sdists", progress)
    metadata = HeaderParser().parsestr(_pkg_info(archive))
    classifiers = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")]
    named = metadata.get("License-Expression") or "; ".join(classifiers) or metadata.get("License", "").strip().partition("\n")[0]
    if not is_permissive(named):
        raise InputError(f"{pinned} is under {named or 'no named licence'!r}; leave it out of {PACKAGES.name}")
    return named.strip()


def is_permissive(named: str) -> bool:
    """Whether a licence, as metadata name it, allows everything; of alternatives (``OR``) one is enough."""
    alternatives = re.split(r"\bOR\b", named)
    return any(PERMISSIVE.search(one) is not None and COPYLEFT.search(one) is None for one in alternatives)


def _pkg_info(archive: Path) -> str:
    with tarfile.open(archive) as sdist:
        for member in sdist:
            if re.fullmatch(r"[^/]+/PKG-INFO", member.name):
                file = sdist.extractfile(member)
                return file.read().decode("utf-8", "replace") if file else ""
    return ""
