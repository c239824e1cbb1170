"""Text to the tokens of text: control tokens come from a tokenizer and its chat template, never from data."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from pipestill.errors import UserError
from pipestill.models.chat_template import render

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

BOS = "bos"  # key of a tokenizer's configuration; `never`: nothing is put before a text
PROBE = "a"
PRIVATE = range(0xF0000, 0xFFFFE)  # characters that stand for control tokens while a message is rendered
NAME = "\U00100000{}\U00100001"  # of a control token where text cannot spell it


class TextEncoder:
    """Encodes text for one tokenizer.

    Attributes:
        tokenizer: of the model.
        template: its chat template, if it has one.
        control: control tokens by id: special ones, and those that the template writes. A token that is a single
            character or blank is text, whatever the tokenizer calls it.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", template: str | None):
        self.tokenizer, self.template = tokenizer, template
        self._written: dict[int, list[int]] = {}  # control tokens of the template by the number of turns
        added = {
            index: token
            for index, token in tokenizer.added_tokens_decoder.items()
            if len(token.content) > 1 and token.content.strip()
        }
        written = added.keys() & self._encode_rendered(PROBE) if template else set()
        self.control: dict[int, str] = {
            index: token.content
            for index, token in added.items()
            if token.special or index in written or token.content in (template or "")
        }

    def text(self, text: str) -> list[int]:
        """Tokens of a text, and nothing around them."""
        tokens = self.tokenizer.encode(text, add_special_tokens=False)
        return tokens if self.control.keys().isdisjoint(tokens) else self._plain.encode(text).ids

    def ends(self, text: str) -> list[int]:
        """Where each token of a text ends, in characters."""
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        offsets = found["offset_mapping"]
        if not self.control.keys().isdisjoint(found["input_ids"]):
            offsets = self._plain.encode(text).offsets
        return [end for _, end in offsets]

    def turns(self, *messages: str) -> list[int]:
        """Tokens of messages of user and assistant in turn, in the chat template, up to where the answer begins.

        Raises:
            UserError: the template does not render the message, or not as text.
        """
        tokens, written = self._encode_rendered(*messages), self._control_of_template(len(messages))
        if self._control_of(tokens) != written:
            tokens = self._plain.encode(self._render_named(*messages)).ids
        if self._control_of(tokens) != written:
            raise UserError(
                f"the chat template of {self.tokenizer.name_or_path or 'the model'} writes other control tokens for "
                f"the message {messages[-1][:80]!r} than for others, so what is text cannot be told: use a template "
                "that writes the same around every message"
            )
        return tokens

    @cached_property
    def before(self) -> list[int]:
        """What the tokenizer itself puts before a text (BOS, CLS, a language), unless it is told not to."""
        return [] if self.tokenizer.init_kwargs.get(BOS) == "never" else self._around[0]

    @cached_property
    def behind(self) -> list[int]:
        """What ends a text that an encoder reads: what the tokenizer itself puts there, else the end of sequence."""
        return self.closing or [self.tokenizer.eos_token_id]

    @property
    def closing(self) -> list[int]:
        """What the tokenizer itself puts behind a text (SEP); mostly nothing."""
        return self._around[1]

    @cached_property
    def _around(self) -> tuple[list[int], list[int]]:
        text = self.tokenizer.encode(PROBE, add_special_tokens=False)
        whole = self.tokenizer.encode(PROBE)
        places = range(len(whole) - len(text) + 1)
        start = next((place for place in places if whole[place : place + len(text)] == text), 0)
        return whole[:start], whole[start + len(text) :]

    def _control_of_template(self, turns: int) -> list[int]:
        if turns not in self._written:
            self._written[turns] = self._control_of(self._encode_rendered(*[PROBE] * turns))
        return self._written[turns]

    def _control_of(self, tokens: Sequence[int]) -> list[int]:
        """The control tokens among ``tokens``; any character may be unknown, so that token is not counted."""
        unknown = self.tokenizer.unk_token_id
        return [token for token in tokens if token in self.control and token != unknown]

    def _encode_rendered(self, *messages: str) -> list[int]:
        return self.tokenizer.encode(render(self.tokenizer, *messages), add_special_tokens=False)

    def _render_named(self, *messages: str) -> str:
        """The rendered messages, in which control tokens of the template have their names in :attr:`_plain`."""
        unused = (chr(code) for code in PRIVATE if not any(chr(code) in message for message in messages))
        masks = {token: next(unused) for token in self.control.values()}
        names = {token: NAME.format(index) for index, token in self.control.items()}
        tokens = re.compile("|".join(re.escape(token) for token in sorted(masks, key=len, reverse=True)))
        masked = [tokens.sub(lambda found: masks[found[0]], message) for message in messages]
        rendered = render(self.tokenizer, *masked)
        named = tokens.sub(lambda found: names[found[0]], rendered)
        for token, mask in masks.items():
            named = named.replace(mask, token)
        return named

    @cached_property
    def _plain(self) -> "Tokenizer":
        """The same tokenizer with control tokens that no text can spell, and nothing around a text."""
        return renamed(self.tokenizer.backend_tokenizer, {index: NAME.format(index) for index in self.control})


@lru_cache(maxsize=8)
def _encoder(tokenizer: "PreTrainedTokenizerBase", template: str | None) -> TextEncoder:
    return TextEncoder(tokenizer, template)


def text_encoder(tokenizer: "PreTrainedTokenizerBase") -> TextEncoder:
    """The encoder of text for a tokenizer."""
    return _encoder(tokenizer, tokenizer.chat_template)


def renamed(backend: "Tokenizer", names: Mapping[int, str]) -> "Tokenizer":
    """A tokenizer with other names for some of its tokens, which keep their ids, and without a post-processor."""
    from tokenizers import Tokenizer

    state = json.loads(backend.to_str()) | {"post_processor": None, "truncation": None, "padding": None}
    for token in state["added_tokens"]:
        if token["id"] in names:
            token |= {"content": names[token["id"]], "normalized": False}
    _rename(state["model"], names)
    return Tokenizer.from_str(json.dumps(state, ensure_ascii=False))


def _rename(model: dict[str, Any], names: Mapping[int, str]) -> None:
    """Rename tokens in the vocabulary of a model of the tokenizers library, whichever kind it is."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, list):  # of a unigram model: pieces with scores, in the order of their ids
        model["vocab"] = [[names.get(index, piece), score] for index, (piece, score) in enumerate(vocabulary)]
        return
    model["vocab"] = {names.get(index, token): index for token, index in vocabulary.items()}
    gone = {token: names[index] for token, index in vocabulary.items() if index in names}
    if model.get("unk_token") in gone:
        model["unk_token"] = gone[model["unk_token"]]
    if "merges" in model:
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        model["merges"] = [pair for pair in pairs if gone.keys().isdisjoint((*pair, "".join(pair)))]
