"""Templates: from the inputs of a task to the user's message, and back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pipestill.io.normal import clean
from pipestill.text.gaps import fill, gaps


@dataclass(frozen=True)
class Template:
    """Wordings with gaps named after inputs; the first one whose gaps all have text is used, or else the last one.

    Attributes:
        wordings: each with gaps (:mod:`pipestill.text.gaps`); the text behind the last gap is the same in all.
    """

    wordings: tuple[str, ...]

    def __init__(self, *wordings: str):
        object.__setattr__(self, "wordings", tuple(map(clean, wordings)))
        if len({_ending(wording) for wording in wordings}) != 1:
            raise ValueError(f"the wordings of a template end in different ways: {wordings}")

    def fill(self, inputs: Mapping[str, str]) -> str:
        """The message."""
        full = (each for each in self.wordings if all(inputs.get(name) for name in gaps(each)))
        return fill(next(full, self.wordings[-1]), inputs)

    def missing(self, inputs: Mapping[str, str]) -> list[str]:
        """The inputs without text that even the last wording has gaps for; without them there is nothing to ask."""
        return [name for name in gaps(self.wordings[-1]) if not inputs.get(name)]

    @cached_property
    def gaps(self) -> tuple[str, ...]:
        """Names of all gaps."""
        return tuple(dict.fromkeys(name for wording in self.wordings for name in gaps(wording)))

    @cached_property
    def ending(self) -> str:
        """Text behind the last input: a message that is too long keeps it."""
        return _ending(self.wordings[0])

    def split(self, message: str) -> dict[str, str] | None:
        """The inputs that :meth:`fill` made ``message`` of; none where it is not of this template."""
        for pattern in self._patterns:
            if match := pattern.fullmatch(message.strip()):
                return {name: text.strip() for name, text in match.groupdict().items()}
        return None

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(map(_pattern, self.wordings))


def _ending(wording: str) -> str:
    """The text behind the last gap; of a wording without gaps, nothing."""
    names = gaps(wording)
    return fill(wording.rpartition(f"{{{names[-1]}}}")[2], {}) if names else ""


def _pattern(wording: str) -> re.Pattern[str]:
    """``wording`` as a pattern; each gap is as short as it can be, but the last."""
    names, rest, pattern = gaps(wording), wording, ""
    for name in names:
        before, _, rest = rest.partition(f"{{{name}}}")
        pattern += f"{re.escape(fill(before, {}))}(?P<{name}>.*{'' if name == names[-1] else '?'})"
    return re.compile(pattern + re.escape(fill(rest, {})), re.DOTALL)
