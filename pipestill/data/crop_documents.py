"""Cropping of long documents, by characters or tokens, where a sentence ends; test references are never touched."""

from collections import Counter

from pipestill.data.reading import question_of
from pipestill.data.text_crop import Ends, character_ends, crop_document
from pipestill.errors import UserError
from pipestill.io.records import Record
from pipestill.settings.data import CropConfig
from pipestill.tasks import Task
from pipestill.text.sentences import Splitter, split_sentences


def crop_documents(
    records: list[Record],
    task: Task,
    config: CropConfig,
    ends: Ends = character_ends,
    splitter: Splitter = "sentencex",
) -> tuple[list[Record], Counter]:
    """Records with cropped texts, targets and rationales, their prompts, and how many of each field were cropped.

    Of a test record the text alone is cropped, and only if ``config.test_texts`` says so. References are never cropped.

    Raises:
        UserError: two splits share a text after cropping, or the data of ``splitter`` are missing.
    """
    for language in {record["test_set"] for record in records}:
        split_sentences("", language, splitter)  # what is missing is missed now, and not after training
    limits = {"text": config.text, "target": config.target, "rationale": config.rationale}
    cropped, counts, first = [], Counter(), {}
    for record in records:
        of_test = record["split"] == "test"
        changed = dict(record)
        for field, limit in limits.items():
            if field in record and not (of_test and (field != "text" or not config.test_texts)):
                changed[field] = crop_document(
                    record[field], limit, record["test_set"], config.boundary, ends, splitter
                )
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
