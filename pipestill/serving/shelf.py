"""The shelf: experiments of a results tree that may be asked, and nothing else.

What a client names is looked up here, and never becomes a path. Files that change are noticed with the next request: an
experiment is served with what its files say now, or not at all while they are made again.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import yaml

from pipestill.errors import UserError
from pipestill.inference.target import Target, runs_of
from pipestill.io.files import SHA256SUMS, read_json
from pipestill.io.records import Json, iterate_jsonl
from pipestill.methods import method_of
from pipestill.metrics.catalogue import entry_of, metric_title
from pipestill.serving.problems import Problem, busy
from pipestill.tasks import Task

Stamp = tuple[tuple[int, int, int] | None, ...]
JOB = "predictions/job.json"
EVALUATION = "eval.json"
RETRY_SECONDS = 5


def stamp_of(*paths: str | Path) -> Stamp:
    """What changes when files do: none for one that is not there."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            seen = os.stat(path)
            found.append((seen.st_ino, seen.st_mtime_ns, seen.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


@dataclass(frozen=True)
class Exhibit:
    """An experiment as its files say.

    Attributes:
        name: of the experiment.
        targets: its runs by seed.
        stamp: of its files.
        evaluation: the content of ``eval.json``, where there is some.
    """

    name: str
    targets: dict[int, Target]
    stamp: Stamp
    evaluation: Json = field(default_factory=dict)

    @property
    def first(self) -> Target:
        """The run that is asked when none is named."""
        return next(iter(self.targets.values()))

    @property
    def directory(self) -> Path:
        """Directory of the experiment."""
        return self.first.run.parents[1]

    @property
    def task(self) -> Task:
        """Its task."""
        return self.first.task

    @property
    def study(self) -> str:
        """Its study."""
        return self.name.rpartition("_")[0]

    @property
    def method(self) -> str:
        """Its method."""
        return self.name.rpartition("_")[2]

    @property
    def title(self) -> str:
        """Title of its method."""
        return self.evaluation.get("method_title") or method_of(self.method).title

    @cached_property
    def watched(self) -> list[str]:
        """Files that tell when it has changed."""
        experiment = self.directory
        models = [each.model / SHA256SUMS for each in self.targets.values() if each.model]
        paths = [experiment / JOB, experiment / EVALUATION, self.first.base / SHA256SUMS, *models]
        return list(map(str, paths))

    @property
    def predicted(self) -> int:
        """When its predictions were made, in seconds since 1970."""
        job = self.stamp[0]
        return job[1] // 10**9 if job else 0

    @cached_property
    def measured(self) -> Json | None:
        """The primary metric on test data, where it was evaluated."""
        name = self.evaluation.get("primary_metric")
        if name is None:
            return None
        summary, entry = self.evaluation["metrics"][name], entry_of(name)
        found = {"name": name, "title": metric_title(name), "mean": summary["mean"], "ci95": summary["ci95"]}
        return found | {"decimals": entry.decimals}

    @cached_property
    def first_prediction(self) -> Json | None:
        """What the first run said to the first test example."""
        path = self.first.run / "predictions.jsonl"
        try:
            return next((row for row in iterate_jsonl(path) if row["split"] == "test"), None)
        except UserError:  # being made again
            return None

    def run(self, seed: int | None) -> Target:
        """The run with this seed, or else the first.

        Raises:
            Problem: there is none.
        """
        if seed is None:
            return self.first
        if seed not in self.targets:
            known = ", ".join(map(str, self.targets))
            raise Problem(404, f"`{self.name}` has no run with seed {seed}: there are {known}")
        return self.targets[seed]


class Shelf:
    """The experiments that a server may ask.

    Args:
        results: directory of the results tree.
        wanted: names of the experiments; all that have a model when empty.
        study: whose methods have names of their own.

    Raises:
        UserError: there is nothing to serve.
    """

    def __init__(self, results: Path, wanted: Sequence[str] = (), study: str = ""):
        self.results, self.wanted, self.study = results, frozenset(wanted), study
        self._known: dict[str, Exhibit] = {}
        self._looked: set[str] = set()  # at whose files this step of the event loop has looked
        self._titles: tuple[Stamp, dict[str, str]] | None = None
        if not results.is_dir():
            raise UserError(f"{results} does not exist: name a directory of results with `--results`, or make it first")
        there = self._there()
        if missing := sorted(self.wanted - set(there)):
            known = ", ".join(there) or "none yet"
            raise UserError(f"`{missing[0]}` is no experiment with a model under {results} (there are: {known})")
        if not there:
            raise UserError(f"{results} has no experiment with a model that has predicted: make one first")

    def names(self) -> list[str]:
        """Names of the experiments that are there now, by study."""
        return [name for name in self._there() if not self.wanted or name in self.wanted]

    def _there(self) -> list[str]:
        order = list(self.titles())
        found = [path.parents[1].name for path in self.results.glob(f"*/{JOB}")]
        with_model = [name for name in found if "_" in name and method_of(name.rpartition("_")[2]).model]

        def place(name: str) -> tuple[int, str]:
            study = name.rpartition("_")[0]
            return (order.index(study) if study in order else len(order)), name

        return sorted(with_model, key=place)

    def titles(self) -> dict[str, str]:
        """Titles of the studies that the tree's configuration has, in its order; a study without one has its name."""
        path = self.results / "config.yaml"
        stamp = stamp_of(path)
        if self._titles is None or self._titles[0] != stamp:
            self._titles = stamp, _titles(path)
        return self._titles[1]

    def resolve(self, name: str) -> str:
        """The experiment that a client means by ``name``: it, or a method of the server's own study.

        Raises:
            Problem: there is none; says what there is.
        """
        known = self.names()
        for each in (name, f"{self.study}_{name}"):
            if each in known:
                return each
        raise Problem(404, f"there is no such experiment: this server has {', '.join(known)}")

    def find(self, name: str) -> Exhibit:
        """The experiment that a client means by ``name``, as its files are now.

        Raises:
            Problem: there is none, or it is being made again.
        """
        for each in (name, f"{self.study}_{name}"):
            known = self._known.get(each)
            if known is not None and self._is_as_read(known):
                return known
        return self._read(self.resolve(name))

    def _is_as_read(self, known: Exhibit) -> bool:
        """Whether its files have not changed; one look does for all who ask in one step of the event loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another thread
            return stamp_of(*known.watched) == known.stamp
        if known.name in self._looked:
            return True
        if stamp_of(*known.watched) != known.stamp:
            return False
        if not self._looked:
            loop.call_soon(self._looked.clear)
        self._looked.add(known.name)
        return True

    def find_study(self, study: str) -> Exhibit:
        """The first experiment of a study.

        Raises:
            Problem: there is none, or it is being made again.
        """
        by_study: dict[str, str] = {}
        for name in self.names():
            by_study.setdefault(name.rpartition("_")[0], name)
        if study not in by_study:
            raise Problem(404, f"there is no such study: this server has {', '.join(by_study)}")
        return self.find(by_study[study])

    def _read(self, name: str) -> Exhibit:
        """Read the files of an experiment.

        Raises:
            Problem: they are not whole.
        """
        directory = self.results / name
        try:
            before = stamp_of(directory / JOB)
            targets = runs_of(name, directory)
            path = directory / EVALUATION
            exhibit = Exhibit(name, targets, (), evaluation_of(path))
            stamp = stamp_of(*exhibit.watched)
        except (UserError, OSError) as error:
            said = error if isinstance(error, UserError) else f"{type(error).__name__} while it was read"
            raise busy(f"`{name}` cannot be served now: {said}", RETRY_SECONDS) from None
        gone = [path for seen, path in zip(stamp, exhibit.watched, strict=True) if seen is None]
        if stamp[:1] != before or [path for path in gone if not path.endswith(EVALUATION)]:
            raise busy(f"`{name}` is being made again: try later", RETRY_SECONDS)
        exhibit = self._known[name] = replace(exhibit, stamp=stamp)
        return exhibit

    def all(self) -> list[Exhibit]:
        """All experiments that can be served now."""
        found = []
        for name in self.names():
            try:
                found.append(self.find(name))
            except Problem:
                continue
        return found


def evaluation_of(path: Path) -> Json:
    """The content of an ``eval.json``; nothing where there is none.

    Raises:
        UserError: it is none that evaluation writes.
    """
    content = read_json(path) if path.is_file() else {}
    try:
        name = content.get("primary_metric")
        if name is not None:
            entry_of(name)
            _ = [content["metrics"][name][part] for part in ("mean", "ci95")]
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is not as evaluation writes it: evaluate again") from None
    return content


def _titles(config: Path) -> dict[str, str]:
    try:
        content = yaml.safe_load(config.read_text())
        return {name: (content["studies"][name] or {}).get("title") or name for name in content["run"]}
    except (OSError, KeyError, TypeError, AttributeError, ValueError, yaml.YAMLError):  # by hand, or another version
        return {}
