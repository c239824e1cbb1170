"""Nothing in a configuration is secret: it is passed to jobs, recorded and shown."""

from collections.abc import Iterator
from typing import Any

from pipestill.errors import UserError
from pipestill.text.credentials import has_key, has_login


def refuse_secrets(config: Any) -> None:
    """Refuse keys, and addresses that log in; the message names the place and not the value.

    Raises:
        UserError: one is found.
    """
    for path, text in _texts(config):
        if has_key(text):
            raise UserError(
                f"config: {path}: this looks like a secret key; remove it here, and put it into the environment"
            )
        if "://" in text.split(maxsplit=1)[0] and has_login(text):
            raise UserError(
                f"config: {path}: this address holds a user name, a password or a key, which would be recorded; remove "
                "them, or fetch the file yourself and name it by `path`"
            )


def _texts(value: Any, path: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, str]]:
    """Each text of the configuration, with its place; a part that holds itself is passed through once."""
    if isinstance(value, str):
        if value.strip():
            yield path, value
        return
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in parts if id(value) not in above else ():
        yield from _texts(item, f"{path}.{key}" if path else str(key), (*above, id(value)))
