"""Rules that a changed key of the configuration runs again, as sections declare them in ``Section.reruns``."""

from dataclasses import dataclass
from inspect import get_annotations
from typing import Any

REST = "*"  # all keys of a section that it does not name
Rules = frozenset[str]


def named(section: type[Any], key: str) -> Rules | None:
    """Rules that a section names for a key; none where it does not name the key."""
    for base in section.__mro__:
        if key in base.__dict__.get("reruns", {}):
            return frozenset(base.__dict__["reruns"][key].split())
    return None


def _rest(section: type[Any], key: str) -> Rules | None:
    owner = next(base for base in section.__mro__ if key in get_annotations(base))
    rules = owner.__dict__.get("reruns", {}).get(REST)
    return None if rules is None else frozenset(rules.split())


def declared(section: type[Any], key: str) -> Rules | None:
    """Rules that a section declares for a key; none where sections above have to."""
    found = named(section, key)
    return _rest(section, key) if found is None else found


@dataclass(frozen=True)
class Above:
    """Declarations of the sections above one, which hold for its keys.

    Attributes:
        limit: only these rules count here; none: all do.
        rules: of keys for which the section declares none.
    """

    limit: Rules | None = None
    rules: Rules | None = None

    def below(self, section: type[Any], key: str) -> "Above":
        """The same for the section at ``key`` of ``section``."""
        found, rules = named(section, key), declared(section, key)
        return Above(self._limited(found) if found is not None else self.limit, self.rules if rules is None else rules)

    def of(self, section: type[Any], key: str) -> Rules | None:
        """Rules of a key; none if nothing is declared."""
        found = declared(section, key)
        found = self.rules if found is None else found
        return None if found is None else self._limited(found)

    def _limited(self, rules: Rules) -> Rules:
        return rules if self.limit is None else rules & self.limit


TOP = Above()  # above the whole configuration
