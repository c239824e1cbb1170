"""Documents of a challenge: texts whose summaries are held back, as test records that predictions can be made for."""

from collections.abc import Mapping
from pathlib import Path

from pipestill.errors import UserError
from pipestill.io.files import fresh_directory
from pipestill.io.lock import exclusive
from pipestill.io.records import Record
from pipestill.layouts.base import Cropping
from pipestill.layouts.documents import DocumentFile, DocumentsData, take_documents
from pipestill.tasks.base import Task


def challenge_records(
    task: Task, wanted: Mapping[str, DocumentFile], options: DocumentsData, how: Cropping, state: Path
) -> list[Record]:
    """The documents of archives or folders as test records, with their prompts.

    Args:
        task: a task of documents.
        wanted: archives and folders by name.
        options: limits of texts.
        how: of their cropping.
        state: directory that keeps fetched archives from one attempt to the next.

    Raises:
        UserError: a file cannot be read, or two documents have the same name.
    """
    with exclusive(state), fresh_directory(state) as directory:
        taken = take_documents(wanted, directory, beside=state)
        paths = [directory / facts["file"] for facts in taken.values()]
        records = [record for path in paths for record in task.layout.unanswered(task, path)]
    seen: set[str] = set()
    for record in records:
        if record.id in seen:
            raise UserError(f"two documents are called {record.id}: name every archive once")
        seen.add(record.id)
    return list(task.layout.crop_all(records, options, how))
