"""Text to tokens, the same way for training, label ranking and generation."""

from typing import TYPE_CHECKING

from pipestill.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_prompt(tokenizer: "PreTrainedTokenizerBase", prompt: str, max_tokens: int | None = None) -> list[int]:
    """Tokens of ``prompt`` as a user turn in the chat template, up to where the assistant's answer begins.

    A tokenizer without a chat template gets the prompt and a newline. When the result would be longer than
    ``max_tokens``, the end of the user text is cut at one of its token boundaries; the template stays whole.

    Raises:
        UserError: the template alone is longer than ``max_tokens``.
    """
    tokens = _encode_turn(tokenizer, prompt)
    if max_tokens is None or len(tokens) <= max_tokens:
        return tokens
    user = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    ends = [end for _, end in user["offset_mapping"]]

    def first(kept: int) -> list[int]:
        return _encode_turn(tokenizer, prompt[: ends[kept - 1]] if kept else "")

    # One user token is about one token of the result; where cutting changes how the rest is split, step to the edge.
    kept = max(0, len(ends) - (len(tokens) - max_tokens))
    while len(tokens := first(kept)) > max_tokens:
        if kept == 0:
            raise UserError(
                f"the chat template alone takes {len(tokens)} tokens, but a prompt may have {max_tokens}: "
                "raise training.max_length"
            )
        kept = max(0, kept - (len(tokens) - max_tokens))
    while kept < len(ends) and len(longer := first(kept + 1)) <= max_tokens:
        kept, tokens = kept + 1, longer
    return tokens


def encode_source(tokenizer: "PreTrainedTokenizerBase", text: str, max_tokens: int | None = None) -> list[int]:
    """Tokens of ``text`` for an encoder: those that the tokenizer puts before it, its own, and the end of sequence.

    What is longer than ``max_tokens`` loses the end of its text.
    """
    around = tokenizer.encode("")
    begin = around[:-1] if around[-1:] == [tokenizer.eos_token_id] else around
    tokens = [*begin, *tokenizer.encode(text, add_special_tokens=False)]
    return [*tokens[: None if max_tokens is None else max_tokens - 1], tokenizer.eos_token_id]


def encode_answer(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokens of an answer, with the end-of-sequence token that stops generation."""
    return [*encode_label(tokenizer, text), tokenizer.eos_token_id]


def encode_label(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Tokens of an answer without the end-of-sequence token: what label ranking scores."""
    return tokenizer.encode(text, add_special_tokens=False)


def _encode_turn(tokenizer: "PreTrainedTokenizerBase", user: str) -> list[int]:
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": user}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    else:
        text = f"{user}\n"
    return tokenizer.encode(text, add_special_tokens=False)  # the template brings its own special tokens
