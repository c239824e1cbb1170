"""Names of files, addresses and repositories, refused where none can have them."""

import os
import re
from pathlib import PurePath
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from pipestill.settings.section import CONTROL

SCHEMES = ("http", "https", "file")
LONGEST_PART = 255  # bytes of a file's name
LONGEST_PATH = 4095
_REPOSITORY = re.compile(r"(\w[\w.-]*/)?\w[\w.-]*", re.ASCII)  # as the hub has them


def _path(text: str) -> str:
    if not text.strip() or CONTROL.search(text):
        raise ValueError("no file has such a name; give a path")
    bytes_of = [len(os.fsencode(part)) for part in (text, *PurePath(text).parts)]
    if bytes_of[0] > LONGEST_PATH or max(bytes_of[1:], default=0) > LONGEST_PART:
        raise ValueError("this is longer than a path can be; name a file or a directory")
    return text


def split_address(text: str) -> SplitResult:
    """The parts of an address.

    Raises:
        ValueError: it is none.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"this is no address ({error})") from None
    if re.search(r"\s", text) or CONTROL.search(text):
        raise ValueError("an address holds no spaces; write %20 for each")
    return parts


def _address(text: str) -> str:
    parts = split_address(text)
    if parts.scheme not in SCHEMES:
        raise ValueError("an address begins with http://, https:// or file://; fetch others yourself, and give a path")
    if not (parts.path if parts.scheme == "file" else parts.hostname):
        raise ValueError("this is no address; write one such as https://example.org/data.jsonl")
    return text


def _repository(text: str) -> str:
    if (
        not _REPOSITORY.fullmatch(text)
        or len(text) > 96
        or ".." in text
        or "--" in text
        or text.endswith((".", "-", ".git"))
    ):
        raise ValueError("no repository of the hub has such a name; write one such as `Qwen/Qwen2.5-0.5B-Instruct`")
    return text


LocalPath = Annotated[str, AfterValidator(_path)]
Address = Annotated[str, AfterValidator(_address)]
Repository = Annotated[str, AfterValidator(_repository)]
