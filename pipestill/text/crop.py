"""Cropping of one text, by characters or tokens, where a word or a sentence ends."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipestill.errors import UserError
from pipestill.text.sentences import Splitter, split_sentences

Ends = Callable[[str], Sequence[int]]  # text to the place behind each of its units


def crop_text(text: str, max_chars: int) -> str:
    """At most ``max_chars`` characters of ``text``, ending at a word boundary where there is one."""
    if len(text) <= max_chars:
        return text
    head = text[:max_chars]
    cut = head.rfind(" ") if not text[max_chars].isspace() else len(head)
    return head[: cut if cut > 0 else max_chars].rstrip()


def character_ends(text: str) -> Sequence[int]:
    """Every character is a unit."""
    return range(1, len(text) + 1)


def token_ends(tokenizer: Path) -> Ends:
    """Units are the tokens of a file ``tokenizer.json``, without special ones.

    Raises:
        UserError: the file is missing or is none.
    """
    from tokenizers import Tokenizer

    if not Path(tokenizer).is_file():
        raise UserError(f"{tokenizer} does not exist: crop by characters, or name a model with a tokenizer.json")
    loaded = Tokenizer.from_file(str(tokenizer))
    loaded.no_truncation()
    loaded.encode_special_tokens = True  # they are text where they stand in a text
    loaded.encode_special_tokens = True  # what a text spells like a special token is text
    return lambda text: [end for _, end in loaded.encode(text, add_special_tokens=False).offsets]


def unit_ends(tokenizer: Path | None) -> Ends:
    """Tokens of ``tokenizer``, or characters without one."""
    return token_ends(tokenizer) if tokenizer else character_ends


def crop_document(text: str, limit: int | None, language: str, boundary: str, ends: Ends, splitter: Splitter) -> str:
    """At most ``limit`` units of ``text``.

    Args:
        text: any text.
        limit: none leaves it whole.
        language: for its sentences.
        boundary: ``sentence``: whole sentences, or words where not even the first one fits; ``word``: whole words;
            ``none``: to the last character.
        ends: units to count.
        splitter: see :func:`pipestill.text.sentences.split_sentences`.
    """
    places = ends(text) if limit is not None else ()
    if limit is None or len(places) <= limit:
        return text
    cut = places[limit - 1]
    if boundary == "none":
        return text[:cut]
    if boundary == "sentence":
        last = place = 0
        for sentence in split_sentences(text, language, splitter):
            place = text.index(sentence, place) + len(sentence)
            if place > cut:
                break
            last = place
        if last:
            return text[:last]
    return crop_text(text, cut)
