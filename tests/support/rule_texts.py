"""The rules as they stand in their files, without Snakemake."""

import re
from functools import cache

from support.workflow import ROOT


def _parts(text, indent):
    """Parts of a text by the names at their heads, ``name:`` or ``name=``."""
    found = re.split(rf"^ {{{indent}}}(\w+)[:=]", text, flags=re.M)
    return dict(zip(found[1::2], found[2::2], strict=True))


@cache
def rule_parts():
    """Parts of each rule by their names.

    One that is made of another has those of both, its own where both have one; of `params` each parameter is its own.
    """
    files = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    heads = r"^(?:rule|use rule (\w+) as) (\w+)(?: with)?:\n((?:    .*\n|\n)*)"
    texts = {name: (parent, _parts(text, 4)) for parent, name, text in re.findall(heads, files, re.M)}
    found = {}
    for name, (parent, own) in texts.items():
        found[name] = own
        if parent:
            other = texts[parent][1]
            params = _parts(other["params"], 8) | _parts(own.get("params", ""), 8)
            lines = "".join(f"        {key}={value}" for key, value in params.items())
            found[name] = other | own | {"params": f"\n{lines}"}
    return found


def rule_texts():
    """Text of each rule by its name, as if none were made of another."""
    return {name: "".join(f"    {part}:{text}" for part, text in parts.items()) for name, parts in rule_parts().items()}
