"""Cropping of input texts; targets and labels are never touched."""

from pipestill.errors import UserError
from pipestill.records import Record, normalise
from pipestill.tasks import Task


def crop_text(text: str, max_chars: int) -> str:
    """At most ``max_chars`` characters of ``text``, ending at a word boundary where there is one."""
    if len(text) <= max_chars:
        return text
    head = text[:max_chars]
    cut = head.rfind(" ") if not text[max_chars].isspace() else len(head)
    return head[: cut if cut > 0 else max_chars].rstrip()


def crop_records(records: list[Record], task: Task, max_chars: int) -> tuple[list[Record], int]:
    """Records with cropped texts and their prompts, and how many were cropped.

    Raises:
        UserError: two splits share a text after cropping.
    """
    cropped, count, split_of = [], 0, {}
    for record in records:
        text = crop_text(record["text"], max_chars)
        count += text != record["text"]
        other = split_of.setdefault(normalise(text), record)
        if other["split"] != record["split"]:
            raise UserError(
                f"records {other['id']} ({other['split']}) and {record['id']} ({record['split']}) have the same text "
                f"after cropping to {max_chars} characters; raise `max_chars`"
            )
        cropped.append({**record, "text": text, "prompt": task.prompt(text)})
    return cropped, count
