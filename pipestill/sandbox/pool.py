"""The sandbox: workers that run programs, and the order of their results."""

from collections.abc import Iterable, Iterator

from pipestill.sandbox.limits import Limits
from pipestill.sandbox.program import Program, Result


class Sandbox:
    """Runs programs under one set of limits; a context manager.

    Args:
        limits: What one program may use.
        required: Measures without which nothing runs, of ``MEASURES``.
        workers: Programs at a time; the processors that the job may use if None.
        without: Measures that are not tried.

    Attributes:
        measures: The measures in force, of ``MEASURES``, in its order.

    Raises:
        UserError: a required measure is not in force here.
    """

    def __init__(
        self, limits: Limits = Limits(), required: Iterable[str] = (), workers: int | None = None,
        without: Iterable[str] = (),
    ):  # fmt: skip
        raise NotImplementedError

    def run(self, programs: Iterable[Program]) -> Iterator[Result]:
        """Results of programs, in their order; ``workers`` programs run at a time."""
        raise NotImplementedError
