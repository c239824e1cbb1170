"""Documents of a challenge: texts whose summaries are held back, as test records that predictions can be made for."""

from collections.abc import Mapping
from pathlib import Path

from pipestill.data.collection import unanswered_records
from pipestill.data.crop_documents import crop_documents
from pipestill.data.source import take_documents
from pipestill.data.text_crop import Ends
from pipestill.errors import UserError
from pipestill.io.files import fresh_directory
from pipestill.io.lock import exclusive
from pipestill.io.records import Record
from pipestill.settings.data import CropConfig, FileConfig
from pipestill.tasks import TASKS
from pipestill.text.sentences import Splitter


def challenge_records(
    task: str,
    wanted: Mapping[str, FileConfig],
    crop: CropConfig,
    ends: Ends,
    state: Path,
    splitter: Splitter = "sentencex",
) -> list[Record]:
    """The documents of archives or folders as test records, with their prompts.

    Args:
        task: name of a task of documents.
        wanted: archives and folders by name.
        crop: how long texts may be.
        ends: units that ``crop`` counts.
        state: directory that keeps fetched archives from one attempt to the next.
        splitter: see :func:`pipestill.text.sentences.split_sentences`.

    Raises:
        UserError: a file cannot be read, or two documents have the same name.
    """
    with exclusive(state), fresh_directory(state) as directory:
        taken = take_documents(wanted, directory, beside=state)
        paths = [directory / facts["file"] for facts in taken.values()]
        records = [record for path in paths for record in unanswered_records(TASKS[task], path)]
    seen: set[str] = set()
    for record in records:
        if record["id"] in seen:
            raise UserError(f"two documents are called {record['id']}: name every archive once")
        seen.add(record["id"])
    return crop_documents(records, TASKS[task], crop, ends, splitter)[0]
