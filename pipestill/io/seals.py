"""Seals: digests of what a job wrote, beside it, by which every job that reads it knows whether it is whole.

The seal of ``predictions`` is ``.predictions.sha256``; ``sha256sum --check`` reads it where it lies. It lists a file,
or every file of a directory; of a directory that lists its files itself (``SHA256SUMS``) only that list. Names are
relative, so results can be moved. What has no seal, from an earlier version or by hand, is taken as it is.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.checksums import SHA256SUMS, read_sha256sums, sum_line
from pipestill.io.files import sha256, write_text

PREFIX, SUFFIX = ".", ".sha256"
WEIGHTS = ".safetensors"  # checked by whoever loads them: a job that does not should not read gigabytes


def seal_of(path: Path) -> Path:
    """The seal of ``path``."""
    return path.with_name(f"{PREFIX}{path.name}{SUFFIX}")


def sealed_by(seal: Path) -> Path:
    """What ``seal`` is the seal of."""
    return seal.with_name(seal.name.removeprefix(PREFIX).removesuffix(SUFFIX))


def seals(root: Path) -> list[Path]:
    """All seals below ``root``."""
    return sorted(Path(root).rglob(f"{PREFIX}*{SUFFIX}"))


def seal(path: Path) -> None:
    """Seal what lies at ``path``."""
    names = (file.relative_to(path.parent).as_posix() for file in _listed(path))
    write_text(seal_of(path), "".join(sum_line(name, sha256(path.parent / name)) for name in names))


def publish(made: Path, path: Path) -> None:
    """Give a finished file its name; its seal comes first, so that a kill leaves no file without one."""
    write_text(seal_of(path), sum_line(path.name, sha256(made)))
    os.replace(made, path)


def discard(path: Path) -> None:
    """Remove a file with its seal."""
    path.unlink(missing_ok=True)
    seal_of(path).unlink(missing_ok=True)


def faults(path: Path, *, weights: bool = True) -> Iterator[str]:
    """Sentences about how ``path`` differs from its seal; none where it has none.

    Args:
        path: file or directory.
        weights: check the weights of models too.
    """
    if not seal_of(path).is_file():
        return
    if not path.exists():
        yield f"{path} is missing"
        return
    listing, own = path / SHA256SUMS, _listed(path)
    try:
        yield from _differences(path.parent, read_sha256sums(seal_of(path)), _names(own, path.parent), weights=True)
        if listing.is_file():
            yield from _differences(path, read_sha256sums(listing), _names(_files(path), path), weights)
    except UserError as error:  # a list that is damaged itself
        yield str(error)


def verify(path: Path) -> bool:
    """Refuse a file or directory that is not as it was made; whether it has a seal that says so.

    A file of a sealed directory is checked by that seal.

    Raises:
        UserError: with the command that makes it again.
    """
    whole = next((each for each in (path, *path.parents) if each.name and seal_of(each).is_file()), None)
    if whole is None:
        return False
    for fault in faults(whole, weights=False):
        raise UserError(f"{fault}; {again(whole)}")
    return True


def again(path: Path) -> str:
    """The way out of damage at ``path``, in words."""
    quoted, own = shlex.quote(str(path)), shlex.quote(str(seal_of(path)))
    keep = f" (or, to keep a change that is meant: rm {own})" if seal_of(path).is_file() else ""
    return f"to make it again: rm -r {quoted}, then the same snakemake command{keep}"


@contextmanager
def made_again(path: Path) -> Iterator[None]:
    """Inside, a mistake in ``path``, which a job made, is told with the way out."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"{error}; {again(path)}") from None


def _differences(root: Path, expected: Mapping[str, str], found: set[str], weights: bool) -> Iterator[str]:
    for name, digest in expected.items():
        file = root / name
        if not file.is_file():
            yield f"{file} is {'a directory' if file.is_dir() else 'missing'}"
        elif (weights or file.suffix != WEIGHTS) and sha256(file) != digest:
            yield f"{file} is not as it was made (its sha256 differs)"
    for name in sorted(found - set(expected)):
        yield f"{root / name} was not there when the others were made"


def _listed(path: Path) -> list[Path]:
    """Files that the seal of ``path`` lists."""
    listing = path / SHA256SUMS
    return [listing] if listing.is_file() else _files(path)


def _files(path: Path) -> list[Path]:
    """``path``, or the files below it but for hidden ones and the list of them."""
    if not path.is_dir():
        return [path]
    return sorted(
        file for file in path.rglob("*") if file.is_file() and file.name != SHA256SUMS and not file.name.startswith(".")
    )


def _names(files: Iterable[Path], root: Path) -> set[str]:
    return {file.relative_to(root).as_posix() for file in files}
