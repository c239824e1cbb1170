"""What a job that writes a training file is told."""

from pipestill.io.records import Json
from pipestill.settings.section import Count, NonzeroShare, Section, Seed, Share
from pipestill.text.sentences import Splitter


class TrainingFileSettings(Section):
    """What a job that writes a training file is told."""

    task: str
    """Name of the task."""
    method: str
    """Whose objective says what a row is: a key of METHODS, or `teacher`."""
    rows: Count | None = None
    """Rows at most, equal per class where there are classes."""
    share: NonzeroShare = 1.0
    """Share of these rows that is taken."""
    seed: Seed
    """Seed of the draw."""
    allow_missing: Share = 0.0
    """Share of the records that may have no rationale."""
    data: Json = {}
    """Options of the task's layout: how long rationales may be."""
    splitter: Splitter = "sentencex"
    """What finds their sentences."""
