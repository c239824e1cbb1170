"""What runs the models that jobs ask: a module for each engine.

``versions()``: versions that its answers depend on, beside those of :func:`pipestill.job.versions.versions`.
``planned(plan)``: how it holds a model's weights, where a plan asks for what it cannot do.
``opened(models, plan, place)``: a context with the :class:`~pipestill.inference.loaded.Loaded` model.
``weighed(models, plan, loaded)``: behind that context, the model with weights in this process, whose logits are read.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Models:
    """A model to ask.

    Attributes:
        base: directory of its base model.
        trained: directory of the trained model; none: the base model is asked.
    """

    base: Path
    trained: Path | None


@dataclass(frozen=True)
class Place:
    """Where an engine runs.

    Attributes:
        state: directory for what lives as long as the job.
        devices: that the model is divided among.
        tokens: of a prompt and its answer at most; none: as many as the model reads.
        log: file for a server's output; one of the state when absent.
    """

    state: Path
    devices: int = 1
    tokens: int | None = None
    log: Path | None = None
