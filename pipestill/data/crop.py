"""Cropping of inputs, and the prompts that are made of them; targets, references and labels are never touched."""

from pipestill.data.reading import question_of
from pipestill.data.text_crop import crop_text
from pipestill.errors import UserError
from pipestill.io.records import Record
from pipestill.tasks import Task


def crop_question(text: str, instruction: str, max_chars: int) -> dict[str, str]:
    """``text`` and, where there is one, ``instruction``: together at most ``max_chars`` characters.

    The instruction is cropped only where it is too long without any input.
    """
    instruction = crop_text(instruction, max_chars)
    text = crop_text(text, max_chars - len(instruction))
    return {"text": text, "instruction": instruction} if instruction else {"text": text}


def crop_records(
    records: list[Record], task: Task, max_chars: int, template: str = "plain"
) -> tuple[list[Record], int]:
    """Records with cropped inputs and their prompts in ``template``, and how many were cropped; see `crop_question`.

    Raises:
        UserError: two splits share a question after cropping.
    """
    cropped, count, first = [], 0, {}
    for record in records:
        asked = crop_question(record["text"], record.get("instruction", ""), max_chars)
        count += any(record[key] != value for key, value in asked.items())
        other = first.setdefault(question_of(asked), record)
        if other["split"] != record["split"]:
            raise UserError(
                f"records {other['id']} ({other['split']}) and {record['id']} ({record['split']}) have the same text "
                f"after cropping to {max_chars} characters; raise `max_chars`"
            )
        cropped.append({**record, **asked, "prompt": task.message(**asked, template=template)})
    return cropped, count
