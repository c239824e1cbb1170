"""The processes of a job that uses several devices, and what they share; by default a job is one process.

:mod:`pipestill.job.launch` starts them. Each works as a job with one device does, which is the only one that it
sees; all that they have in common goes through this module. The first one alone writes.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from pipestill.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

BUCKET = 2**23  # numbers that are added up at a time: 32 MB in float32
PATIENCE = timedelta(days=1)  # for the first process, which may wait for the lock of another job
TOLD = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")  # what torchrun tells each process
T = TypeVar("T")


class Deserted(UserError):
    """Another process has ended; it knows why, so that :mod:`pipestill.job.launch` shows its sentence alone."""


class Processes:
    """One process, which has nobody to share with.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
        beside: how many of them are on this machine.
    """

    rank, size, beside = 0, 1, 1

    @property
    def first(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def share(self, values: Sequence[T]) -> Sequence[T]:
        """This process's part of ``values``; those of all processes hold each value once."""
        return values[self.rank :: self.size] if self.size > 1 else values

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank; all of them must call it."""
        return [value]

    def lead(self, make: Callable[[], T]) -> T:
        """What the first process makes, while the others wait for it."""
        return make()

    def add_up(self, tensors: "Sequence[Tensor]") -> None:
        """Replace ``tensors`` by their sums over all processes, the same bits in each."""

    def part(self) -> None:
        """End the work together: from here on the first process goes on alone."""


ALONE = Processes()


class Group(Processes):
    """Several processes, in the group that torch has set up.

    Raises:
        Deserted: in any call, when another process has ended.
    """

    def __init__(self, rank: int, size: int, beside: int | None = None):
        self.rank, self.size, self.beside = rank, size, beside or size

    def gather(self, value: T) -> list[T]:
        """See :meth:`Processes.gather`."""
        from torch.distributed import all_gather_object

        values: list[Any] = [None] * self.size
        with _others():
            all_gather_object(values, value)
        return values

    def lead(self, make: Callable[[], T]) -> T:
        """See :meth:`Processes.lead`."""
        from torch.distributed import broadcast_object_list

        values = [make() if self.first else None]
        with _others():
            broadcast_object_list(values, src=0)
        return values[0]

    def add_up(self, tensors: "Sequence[Tensor]") -> None:
        """See :meth:`Processes.add_up`."""
        import torch

        for _, alike in groupby(tensors, key=lambda tensor: (tensor.dtype, tensor.device)):
            for bucket in _buckets(alike):
                whole = torch.cat([tensor.flatten() for tensor in bucket])
                with _others():
                    torch.distributed.all_reduce(whole)
                for tensor, total in zip(bucket, whole.split([each.numel() for each in bucket]), strict=True):
                    tensor.copy_(total.view_as(tensor))

    def part(self) -> None:
        """See :meth:`Processes.part`."""
        from torch import distributed

        if distributed.is_initialized():
            distributed.destroy_process_group()


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes of this job, while they work together."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield ALONE
        return
    import torch
    from torch import distributed

    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    told = {name: int(os.environ.pop(name)) for name in TOLD}  # for other libraries each is a job with one device
    group = Group(told["RANK"], told["WORLD_SIZE"], told["LOCAL_WORLD_SIZE"])
    yield group
    group.part()  # not after a mistake: others may be waiting for this one, and learn of its end


@contextmanager
def _others() -> Iterator[None]:
    """Inside, other processes answer, or have ended."""
    try:
        yield
    except RuntimeError as error:
        raise Deserted("another process of this job has ended: its own message says why") from error


def _buckets(tensors: "Iterator[Tensor]") -> "Iterator[list[Tensor]]":
    bucket: list[Tensor] = []
    for tensor in tensors:
        bucket.append(tensor)
        if sum(each.numel() for each in bucket) >= BUCKET:
            yield bucket
            bucket = []
    if bucket:
        yield bucket
