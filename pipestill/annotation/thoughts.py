"""Answers without the thoughts that some models and servers put before them."""

import re

_NAMES = r"(?:seed:)?(?:think(?:ing)?|thoughts?|reasoning)"
_OPENING = "|".join(
    (
        rf"<\s*{_NAMES}(?:\s[^<>/]*)?>",
        r"\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|inner_prefix\|>|<\|begin_of_thought\|>",
        r"<\|channel\|?>\s*(?:analysis|commentary|thought)",
    )
)
_CLOSING = "|".join(
    (
        rf"<\s*(?:/\s*{_NAMES}|{_NAMES}\s*/)\s*>",
        r"\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|inner_suffix\|>|<\|end_of_thought\|>|<channel\|>",
        r"<\|channel\|>\s*final\s*(?:<\|constrain\|>[^<]*)?<\|message\|>",
    )
)
_MARK = re.compile(rf"(?P<opening>{_OPENING})|(?P<closing>{_CLOSING})", re.IGNORECASE)
_UNMARKED = re.compile(r"analysis\S.*?assistant\s*final(?=\S)", re.DOTALL)  # channels whose marks a server took out
_FRAME = re.compile(
    r"^(?:<\|START_RESPONSE\|>|<\|begin_of_solution\|>|<\|start\|>\s*assistant)"
    r"|(?:<\|END_RESPONSE\|>|<\|end_of_solution\|>|<\|return\|>|<\|end\|>)$",
    re.IGNORECASE,
)
_BLANK = " \t\r\n\f\v\u00a0\u200b\u2060\ufeff"


def without_thoughts(text: str) -> str:
    """``text`` from the end of its leading thoughts on, without blanks around it.

    Thoughts end with their closing mark, also where the prompt held the opening one. Where none comes, the thoughts
    are all there is, and nothing is left.
    """
    text = _UNMARKED.sub("", _bare(text), count=1) if _UNMARKED.match(_bare(text)) else _bare(text)
    start, depth = 0, int(_begins_inside(text))
    for mark in _MARK.finditer(text):
        if mark["opening"]:
            if depth == 0 and text[start : mark.start()].strip(_BLANK):
                break
            depth += 1
        elif depth == 0:
            break
        else:
            start, depth = mark.end(), depth - 1
    return "" if depth and start == 0 else _bare(text[start:])


def _begins_inside(text: str) -> bool:
    """True if thoughts are closed that were never opened."""
    first = _MARK.match(text)
    opened = [mark["opening"] is not None for mark in _MARK.finditer(text)]
    return not (first and first["opening"]) and 2 * sum(opened) < len(opened)


def _bare(text: str) -> str:
    return _FRAME.sub("", text.strip(_BLANK)).strip(_BLANK)
