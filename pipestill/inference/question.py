"""Questions by hand, and the pieces of their answers while these are written."""

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipestill.io.normal import clean
from pipestill.text.pieces import composed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from pipestill.inference.constrained.engine import Engine
    from pipestill.models.prompts import PromptEncoder

Listen = Callable[[int, Callable[[], str]], bool]
"""Follows answers while they are written. It is told the place of a question after each step of its answer, and can ask
for the next piece of the text, which may be empty; the pieces together are the text. Where it says false, the answer is
dropped: it ends there."""


@dataclass(frozen=True)
class Question:
    """What a model is asked by hand.

    Attributes:
        prompt: of the task.
        cropped: whether the end of an input is missing in it.
        sampling_seed: of a sampled answer; none: the first of the options.
    """

    prompt: str
    cropped: bool = False
    sampling_seed: int | None = None
    _read: list[tuple] = field(default_factory=list, init=False, repr=False, compare=False)

    def read(self, encoder: "PromptEncoder", max_tokens: int) -> tuple[list[int], bool]:
        """Tokens of the prompt, ``max_tokens`` at most, and whether it was cut; the next time they are there already.

        Raises:
            UserError: see :meth:`~pipestill.models.prompts.PromptEncoder.encode`.
        """
        how = encoder.tokenizer, encoder.kind, encoder.form, encoder.context, max_tokens
        if not self._read or self._read[0] != how:
            self._read[:] = how, encoder.encode(self.prompt, max_tokens)
        return self._read[1]


class Pieces:
    """The text of an answer, piece by piece.

    Args:
        decode: the text of further tokens, without a character of which a part is missing.
        certain: the beginning of the answer's text that such a text makes certain.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], certain: Callable[[str], str]):
        self.decode, self.certain = decode, certain
        self.read, self.written, self.told = 0, "", ""

    def next(self, tokens: Sequence[int]) -> str:
        """What has become certain with the tokens so far."""
        self.written += self.decode(tokens[self.read :])
        self.read = max(self.read, len(tokens))
        return self.rest(self.certain(self.written))

    def rest(self, text: str) -> str:
        """What is left of a longer text; nothing of one that begins otherwise, as JSON does that was cut and closed."""
        if not text.startswith(self.told):
            return ""
        piece, self.told = text[len(self.told) :], text
        return piece


def pieces_of_text(tokenizer: "PreTrainedTokenizerBase", certain: Callable[[str], str]) -> Pieces:
    """Pieces of an answer that is free text, as :func:`~pipestill.inference.generation.generate` decodes it."""
    from tokenizers.decoders import DecodeStream

    stream, backend = DecodeStream(skip_special_tokens=True), tokenizer.backend_tokenizer

    def decode(tokens: Sequence[int]) -> str:
        return "".join(stream.step(backend, token) or "" for token in tokens)

    return Pieces(decode, lambda text: certain(composed(clean(text).strip())))


def pieces_of_json(constraint: "Engine", certain: Callable[[str], str]) -> Pieces:
    """Pieces of an answer that follows a schema."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return Pieces(lambda tokens: decoder.decode(constraint.bytes_of(tokens)), certain)
