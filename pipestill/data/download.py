"""Fetching files: resumed by range after an interruption, retried, checked, and never half-written."""

import hashlib
import random
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from pipestill.errors import UserError
from pipestill.files import sha256
from pipestill.progress import Progress

CHUNK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
ATTEMPTS = 5
TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}


def fetch(url: str, path: Path, *, digest: str | None = None, wait: Callable[[float], None] = time.sleep) -> None:
    """Fetch ``url`` (http://, https:// or file://) to ``path``.

    Data arrive in a ``.part`` file of this address, which a later attempt or process continues; ``path`` appears when
    they are complete.

    Args:
        digest: sha256 that the file must have.
        wait: sleeps between attempts, in seconds.

    Raises:
        UserError: the address cannot be fetched, or the file has another digest.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")
    if not re.match(r"(https?|file)://", url):
        raise UserError(f"{url}: only http://, https:// and file:// addresses can be fetched")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _continue(url, part)
            break
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", error)
            permanent = isinstance(error, urllib.error.HTTPError) and error.code not in TRANSIENT_STATUS
            if permanent or url.startswith("file://"):
                raise UserError(f"{url} cannot be fetched: {error}; check the address") from None
            if attempt == ATTEMPTS:
                raise UserError(f"{url} cannot be fetched after {ATTEMPTS} attempts: {reason}") from None
            wait(min(30.0, 2.0**attempt) * random.uniform(0.5, 1.0))
    if digest and sha256(part) != digest:
        found = sha256(part)
        part.unlink()
        raise UserError(f"{url} has sha256 {found}, not {digest}: the file changed, or the digest is of another one")
    part.replace(path)


def _continue(url: str, part: Path) -> None:
    """One attempt: ask for what ``part`` lacks, and append it."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
            return  # everything had arrived already
        if error.code == 416:
            part.unlink()
        raise
    with response:
        resumed = getattr(response, "status", None) == 206
        length = int(response.headers.get("Content-Length") or 0)
        have = have if resumed else 0
        progress = Progress(have + length, "bytes", f"fetching {url}", done=have)
        with open(part, "ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                have += len(chunk)
                if length:
                    progress.update(len(chunk))
        if length and have < progress.total:
            raise OSError(f"connection closed after {have} of {progress.total} bytes")


def copy(source: Path, path: Path, *, digest: str | None = None) -> None:
    """Copy a local file, with the same checks as :func:`fetch`."""
    source = Path(source)
    if not source.is_file():
        raise UserError(f"{source} does not exist: put the data there, or name another file")
    if digest and sha256(source) != digest:
        raise UserError(f"{source} has sha256 {sha256(source)}, not {digest}")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
