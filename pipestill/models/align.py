"""Tokenizer and model of one directory brought in line, in their files, so that every program sees the same."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipestill.errors import UserError
from pipestill.io.files import read_json, write_json, write_text
from pipestill.models.chat_template import TOLD, check_template
from pipestill.models.loading import load_tokenizer, special_tokens
from pipestill.models.text_encoder import BOS, PROBE, text_encoder
from pipestill.settings.models import TODAY

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

CONFIG, TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
LISTINGS = ("tokenizer.json", CONFIG, "special_tokens_map.json", "added_tokens.json")  # files that list tokens


@dataclass(frozen=True)
class Prompting:
    """What a base model's entry of the configuration says about its prompts.

    Attributes:
        bos: whether prompts begin with what the tokenizer puts before a text.
        date: that a chat template is told.
    """

    bos: str = "auto"
    date: str = TODAY

    @classmethod
    def of(cls, base: Path) -> Self:
        """As it was provided."""
        found = read_json(base / "provenance.json") if (base / "provenance.json").is_file() else {}
        return cls(**{name: found[name] for name in ("bos", "date") if name in found})


def align_tokenizer(directory: Path, what: str, config: "PreTrainedConfig", prompting: Prompting) -> None:
    """Write into the tokenizer's files how prompts begin and what day it is, and forget tokens without an embedding.

    Args:
        directory: with a tokenizer.
        what: the model, in words.
        config: of the model.
        prompting: what its prompts are to be.

    Raises:
        UserError: there is no tokenizer, it needs tokens that the model has not, or its chat template is broken.
    """
    tokenizer = load_tokenizer(directory, day=prompting.date)
    check_template(tokenizer)
    rows = config.get_text_config(decoder=True).vocab_size
    if beyond := {token for token, index in tokenizer.get_vocab().items() if index >= rows}:
        _check_unneeded(tokenizer, what, rows)
        _forget(directory, beyond)
        tokenizer = load_tokenizer(directory, day=prompting.date)
    _write_config(directory, tokenizer, prompting)
    if _told(tokenizer):
        print(f"{what}: its chat template asks for the date and is told {prompting.date}", file=sys.stderr)
        write_text(directory / TEMPLATE, tokenizer.chat_template)


def align_special_tokens(directory: Path) -> None:
    """Write the tokenizer's PAD and EOS into the model's files."""
    tokenizer = load_tokenizer(directory)
    value: dict[str, Any] = {}
    for name in ("config.json", "generation_config.json"):
        value = read_json(directory / name) if (directory / name).is_file() else {"eos_token_id": value["eos_token_id"]}
        value |= special_tokens(tokenizer, value.get("eos_token_id"))
        write_json(directory / name, value)


def _told(tokenizer: "PreTrainedTokenizerBase") -> bool:
    return (tokenizer.chat_template or "").startswith(TOLD)


def _write_config(directory: Path, tokenizer: "PreTrainedTokenizerBase", prompting: Prompting) -> None:
    """Write what the tokenizer's configuration does not say yet; one that says all of it stays as it is."""
    path = directory / CONFIG
    given: dict[str, Any] = read_json(path) if path.is_file() else {}
    gone = {BOS, *(["chat_template"] if _told(tokenizer) else [])}
    value = {name: each for name, each in given.items() if name not in gone}
    value |= {BOS: "never"} if prompting.bos == "never" else {}
    value |= {name: getattr(tokenizer, name) for name in ("eos_token", "pad_token") if not value.get(name)}
    if value != given:
        write_json(path, value)


def _check_unneeded(tokenizer: "PreTrainedTokenizerBase", what: str, rows: int) -> None:
    """Refuse a tokenizer whose prompts or ends need tokens without an embedding, or whose vocabulary is too large."""
    encoder = text_encoder(tokenizer)
    needed = {tokenizer.eos_token_id, *encoder.before, *encoder.behind}
    needed |= set(encoder.turns(PROBE)) if encoder.template else set()
    needed |= set(range(tokenizer.vocab_size))  # without added tokens
    if missing := sorted(index for index in needed if index >= rows):
        token = tokenizer.convert_ids_to_tokens(missing[0])
        raise UserError(
            f"{what}: its tokenizer needs the token {token!r} with id {missing[0]}, but its model has {rows} "
            "embeddings: take the tokenizer that belongs to the model, or resize its embeddings "
            "(resize_token_embeddings of transformers)"
        )


def _forget(directory: Path, tokens: set[str]) -> None:
    """Take tokens out of the tokenizer's files; without its padding token it pads with its end of sequence."""
    for name in LISTINGS:
        if (directory / name).is_file():
            write_json(directory / name, _without(read_json(directory / name), tokens))


def _without(value: Any, tokens: set[str]) -> Any:
    def listed(entry: Any) -> bool:
        content = entry.get("content") if isinstance(entry, dict) else entry
        return isinstance(content, str) and content in tokens

    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if key not in tokens and not listed(each)}
        return {key: _without(each, tokens) for key, each in kept.items()}
    return [_without(each, tokens) for each in value if not listed(each)] if isinstance(value, list) else value
