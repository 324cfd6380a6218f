"""Source distributions: found on the package index, downloaded once, and read without running anything of theirs.

pip builds a package to learn its metadata, which runs the package's code; so the archive is fetched through the index's simple
API (https://packaging.python.org/en/latest/specifications/simple-repository-api/) and read as a stream: nothing is ever
unpacked to disk, so no name in an archive can reach outside.
"""

from __future__ import annotations

import gzip
import os
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from cia.corpus import rules
from cia.corpus.intake import Intake
from cia.durable_files import STAGING_MARK, disk_errors, exclusive, remove_unfinished
from cia.errors import SourceError
from cia.progress import Progress

if TYPE_CHECKING:
    from pypi_simple import DistributionPackage, PyPISimple

MAX_ARCHIVE_BYTES = 256 * 2**20
MAX_UNPACKED_BYTES = 512 * 2**20
"""Far above any source distribution of note; below what a decompression bomb needs to hurt."""
MAX_MEMBERS = 200_000

TIMEOUT_SECONDS = (10.0, 30.0)
"""To connect, and between two pieces of an answer."""
RETRIES = 3
LOCK_WAIT_SECONDS = 600.0


def download(project: str, version: str, directory: Path, progress: Progress) -> Path:
    """Return the sdist of ``project`` at ``version`` in ``directory``; only the first call needs the network.

    The index is ``PIP_INDEX_URL``, else the public one; certificates are those of ``PIP_CERT`` or ``REQUESTS_CA_BUNDLE``.
    Raises SourceError when there is no such release, no sdist of it, or no network.
    """
    archive = directory / f"{project}-{version}.tar.gz"
    if archive.exists():
        return archive
    waiting = f"downloading {project}=={version}"
    with (
        disk_errors(directory),
        exclusive(directory / ".lock", waiting, LOCK_WAIT_SECONDS, on_wait=lambda message: progress(message, 0, 0)),
    ):
        remove_unfinished(directory)
        if not archive.exists():
            _download(project, version, archive, progress)
    return archive


def _download(project: str, version: str, archive: Path, progress: Progress) -> None:
    import requests
    from pypi_simple import DigestMismatchError, NoDigestsError, NoSuchProjectError

    wanted = f"{project}=={version}"
    try:
        with _client() as client:
            package = _find(client, project, version)
            _fetch(client, package, archive, progress)
    except NoSuchProjectError:
        raise SourceError(f"the package index has no project {project!r}; check the name") from None
    except (NoDigestsError, DigestMismatchError):
        raise SourceError(f"the sdist of {wanted} does not match the index's digest; try again, or use another index") from None
    except (requests.RequestException, ValueError) as error:
        raise SourceError(
            f"the sdist of {wanted} could not be downloaded ({type(error).__name__});"
            " check the network, PIP_INDEX_URL and REQUESTS_CA_BUNDLE, or give a downloaded .tar.gz"
        ) from None


def unpack(archive: Path, shown: str, intake: Intake, progress: Progress) -> None:
    """Offer every file of ``archive`` to ``intake``, without the one top folder that an sdist has.

    Raises SourceError for anything an sdist must not hold: paths or links that leave it, devices, a second top folder, a bomb.
    """
    try:
        compressed = archive.open("rb")
    except OSError as error:
        raise SourceError(f"{shown} cannot be read ({error.strerror}); check the file and its rights") from None
    try:
        with (
            compressed,
            gzip.open(compressed) as unpacked,
            tarfile.open(fileobj=_Bounded(unpacked, shown), mode="r|") as members,  # type: ignore[call-overload]
        ):
            _take_members(members, shown, intake, progress)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise SourceError(f"{shown} is not a readable .tar.gz ({error}); download it again") from None


def _take_members(members: tarfile.TarFile, shown: str, intake: Intake, progress: Progress) -> None:
    top: str | None = None
    for number, member in enumerate(members, start=1):
        if number > MAX_MEMBERS:
            raise SourceError(f"{shown} holds more than {MAX_MEMBERS} entries; it is not an sdist")
        name = member.name.removeprefix("./").rstrip("/")
        if name in ("", "."):
            continue
        rules.check_inside(name, shown)
        first, _, path = name.partition("/")
        top = top or first
        if first != top:
            raise SourceError(f"{shown} has more than one top folder ({top!r}, {first!r}); it is not an sdist")
        if member.issym():
            rules.check_link_inside(path, member.linkname, shown)
            intake.skip(rules.SYMLINK)
        elif member.islnk():
            rules.check_inside(member.linkname, shown)
            intake.skip(rules.HARD_LINK)
        elif member.isfile():
            _take_file(members, member, path, shown, intake)
        elif not member.isdir():
            raise SourceError(f"{shown} holds {name!r}, a device or pipe; it is not an sdist")
        progress("reading files", number, 0)


def _take_file(members: tarfile.TarFile, member: tarfile.TarInfo, path: str, shown: str, intake: Intake) -> None:
    if not path:
        raise SourceError(f"{shown} holds the file {member.name!r} outside its top folder; it is not an sdist")
    if intake.wants(path, member.size):
        file = members.extractfile(member)
        intake.record(path, intake.judge(file.read() if file else b""))


class _Bounded:
    """A stream that ends in an error once it has given more than ``MAX_UNPACKED_BYTES``."""

    def __init__(self, stream: gzip.GzipFile, shown: str) -> None:
        self._stream = stream
        self._left = MAX_UNPACKED_BYTES
        self._shown = shown

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise SourceError(
                f"{self._shown} unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB; index its repository instead"
            )
        return data


def _client() -> PyPISimple:
    import requests
    from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple
    from urllib3.util import Retry

    session = requests.Session()
    if certificates := os.environ.get("PIP_CERT"):
        session.verify = certificates
    # urllib3 waits 0, 1 and 2 seconds before the retries, or as long as the server's Retry-After says.
    retries = Retry(total=RETRIES, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
    for scheme in ("https://", "http://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retries))
    return PyPISimple(os.environ.get("PIP_INDEX_URL") or PYPI_SIMPLE_ENDPOINT, session=session)


def _find(client: PyPISimple, project: str, version: str) -> DistributionPackage:
    from packaging.version import InvalidVersion, Version

    def is_wanted(candidate: str | None) -> bool:
        try:
            return candidate is not None and Version(candidate) == Version(version)
        except InvalidVersion:
            return candidate == version

    page = client.get_project_page(project, timeout=TIMEOUT_SECONDS)
    release = [package for package in page.packages if is_wanted(package.version)]
    if not release:
        raise SourceError(f"the package index has no release {version!r} of {project}; check the version")
    for package in release:
        if package.package_type == "sdist" and package.filename.endswith(".tar.gz"):
            return package
    raise SourceError(f"{project}=={version} is published without a .tar.gz sdist; index its git repository instead")


def _fetch(client: PyPISimple, package: DistributionPackage, archive: Path, progress: Progress) -> None:
    """Download beside ``archive``, verify, then rename: an archive that is there is whole."""
    with tempfile.TemporaryDirectory(prefix=STAGING_MARK, dir=archive.parent) as staging:
        target = Path(staging) / "sdist"
        client.download_package(
            package, target, verify=True, progress=lambda total: _Download(package, total, progress), timeout=TIMEOUT_SECONDS
        )
        os.replace(target, archive)


class _Download:
    """Tells how far a download is, and ends one that is too large. What pypi-simple calls a progress tracker."""

    def __init__(self, package: DistributionPackage, total: int | None, progress: Progress) -> None:
        self._stage = f"downloading {package.project}=={package.version}"
        self._done, self._total, self._progress = 0, total or 0, progress

    def __enter__(self) -> _Download:
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to close."""

    def update(self, increment: int) -> None:
        """Count ``increment`` more bytes."""
        self._done += increment
        if self._done > MAX_ARCHIVE_BYTES:
            raise SourceError(f"{self._stage} ended at {MAX_ARCHIVE_BYTES // 2**20} MiB; index its git repository instead")
        self._progress(self._stage, self._done, self._total)
