"""Fetching files: resumed by range after an interruption, retried, checked, and never half-written."""

import hashlib
import http.client
import random
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

from pipestill.errors import UserError
from pipestill.io.files import sha256
from pipestill.job.progress import Progress
from pipestill.text.credentials import public

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
        raise UserError(f"{public(url)}: only http://, https:// and file:// addresses can be fetched")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _continue(url, part)
            break
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            refused = isinstance(error, urllib.error.HTTPError) and error.code not in TRANSIENT_STATUS
            if refused or isinstance(error, http.client.InvalidURL) or url.startswith("file://"):
                why = str(error).replace(url.removeprefix(public(url)), "")
                raise UserError(f"{public(url)} cannot be fetched: {why}; check the address") from None
            if attempt == ATTEMPTS:
                raise UserError(f"{public(url)} cannot be fetched after {ATTEMPTS} attempts: {reason}") from None
            wait(min(30.0, 2.0**attempt) * random.uniform(0.5, 1.0))
    if digest and sha256(part) != digest:
        found = sha256(part)
        part.unlink()
        _validator(part).unlink(missing_ok=True)
        raise UserError(
            f"{public(url)} has sha256 {found}, not {digest}: the file changed, or the digest is of another one"
        )
    part.replace(path)
    _validator(part).unlink(missing_ok=True)


def _continue(url: str, part: Path) -> None:
    """One attempt: ask for what ``part`` lacks, and append it; a file that changed in between starts over."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and _validator(part).exists():
        headers["If-Range"] = _validator(part).read_text(encoding="utf-8")
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return  # everything had arrived already
        part.unlink()
        raise OSError(f"{have} bytes had arrived, but the file is shorter now") from None
    with response:
        first, total = _extent(response)
        if first not in (0, have):
            part.unlink()
            raise OSError(f"the server does not go on at byte {have}")
        progress = Progress(total, "bytes", f"fetching {public(url)}", done=first)
        with open(part, "ab" if first else "wb") as file:
            if not first:
                _remember(part, response.headers)
            while chunk := response.read(CHUNK):
                file.write(chunk)
                if total:
                    progress.update(len(chunk))
        have = part.stat().st_size
        if have < total:
            raise OSError(f"connection closed after {have} of {total} bytes")


def _extent(response: Any) -> tuple[int | None, int]:
    """First byte of a response (None: not said) and the bytes of the whole file (0: not known)."""
    if getattr(response, "status", None) != 206:
        return 0, int(response.headers.get("Content-Length") or 0)
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range") or "")
    if not match:
        return None, 0
    return int(match[1]), int(match[2]) + 1 if match[3] == "*" else int(match[3])


def _validator(part: Path) -> Path:
    """The file that keeps by what the server can tell whether its file is still the one of ``part``."""
    return part.with_suffix(".validator")


def _remember(part: Path, headers: Message) -> None:
    etag = headers.get("ETag") or ""
    value = etag if etag.startswith('"') else headers.get("Last-Modified")  # If-Range takes no weak ETag
    if value:
        _validator(part).write_text(value, encoding="utf-8")
    else:
        _validator(part).unlink(missing_ok=True)


def copy(source: Path, path: Path, *, digest: str | None = None) -> None:
    """Copy a local file, with the same checks as :func:`fetch`."""
    source = Path(source)
    if not source.is_file():
        raise UserError(f"{source} does not exist: put the data there, or name another file")
    if digest and sha256(source) != digest:
        raise UserError(f"{source} has sha256 {sha256(source)}, not {digest}")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
