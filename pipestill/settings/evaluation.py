"""Settings of an evaluation job."""

from typing import Annotated, ClassVar

from pydantic import Field

from pipestill.io.records import Json
from pipestill.settings.section import Section, Seed
from pipestill.settings.tasks import OfTask
from pipestill.text.sentences import Splitter


class StatisticsConfig(Section):
    """Intervals and tests."""

    reruns: ClassVar = {"*": "evaluate"}

    resamples: Annotated[int, Field(ge=100, le=10**6)] = 10000
    """Bootstrap resamples."""
    seed: Seed = 0
    """Seed of the bootstrap."""


class Annotator(Section):
    """The author of the rationales that an experiment learnt from."""

    provider: str
    """`annotation.provider` of the configuration."""
    model: str
    """`annotation.model` of the configuration."""


class Described(OfTask):
    """Description of an experiment."""

    experiment: str
    """`<study>_<method>`."""
    study: str
    """Name of the study."""
    method: str
    """Name of the method, of a compressed student, a checkpoint or a variant, or `teacher`."""
    variant_of: str | None = None
    """Name of the method, checkpoint or `teacher` whose models a variant asks."""
    compressed_from: str | None = None
    """Name of the method whose student was compressed; `base` where that was untrained."""
    method_title: str
    """Name of the method in tables."""
    method_summary: str
    """The method in a sentence."""
    student: str | None
    """Key of the student's model; none if no model answers."""
    teacher: str | None
    """Key of the teacher's model, if the study has one."""
    source: str
    """Source of the data, as in the configuration."""
    notes: list[str] = []
    """Sentences that every table shows with it."""
    answers: Json = {}
    """Options of the task's kind of answers; empty if no model answers."""


class Experiment(Described):
    """Description of an experiment, with every setting that its numbers depend on."""

    annotator: Annotator | None = None
    """The author of the rationales that it learnt from."""
    test_sets: list[str] = []
    """Names of the test sets, in order; empty without test sets."""
    splitter: Splitter = "sentencex"
    """Splitter of sentences."""
    statistics: StatisticsConfig = StatisticsConfig()
    """The configuration's `statistics`."""
    settings: Json = {}
    """Every setting that its numbers depend on, including those of the models that it learns from."""
    config_sha256: str
    """Digest of `settings`."""
