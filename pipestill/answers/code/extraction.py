"""Code in an answer: without fences around it and prose before it."""

import re

_FENCED = re.compile(r"^ *```[^\n]*\n(.*?)(?:^ *```|\Z)", re.S | re.M)
_BEGINS = re.compile(r"^(?:(?:async )?def \w+\(|class \w+[(:]|import \w|from [\w.]+ import |@\w)", re.M)


def code_of(answer: str) -> str:
    """The code of an answer: its first fenced block with a function, if there is one, from the first line that begins a
    definition or an import; else the answer as it is.
    """
    blocks = [block for block in _FENCED.findall(answer) if "def " in block]
    code = blocks[0] if blocks else answer
    begins = _BEGINS.search(code)
    return code[begins.start() :].rstrip() if begins else code.strip()
