"""Keys that come twice: the engine does not count those that a schema does not name."""

import json
import re

_PARTS = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]', re.DOTALL)


def repeats_key(text: str) -> bool:
    """Whether an object in a beginning of JSON has a key twice."""
    open_parts: list[set[str] | None] = []  # keys of each open object; none for a list
    at_key = False
    for found in _PARTS.finditer(text):
        part = found[0]
        if part in ("{", "["):
            open_parts.append(set() if part == "{" else None)
        elif part in ("}", "]"):
            open_parts.pop()
        elif at_key and part[0] == '"':
            keys = open_parts[-1]
            if keys is not None and len(part) > 1 and part[-1] == '"':
                key = _key(part)
                if key in keys:
                    return True
                keys.add(key)
        at_key = part == "{" or (part == "," and open_parts[-1:] != [None])
    return False


def _key(part: str) -> str:
    """A key, which may be cut behind an escaped quote."""
    try:
        return json.loads(part)
    except ValueError:
        return part
