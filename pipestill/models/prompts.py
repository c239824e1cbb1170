"""Text to tokens, the same way for training, label ranking and generation."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.models.text_encoder import text_encoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_prompt(
    tokenizer: "PreTrainedTokenizerBase", prompt: str, max_tokens: int | None = None, ending: str = ""
) -> list[int]:
    """Tokens of ``prompt`` as a user turn in the chat template, up to where the assistant's answer begins.

    A tokenizer without a chat template gets what it puts before a text, the prompt and a newline. When the
    result would be longer than ``max_tokens``, the end of the user text is cut at one of its token boundaries; the
    template stays whole, and so does the ``ending`` that the prompt's own template puts behind the text.

    Raises:
        UserError: the template alone is longer than ``max_tokens``.
    """
    tokens = _encode_turn(tokenizer, prompt)
    if max_tokens is None or len(tokens) <= max_tokens:
        return tokens
    text, tail = _without(ending, prompt)
    ends = text_encoder(tokenizer).ends(text)

    def first(kept: int) -> list[int]:
        return _encode_turn(tokenizer, (text[: ends[kept - 1]] if kept else "") + tail)

    # One user token is about one token of the result; where cutting changes how the rest is split, step to the edge.
    kept = max(0, len(ends) - (len(tokens) - max_tokens))
    while len(tokens := first(kept)) > max_tokens:
        if kept == 0:
            raise _no_room(max_tokens, tokens)
        kept = max(0, kept - (len(tokens) - max_tokens))
    while kept < len(ends) and len(longer := first(kept + 1)) <= max_tokens:
        kept, tokens = kept + 1, longer
    return tokens


def encode_source(
    tokenizer: "PreTrainedTokenizerBase", prompt: str, max_tokens: int | None = None, ending: str = ""
) -> list[int]:
    """Tokens of ``prompt`` for an encoder: its own, between those that the tokenizer puts around a text.

    A prompt that is longer than ``max_tokens`` loses the end of its text, not the ``ending`` that its own template
    puts behind it.

    Raises:
        UserError: the ending is longer than ``max_tokens``.
    """
    encoder = text_encoder(tokenizer)
    tokens = [*encoder.before, *encoder.text(prompt), *encoder.behind]
    if max_tokens is None or len(tokens) <= max_tokens:
        return tokens
    text, tail = _without(ending, prompt)
    tail = [*encoder.text(tail), *encoder.behind]
    if len(tail) > max_tokens:
        raise _no_room(max_tokens, tail)
    tokens = [*encoder.before, *encoder.text(text)]
    return [*tokens[: max_tokens - len(tail)], *tail]


@dataclass
class PromptEncoder:
    """Encodes the prompts of a job, and counts them.

    Attributes:
        tokenizer: of the model.
        for_encoder: whether prompts are read by an encoder (:func:`encode_source`) or a decoder.
        ending: of the prompts' template: what stands behind the text, and is never cut.
        seen: prompts so far.
        cut: those of them that lost the end of their text.
    """

    tokenizer: "PreTrainedTokenizerBase"
    for_encoder: bool = False
    ending: str = ""
    seen: int = 0
    cut: int = 0

    def __call__(self, prompt: str, max_tokens: int) -> list[int]:
        """Tokens of ``prompt``, ``max_tokens`` at most."""
        encode = encode_source if self.for_encoder else encode_prompt
        tokens = encode(self.tokenizer, prompt)
        self.seen += 1
        if len(tokens) <= max_tokens:
            return tokens
        self.cut += 1
        return encode(self.tokenizer, prompt, max_tokens, self.ending)

    def report(self, name: str) -> None:
        """Say in the log how many prompts of ``name`` were cut, if any, and count anew."""
        if self.cut:
            print(
                f"{name}: {self.cut} of {self.seen} prompts were longer than max_length allows and lost the end of "
                "their text",
                file=sys.stderr,
            )
        self.seen = self.cut = 0


def encode_answer(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokens of an answer, with the end-of-sequence token that stops generation."""
    return [*encode_label(tokenizer, text), tokenizer.eos_token_id]


def encode_label(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokens of an answer without the end-of-sequence token: what label ranking scores."""
    return text_encoder(tokenizer).text(text)


def _without(ending: str, prompt: str) -> tuple[str, str]:
    """A prompt in two parts: its text, and its ending, which is empty where the prompt is of another template."""
    text = prompt.removesuffix(ending)
    return text, prompt[len(text) :]


def _no_room(max_tokens: int, template: list[int]) -> UserError:
    return UserError(
        f"the template alone takes {len(template)} tokens, but a prompt may have {max_tokens}: "
        "raise training.max_length"
    )


def _encode_turn(tokenizer: "PreTrainedTokenizerBase", user: str) -> list[int]:
    encoder = text_encoder(tokenizer)
    return encoder.turn(user) if encoder.template else [*encoder.before, *encoder.text(f"{user}\n")]
