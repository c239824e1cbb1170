"""The pool: models that are loaded with their first request, and given up, the least recently used first, for others.

All of its state is the event loop's, which alone calls it; models are loaded in a thread of their own, one at a time,
while others answer.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pipestill.errors import UserError, first_line
from pipestill.inference.by_hand import load_target
from pipestill.inference.loaded import Loaded
from pipestill.inference.target import Target
from pipestill.io.files import SHA256SUMS, sha256
from pipestill.io.seals import verify
from pipestill.serving.problems import Problem, busy, unexpected
from pipestill.serving.shelf import Exhibit, Stamp, stamp_of

ROOM_SECONDS = 5  # that a model waits for others to have answered, so that there is room for it
RETRY_SECONDS = 5  # after which a model that could not be loaded is tried again
WEIGHTS, ADAPTER = "*.safetensors", "adapter_model.safetensors"
Key = tuple[str, int | None]


@dataclass(eq=False)
class Model:
    """A model that is loaded.

    Attributes:
        target: what it is.
        loaded: it.
        stamp: of the files that it was loaded from.
        size: bytes of its weights.
        users: requests that hold it.
    """

    target: Target
    loaded: Loaded
    stamp: Stamp
    size: int
    users: int = 0


class Pool:
    """Models by experiment and seed.

    Args:
        max_memory: bytes of weights that are held at a time; none: no limit.
        threads: torch threads.
        loader: loads the model of a target; another one in tests.
    """

    def __init__(self, max_memory: int | None, threads: int, loader: Callable[[Target, int], Loaded] = load_target):
        self.max_memory, self.threads, self._loader = max_memory, threads, loader
        self._models: dict[Key, Model] = {}  # the least recently used first
        self._loading: dict[tuple[Key, Stamp], asyncio.Task[Model]] = {}
        self._failed: dict[Key, tuple[Stamp, float, Problem]] = {}
        self._executor, self._turn = ThreadPoolExecutor(1, "load"), asyncio.Lock()
        self._freed = asyncio.Event()  # a request has given a model back
        self.warm = False  # some model has been loaded

    @property
    def size(self) -> int:
        """Bytes of the weights that are held."""
        return sum(model.size for model in self._models.values())

    def __len__(self) -> int:
        """Models that are held."""
        return len(self._models)

    def loaded(self, experiment: str) -> list[int]:
        """Seeds of the runs of an experiment that are in memory; any thread may ask."""
        return sorted(seed for name, seed in list(self._models) if name == experiment)

    @asynccontextmanager
    async def borrow(self, exhibit: Exhibit, target: Target) -> AsyncIterator[Model]:
        """The model of a run, which stays loaded inside.

        Raises:
            Problem: it cannot be loaded now.
        """
        model = await self._get(exhibit, target)
        model.users += 1
        try:
            yield model
        finally:
            model.users -= 1
            self._freed.set()

    async def _get(self, exhibit: Exhibit, target: Target) -> Model:
        key = (exhibit.name, target.seed)
        model = self._models.pop(key, None)
        if model is not None and model.stamp == exhibit.stamp:
            self._models[key] = model  # the most recently used last
            return model
        failed = self._failed.get(key)
        if failed and failed[0] == exhibit.stamp and time.monotonic() - failed[1] < RETRY_SECONDS:
            raise failed[2]
        task = self._loading.get((key, exhibit.stamp))
        if task is None:
            task = asyncio.ensure_future(self._load(key, exhibit, target))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # who waited may have gone
            self._loading[key, exhibit.stamp] = task
        return await asyncio.shield(task)

    async def _load(self, key: Key, exhibit: Exhibit, target: Target) -> Model:
        try:
            async with self._turn:  # room that is made for a model is not given to another one
                await self._make_room(weights_of(target), exhibit.name)
                loop = asyncio.get_running_loop()
                loaded, size = await loop.run_in_executor(self._executor, self._loaded, target)
                if stamp_of(*exhibit.watched) != exhibit.stamp:
                    raise busy(f"`{exhibit.name}` changed while it was loaded: try again")
                model = self._models[key] = Model(target, loaded, exhibit.stamp, size)
                self.warm = True
                self._failed.pop(key, None)
                return model
        except Problem:
            raise
        except Exception as error:
            problem = _not_loaded(exhibit.name, error)
            self._failed[key] = exhibit.stamp, time.monotonic(), problem
            raise problem from None
        finally:
            del self._loading[key, exhibit.stamp]

    async def _make_room(self, size: int, name: str) -> None:
        """Give up models until there is room for one of ``size`` bytes.

        Raises:
            Problem: all others stay in use.
        """
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                while not self._has_room(size):
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            raise busy(f"there is no memory for `{name}` while other models answer: try again") from None

    def _has_room(self, size: int) -> bool:
        """Whether there is room for ``size`` bytes, when models that nobody uses are given up for it."""
        for key, model in list(self._models.items()):
            if self.max_memory is None or self.size + size <= self.max_memory:
                break
            if not model.users:
                del self._models[key]
        return self.max_memory is None or self.size + size <= self.max_memory

    def _loaded(self, target: Target) -> tuple[Loaded, int]:
        """In the loader's thread."""
        gc.collect()  # models that were given up refer to themselves
        check_whole(target)
        loaded = self._loader(target, self.threads)
        return loaded, size_of(loaded)

    def check(self, exhibits: Iterable[Exhibit]) -> None:
        """Refuse a limit of memory that some model is above.

        Raises:
            UserError: names the model.
        """
        for exhibit in exhibits if self.max_memory is not None else ():
            size = weights_of(exhibit.first)
            if size > self.max_memory:
                raise UserError(
                    f"--max-memory is {self.max_memory} bytes, but the weights of `{exhibit.name}` take {size}: give "
                    "more, or name other --experiments"
                )

    def close(self) -> None:
        """Load no more."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def check_whole(target: Target) -> None:
    """Refuse a run whose predictions are damaged, or are of another model than the one that is there.

    Raises:
        UserError: says which.
    """
    verify(target.run.parent)
    if target.weights and sha256((target.model or target.base) / SHA256SUMS) != target.weights:
        raise UserError("it was trained again after it had predicted, and is not whole before it has predicted again")


def weights_of(target: Target) -> int:
    """Bytes of the files that the weights of a run come from."""
    whole = target.model is not None and not (target.model / ADAPTER).is_file()
    directories: list[Path] = [target.model] if whole else [each for each in (target.base, target.model) if each]
    return sum(file.stat().st_size for directory in directories for file in directory.glob(WEIGHTS))


def size_of(loaded: Loaded) -> int:
    """Bytes of the weights of a model; those that are tied count once."""
    tensors = [*loaded.model.parameters(), *loaded.model.buffers()]
    return sum({id(each): each.numel() * each.element_size() for each in tensors}.values())


def _not_loaded(name: str, error: Exception) -> Problem:
    """Why a model cannot be loaded."""
    if isinstance(error, UserError | OSError | MemoryError | RuntimeError):  # torch tells a lack of memory as the last
        return busy(f"the model of `{name}` cannot be loaded: {first_line(error)}", RETRY_SECONDS)
    unexpected(error)
    return busy(f"the model of `{name}` cannot be loaded, the server's log says why", RETRY_SECONDS)
