"""Cropping of long documents, by characters or tokens, where a sentence ends; test references are never touched."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from pipestill.config import CropConfig
from pipestill.data.crop import crop_text
from pipestill.data.reading import question_of
from pipestill.errors import UserError
from pipestill.records import Record
from pipestill.sentences import split_sentences
from pipestill.tasks import Task

Ends = Callable[[str], Sequence[int]]  # text to the place behind each of its units


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
    return lambda text: [end for _, end in loaded.encode(text, add_special_tokens=False).offsets]


def crop_document(text: str, limit: int | None, language: str, boundary: str, ends: Ends) -> str:
    """At most ``limit`` units of ``text``.

    Args:
        text: any text.
        limit: none leaves it whole.
        language: for its sentences.
        boundary: ``sentence``: whole sentences, or words where not even the first one fits; ``word``: whole words;
            ``none``: to the last character.
        ends: units to count.
    """
    places = ends(text) if limit is not None else ()
    if limit is None or len(places) <= limit:
        return text
    cut = places[limit - 1]
    if boundary == "none":
        return text[:cut]
    if boundary == "sentence":
        last = place = 0
        for sentence in split_sentences(text, language):
            place = text.index(sentence, place) + len(sentence)
            if place > cut:
                break
            last = place
        if last:
            return text[:last]
    return crop_text(text, cut)


def rationale_crop(config: CropConfig, ends: Ends = character_ends) -> Callable[[str, Record], str]:
    """A function that crops a rationale of a record as ``config`` says."""
    return lambda text, record: crop_document(text, config.rationale, record["test_set"], config.boundary, ends)


def crop_documents(
    records: list[Record], task: Task, config: CropConfig, ends: Ends = character_ends
) -> tuple[list[Record], Counter]:
    """Records with cropped texts, targets and rationales, their prompts, and how many of each field were cropped.

    Of a test record the text alone is cropped, and only if ``config.test_texts`` says so. References are never cropped.

    Raises:
        UserError: two splits share a text after cropping.
    """
    limits = {"text": config.text, "target": config.target, "rationale": config.rationale}
    cropped, counts, first = [], Counter(), {}
    for record in records:
        of_test = record["split"] == "test"
        changed = dict(record)
        for field, limit in limits.items():
            if field in record and not (of_test and (field != "text" or not config.test_texts)):
                changed[field] = crop_document(record[field], limit, record["test_set"], config.boundary, ends)
                counts[field] += changed[field] != record[field]
        other = first.setdefault(question_of(changed), record)
        if other["split"] != record["split"]:
            raise UserError(
                f"records {other['id']} ({other['split']}) and {record['id']} ({record['split']}) have the same text "
                f"after cropping to {config.text} {config.unit}; raise `crop.text`"
            )
        changed["prompt"] = task.message(changed["text"])
        cropped.append(changed)
    return cropped, counts
