"""KINDS: the kinds of answers by name, as configurations declare them."""

from pipestill.answers.base import Answers
from pipestill.answers.code import Code
from pipestill.answers.json import JsonObject
from pipestill.answers.labels import Labels
from pipestill.answers.text import Text

KINDS: dict[str, type[Answers]] = {"labels": Labels, "text": Text, "json": JsonObject, "code": Code}
