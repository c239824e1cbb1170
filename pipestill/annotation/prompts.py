"""Prompts with named gaps."""

import re
from collections.abc import Mapping

from pipestill.errors import UserError

_GAP = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def fill(template: str, values: Mapping[str, object]) -> str:
    """``template`` with ``{name}`` replaced by the text of that name, ``{{`` and ``}}`` by braces.

    Raises:
        UserError: there is no text of a name; the sentence lists those that there are.
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
