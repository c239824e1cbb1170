"""TEMPLATES: how an instruction and its input become one message; and the way back from a message."""

import re
from collections.abc import Callable

_PREAMBLE = "Below is an instruction that describes a task"
_REQUEST = "Write a response that appropriately completes the request."
_WITH_INPUT = f"{_PREAMBLE}, paired with an input that provides further context. {_REQUEST}\n\n"
_WITHOUT_INPUT = f"{_PREAMBLE}. {_REQUEST}\n\n"
_INSTRUCTION, _INPUT, _RESPONSE = "### Instruction:\n", "\n\n### Input:\n", "\n\n### Response:"
_ALPACA = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        f"{re.escape(_WITH_INPUT + _INSTRUCTION)}(?P<instruction>.*?){_INPUT}(?P<input>.*){_RESPONSE}",
        f"{re.escape(_WITHOUT_INPUT + _INSTRUCTION)}(?P<instruction>.*){_RESPONSE}",
    )
)


def plain(instruction: str, text: str) -> str:
    """The instruction, and the input on the lines below."""
    return f"{instruction}\n{text}" if text else instruction


def alpaca(instruction: str, text: str) -> str:
    """The wording of Stanford Alpaca; the newline before the answer is the tokenizer's business."""
    head = f"{_WITH_INPUT if text else _WITHOUT_INPUT}{_INSTRUCTION}{instruction}"
    return f"{head}{_INPUT}{text}{_RESPONSE}" if text else f"{head}{_RESPONSE}"


def split_alpaca(message: str) -> tuple[str, str]:
    """Instruction and input of a message in the Alpaca wording; any other message is all instruction."""
    for pattern in _ALPACA:
        if match := pattern.fullmatch(message.strip()):
            return match["instruction"].strip(), match.groupdict().get("input", "").strip()
    return message.strip(), ""


def ending(message: str) -> str:
    """What the template of a message puts behind its text."""
    return _RESPONSE if message.endswith(_RESPONSE) else ""


TEMPLATES: dict[str, Callable[[str, str], str]] = {"plain": plain, "alpaca": alpaca}
