"""Texts with named gaps: ``{name}`` is one, ``{{`` and ``}}`` are braces."""

import re
from collections.abc import Mapping

from pipestill.errors import UserError

_GAP = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def gaps(template: str) -> list[str]:
    """The names in ``template``, in order."""
    return [gap[1] for gap in _GAP.finditer(template) if gap[1] is not None]


def fill(template: str, values: Mapping[str, object]) -> str:
    """``template`` with ``{name}`` replaced by the text of that name, ``{{`` and ``}}`` by braces.

    Raises:
        UserError: a gap has no text; the message lists the names that have one.
    """

    def replace(gap: re.Match[str]) -> str:
        name = gap[1]
        if name is None:
            return gap[0][0]
        if not isinstance(values.get(name), str):
            known = ", ".join(key for key, value in values.items() if isinstance(value, str))
            raise UserError(f"a prompt has {{{name}}}, but there is no text of this name; there are: {known}")
        return values[name]

    return _GAP.sub(replace, template)
