"""A schema, made ready for the tokens of one model by llguidance."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

import numpy as np
import torch

from pipestill.errors import UserError, shortened
from pipestill.inference.rows import ends_of
from pipestill.schemas.schema import Schema

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

NEEDED = '{}[]":,-.0123456789'  # characters that a tokenizer must be able to write alone
_engines: "WeakKeyDictionary[object, dict[tuple, LLTokenizer]]" = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Engine:
    """Says which tokens may come next in an answer; made by :meth:`of`, once for all answers of a job.

    Attributes:
        schema: what answers follow.
        wrapped: the tokenizer as the engine knows it.
        vocabulary: tokens that the model scores, those that its tokenizer does not have included.
        ends: tokens that end an answer.
    """

    schema: Schema
    wrapped: "LLTokenizer"
    vocabulary: int
    ends: tuple[int, ...]
    _idle: list["LLMatcher"] = field(default_factory=list, repr=False)  # they keep what they have worked out
    _by_bytes: dict[bytes, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, schema: Schema, tokenizer, model) -> Self:
        """What follows ``schema`` with the tokens of a model.

        Args:
            tokenizer: of transformers, with a backend of `tokenizers`.
            model: a causal model or an encoder-decoder.

        Raises:
            UserError: the engine cannot write with this tokenizer.
        """
        vocabulary, ends = model.config.get_text_config(decoder=True).vocab_size, tuple(sorted(ends_of(model)))
        if len(tokenizer) > vocabulary:
            raise UserError(
                f"the tokenizer has {len(tokenizer)} tokens and its model {vocabulary}: use the tokenizer of the model"
            )
        kept = _engines.setdefault(tokenizer, {})
        if (vocabulary, ends) not in kept:
            kept[vocabulary, ends] = _engine(tokenizer, vocabulary, ends)
        made = cls(schema, kept[vocabulary, ends], vocabulary, ends)
        made._learn(tokenizer)
        return made

    def _learn(self, tokenizer) -> None:
        """Find the tokens of single characters; refuse a tokenizer without the ones that JSON needs."""
        for token in range(len(tokenizer)):
            if not self.wrapped.is_special_token(token) and len(text := self.wrapped.decode_bytes([token])) == 1:
                self._by_bytes.setdefault(text, token)
        if missing := [char for char in NEEDED if char.encode() not in self._by_bytes]:
            raise UserError(
                f"the tokenizer has no token for `{missing[0]}`, which JSON needs: use another model, or "
                "`decoding: free`"
            )

    def token_of(self, character: bytes) -> int | None:
        """The token that is this one byte, if there is one."""
        return self._by_bytes.get(character)

    def matcher(self) -> "LLMatcher":
        """Where an answer begins."""
        from llguidance import LLMatcher

        return self._idle.pop() if self._idle else LLMatcher(self.wrapped, self.schema.grammar.text, log_level=0)

    def free(self, matcher: "LLMatcher") -> None:
        """Take back a matcher whose answer is finished."""
        if not matcher.is_error() and matcher.reset():
            self._idle.append(matcher)

    def forced(self, matcher: "LLMatcher") -> list[int]:
        """The tokens that come next where the schema leaves no choice: those that the tokenizer makes of the text.

        The last characters of a forced text are left out where a token could go on behind them.
        """
        tokens = matcher.compute_ff_tokens()
        if tokens or not (rest := matcher.compute_ff_bytes()):
            return tokens
        allowed = np.flatnonzero(self.allowed([matcher])[0]).tolist()
        if len(allowed) > len(rest) or not all(rest.startswith(self.wrapped.decode_bytes([each])) for each in allowed):
            return []
        tokens = self.wrapped.tokenize_bytes(rest)
        return tokens if matcher.validate_tokens(tokens) == len(tokens) else []

    def allowed(self, matchers: Sequence["LLMatcher"], width: int | None = None) -> np.ndarray:
        """Tokens that may come next, ``[answers, width]`` bool; nothing where the engine has given up.

        Args:
            width: of the logits, if not the vocabulary.
        """
        from llguidance.numpy import fill_next_token_bitmask

        bits = np.zeros((len(matchers), (self.vocabulary + 31) // 32), dtype=np.int32)
        for row, matcher in enumerate(matchers):
            if not matcher.is_error():
                fill_next_token_bitmask(matcher, bits, row)
                if matcher.is_error():
                    bits[row] = 0
        found = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")[:, : self.vocabulary].view(bool)
        width = width or self.vocabulary
        if width > self.vocabulary:
            found = np.pad(found, ((0, 0), (0, width - self.vocabulary)))
        return found[:, :width]

    def mask(self, matchers: Sequence["LLMatcher"], logits: torch.Tensor) -> torch.Tensor:
        """:meth:`allowed` beside ``logits`` ``[answers, vocab]``."""
        return torch.from_numpy(self.allowed(matchers, logits.shape[1])).to(logits.device)

    def bytes_of(self, tokens: Sequence[int]) -> bytes:
        """The bytes of an answer, without its end."""
        return self.wrapped.decode_bytes([token for token in tokens if token not in self.ends])

    def text(self, tokens: Sequence[int]) -> str:
        """The text of an answer as the engine has read it; a character of which a part is missing becomes U+FFFD."""
        return self.bytes_of(tokens).decode(errors="replace")


def _engine(tokenizer, vocabulary: int, ends: tuple[int, ...]) -> "LLTokenizer":
    from llguidance.hf import from_tokenizer

    try:
        return from_tokenizer(tokenizer, n_vocab=vocabulary, eos_token=list(ends) or None)
    except (ValueError, RuntimeError, TypeError) as error:
        raise UserError(
            f"constrained decoding cannot use a tokenizer of this kind ({shortened(error, 60)}): use `decoding: free`, "
            "or a model whose tokenizer is byte-level or falls back to bytes"
        ) from None
