"""Transformers: the model lies in this process."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipestill.inference.engines import Models, Place
from pipestill.inference.loaded import Loaded, load
from pipestill.models.hardware import HardwarePlan


def versions() -> dict[str, str]:
    """None beside those of every job."""
    return {}


def planned(plan: HardwarePlan) -> HardwarePlan:
    """The plan."""
    return plan


@contextmanager
def opened(models: Models, plan: HardwarePlan, place: Place) -> Iterator[Loaded]:
    """The model, which stays loaded behind the context for as long as anyone holds it."""
    yield load(models.base, models.trained, plan)


def weighed(models: Models, plan: HardwarePlan, loaded: Loaded) -> Loaded:
    """The same."""
    return loaded
