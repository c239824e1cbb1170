"""Text to tokens, the same way for training, label ranking and generation."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pipestill.errors import UserError
from pipestill.models.text_encoder import text_encoder
from pipestill.settings.prompts import Form
from pipestill.text.context import NO_CONTEXT, Context

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from pipestill.settings.models import ModelKind

CHAT = Form()


def encode_prompt(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: str,
    max_tokens: int | None = None,
    form: Form = CHAT,
    context: Context = NO_CONTEXT,
    templated: bool = True,
) -> list[int]:
    """Tokens of ``prompt``, up to where its answer begins.

    In the form ``chat`` it is a user turn of the chat template, or a line where the tokenizer has none or ``templated``
    is false; in the form ``raw`` the text alone. The tokenizer's own first tokens stand before a text without a
    template. When the prompt would be longer than ``max_tokens``, the end of its text is cut at one of its token
    boundaries; the template stays whole, and so does the ending of its form. A ``context`` is not counted.

    Raises:
        UserError: the template alone is longer than ``max_tokens``.
    """
    encode = partial(_encode, tokenizer, form=form, templated=templated)
    tokens = encode(prompt)
    if max_tokens is not None and len(tokens) > max_tokens:
        prompt, tokens = _shortened(tokenizer, prompt, max_tokens, encode, len(tokens), form.ending)
    return encode(prompt, context=context) if context else tokens


def _shortened(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: str,
    max_tokens: int,
    encode: Callable[[str], list[int]],
    length: int,
    ending: str,
) -> tuple[str, list[int]]:
    """The longest beginning of a prompt of ``length`` tokens that fits, with its ending, and its tokens."""
    text, tail = _without(ending, prompt)
    ends = text_encoder(tokenizer).ends(text)

    def first(kept: int) -> str:
        return (text[: ends[kept - 1]] if kept else "") + tail

    def tokens_of(kept: int) -> list[int]:
        return encode(first(kept))

    # One user token is about one token of the result; where cutting changes how the rest is split, step to the edge.
    kept = max(0, len(ends) - (length - max_tokens))
    while len(tokens := tokens_of(kept)) > max_tokens:
        if kept == 0:
            raise _no_room(max_tokens, tokens)
        kept = max(0, kept - (len(tokens) - max_tokens))
    while kept < len(ends) and len(longer := tokens_of(kept + 1)) <= max_tokens:
        kept, tokens = kept + 1, longer
    return first(kept), tokens


def encode_source(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: str,
    max_tokens: int | None = None,
    form: Form = CHAT,
    context: Context = NO_CONTEXT,
) -> list[int]:
    """Tokens of ``prompt`` for an encoder: its own, between those that the tokenizer puts around a text.

    A prompt that is longer than ``max_tokens`` loses the end of its text, not the ending of its form. A ``context``
    stands before it and is not counted.

    Raises:
        UserError: the ending is longer than ``max_tokens``.
    """
    encoder = text_encoder(tokenizer)
    read = [*encoder.text(prompt), *encoder.behind]
    room = None if max_tokens is None else max_tokens - len(encoder.before)
    if room is not None and len(read) > room:
        text, tail = _without(form.ending, prompt)
        tail = [*encoder.text(tail), *encoder.behind]
        if len(tail) > max_tokens:
            raise _no_room(max_tokens, tail)
        read = [*encoder.text(text)[: max(0, room - len(tail))], *tail]
    head = context.head if form.render == "raw" else "\n".join(context.turns(""))
    return [*encoder.before, *(encoder.text(head) if context else ()), *read]


ENCODERS: "dict[ModelKind, Callable[..., list[int]]]" = {
    "causal": encode_prompt,
    "seq2seq": encode_source,
    "masked": partial(encode_prompt, templated=False),  # no masked model is trained on chats
}


@dataclass
class PromptEncoder:
    """Encodes the prompts of a job, and counts them.

    Attributes:
        tokenizer: of the model.
        kind: of the model, which decides how its prompts are encoded (:data:`ENCODERS`).
        form: of the prompts.
        context: before each prompt; its tokens are not counted.
        seen: prompts so far.
        cut: those of them that lost the end of their text.
    """

    tokenizer: "PreTrainedTokenizerBase"
    kind: "ModelKind" = "causal"
    form: Form = CHAT
    context: Context = NO_CONTEXT
    seen: int = 0
    cut: int = 0

    def __call__(self, prompt: str, max_tokens: int) -> list[int]:
        """Tokens of the context, and of ``prompt``, which are ``max_tokens`` at most."""
        tokens, cut = self.encode(prompt, max_tokens)
        self.seen += 1
        self.cut += cut
        return tokens

    def encode(self, prompt: str, max_tokens: int) -> tuple[list[int], bool]:
        """The same, and whether the prompt was cut; it is not counted."""
        encode = ENCODERS[self.kind]
        tokens = encode(self.tokenizer, prompt, form=self.form)
        cut = len(tokens) > max_tokens
        if cut or self.context:
            tokens = encode(self.tokenizer, prompt, max_tokens, self.form, self.context)
        return tokens, cut

    def report(self, name: str) -> None:
        """Say in the log how many prompts of ``name`` were cut, if any, and count anew."""
        if self.cut:
            print(
                f"{name}: {self.cut} of {self.seen} prompts were longer than max_length allows and lost the end of "
                "their text",
                file=sys.stderr,
            )
        self.seen = self.cut = 0


def encode_whole(prompts: PromptEncoder, prompt: str, max_tokens: int) -> list[int]:
    """Tokens of a prompt that no answer stands behind, for a classifier: with what the tokenizer ends a text with."""
    closing = text_encoder(prompts.tokenizer).closing
    return [*prompts(prompt, max_tokens - len(closing)), *closing]


def encode_answer(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokens of an answer, with the end-of-sequence token that stops generation."""
    return [*encode_label(tokenizer, text), tokenizer.eos_token_id]


def encode_label(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokens of an answer without the end-of-sequence token: what label ranking scores."""
    return text_encoder(tokenizer).text(text)


def word_ids(
    tokenizer: "PreTrainedTokenizerBase", form: Form, answers: Sequence[str], *questions: str
) -> list[list[int]]:
    """Tokens of each of ``answers``, as a model reads them behind prompts of a form.

    Args:
        tokenizer: of the model.
        form: of the prompts.
        answers: with their prefix.
        questions: prompts behind which they are tried.

    Raises:
        UserError: behind a raw prompt the tokens of an answer are others, or change those of the prompt; two answers
            are the same; or one has no tokens.
    """
    ids = [encode_label(tokenizer, answer) for answer in answers]
    for answer, tokens in zip(answers, ids, strict=True):
        if not tokens or ids.count(tokens) > 1:
            problem = "has the same tokens as another one" if tokens else "has no tokens"
            raise UserError(f"the answer {answer!r} {problem}: choose other `verbalizers` of the prompt")
        for question in questions if form.render == "raw" else ():
            if _encode(tokenizer, question + answer, form) != [*_encode(tokenizer, question, form), *tokens]:
                raise UserError(
                    f"behind the prompt {question[-40:]!r} the answer {answer!r} is split into other tokens than by "
                    "itself, so it could not be ranked: let the prompt's text end without a space, and its `prefix` "
                    "begin the word"
                )
    return ids


def _without(ending: str, prompt: str) -> tuple[str, str]:
    """A prompt in two parts: its text, and its ending, which is empty where the prompt is of another template."""
    text = prompt.removesuffix(ending)
    return text, prompt[len(text) :]


def _no_room(max_tokens: int, template: list[int]) -> UserError:
    return UserError(
        f"the template alone takes {len(template)} tokens, but a prompt may have {max_tokens}: "
        "raise training.max_length"
    )


def _encode(
    tokenizer: "PreTrainedTokenizerBase",
    prompt: str,
    form: Form,
    context: Context = NO_CONTEXT,
    templated: bool = True,
) -> list[int]:
    encoder = text_encoder(tokenizer)
    if form.render == "raw":
        return [*encoder.before, *encoder.text(context.head + prompt)]
    if encoder.template and templated:
        return encoder.turns(*context.turns(prompt))
    lines = [f"{text}\n" for text in context.turns(prompt)]
    return [*encoder.before, *encoder.text("".join(lines))]
