"""Models are loaded once and given up for others; results that change are noticed, and served whole or not at all."""

import asyncio
import os
import shutil
import threading
from types import SimpleNamespace

import pytest
import torch

from pipestill.errors import UserError
from pipestill.io.files import SHA256SUMS, read_json, write_json, write_text
from pipestill.io.seals import seal
from pipestill.serving import pool as pools
from pipestill.serving.examples import Examples
from pipestill.serving.pool import Pool, weights_of
from pipestill.serving.problems import Problem
from pipestill.serving.shelf import Shelf
from support.served import make_results

MB = 2**20


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("made"), creditmix={}, dolly={})


@pytest.fixture
def results(made, tmp_path):
    return shutil.copytree(made, tmp_path / "results")


@pytest.fixture
def shelf(results):
    return Shelf(results)


class Loader:
    """A stand-in for loading: models of a megabyte."""

    def __init__(self):
        self.loads, self.error, self.let = [], None, threading.Event()
        self.let.set()

    def __call__(self, target, threads):
        assert self.let.wait(60)
        self.loads.append((target.name, target.seed))
        if self.error:
            raise self.error
        weights = torch.zeros(MB // 4)
        return SimpleNamespace(model=SimpleNamespace(parameters=lambda: [weights, weights], buffers=lambda: []))


@pytest.fixture
def loader(monkeypatch):
    monkeypatch.setattr(pools, "weights_of", lambda target: MB)
    return Loader()


async def use(pool, shelf, name, seed=None):
    exhibit = shelf.find(name)
    async with pool.borrow(exhibit, exhibit.run(seed)) as model:
        return model


def test_a_model_is_loaded_once_for_all_who_wait(shelf, loader):
    async def main():
        pool = Pool(None, 1, loader)
        models = await asyncio.gather(*(use(pool, shelf, "creditmix_sft") for _ in range(5)))
        assert len({id(model) for model in models}) == 1 and pool.size == MB and len(pool) == 1 and pool.warm
        assert await use(pool, shelf, "creditmix_sft") is models[0]

    asyncio.run(main())
    assert loader.loads == [("creditmix_sft", 1)]


def test_the_least_recently_used_makes_room_and_none_in_use_does(shelf, loader, monkeypatch):
    monkeypatch.setattr(pools, "ROOM_SECONDS", 0)

    async def main():
        pool = Pool(2 * MB, 1, loader)
        for name, seed in (("creditmix_sft", 1), ("creditmix_sft", 2), ("creditmix_sft", 1), ("dolly_sft", 1)):
            await use(pool, shelf, name, seed)
        assert pool.size == 2 * MB
        await use(pool, shelf, "creditmix_sft", 1)
        assert len(loader.loads) == 3  # it had stayed
        exhibit = shelf.find("creditmix_sft")
        async with pool.borrow(exhibit, exhibit.run(1)), pool.borrow(exhibit, exhibit.run(2)):
            with pytest.raises(Problem, match="there is no memory for `dolly_sft` while other models answer") as error:
                await use(pool, shelf, "dolly_sft")
            assert error.value.status == 503 and "Retry-After" in error.value.headers
            assert pool.size == 2 * MB

    asyncio.run(main())


def test_a_model_waits_for_room_until_another_has_answered(shelf, loader):
    async def main():
        pool = Pool(MB, 1, loader)
        exhibit = shelf.find("creditmix_sft")
        async with pool.borrow(exhibit, exhibit.first):
            waiting = asyncio.ensure_future(use(pool, shelf, "dolly_sft"))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done() and pool.loaded("creditmix_sft") == [1]
        await waiting
        assert pool.loaded("creditmix_sft") == [] and pool.loaded("dolly_sft") == [1]

    asyncio.run(main())


def test_models_that_are_loaded_at_once_keep_to_the_limit(shelf, loader):
    async def main():
        pool = Pool(MB, 1, loader)
        await asyncio.gather(*(use(pool, shelf, "creditmix_sft", seed) for seed in (1, 2)))
        assert pool.size == MB

    asyncio.run(main())


def test_one_model_is_loaded_while_another_answers(shelf, loader):
    async def main():
        pool = Pool(None, 1, loader)
        await use(pool, shelf, "creditmix_sft")
        loader.let.clear()
        waiting = asyncio.ensure_future(use(pool, shelf, "dolly_sft"))
        await asyncio.sleep(0)
        await use(pool, shelf, "creditmix_sft")
        assert not waiting.done()
        loader.let.set()
        await waiting

    asyncio.run(main())


@pytest.mark.parametrize("error", [UserError("it is damaged"), OSError("it is damaged"), RuntimeError("it is damaged")])
def test_a_failure_is_said_and_tried_again_later(shelf, loader, monkeypatch, error):
    async def main():
        pool, loader.error = Pool(None, 1, loader), error
        for _ in range(3):  # soon after, it is told and not tried again
            with pytest.raises(Problem, match="the model of `creditmix_sft` cannot be loaded: it is damaged") as found:
                await use(pool, shelf, "creditmix_sft")
            assert found.value.status == 503
        assert len(loader.loads) == 1 and not pool.warm
        loader.error = None
        monkeypatch.setattr(pools, "RETRY_SECONDS", 0)
        await use(pool, shelf, "creditmix_sft")

    asyncio.run(main())


def test_an_experiment_that_was_made_again_is_loaded_again(shelf, results, loader):
    async def main():
        pool = Pool(None, 1, loader)
        first = await use(pool, shelf, "creditmix_sft")
        predictions, job = (
            results / "creditmix_sft/predictions",
            read_json(results / "creditmix_sft/predictions/job.json"),
        )
        write_json(predictions / "job.json", job)  # a new file with the same content
        second = await use(pool, shelf, "creditmix_sft")
        assert second is not first and second.stamp != first.stamp and len(pool) == 1
        predictions.rename(results / "away")
        with pytest.raises(Problem, match=r"no such experiment: this server has dolly_sft$"):
            await use(pool, shelf, "creditmix_sft")
        (results / "away").rename(predictions)
        await use(pool, shelf, "creditmix_sft")

    asyncio.run(main())
    assert len(loader.loads) == 2


def test_what_is_not_whole_is_not_served(shelf, results):
    listing = results / "models/base" / SHA256SUMS
    content = listing.read_text()

    async def main():
        pool = Pool(None, 1)
        listing.unlink()
        with pytest.raises(Problem, match="`creditmix_sft` is being made again: try later"):
            await use(pool, shelf, "creditmix_sft")
        write_text(listing, content + "\n")  # a model that was trained again, and has not predicted
        with pytest.raises(Problem, match="was trained again after it had predicted"):
            await use(pool, shelf, "creditmix_sft")
        write_text(listing, content)
        model = await use(pool, shelf, "creditmix_sft")
        assert model.size == pytest.approx(weights_of(model.target), rel=0.1)

    asyncio.run(main())


@pytest.mark.parametrize("content", [[], {"primary_metric": "none"}, {"primary_metric": "accuracy"}])
def test_an_evaluation_that_is_none_is_said_and_harms_no_other(shelf, results, content):
    write_json(results / "creditmix_sft/eval.json", content)
    with pytest.raises(Problem, match="`creditmix_sft` cannot be served now"):
        shelf.find("creditmix_sft")
    assert [exhibit.name for exhibit in shelf.all()] == ["dolly_sft"]


def test_a_configuration_that_is_no_text_gives_no_titles(shelf, results):
    (results / "config.yaml").write_bytes(b"\xff")
    assert shelf.titles() == {} and shelf.names() == ["creditmix_sft", "dolly_sft"]


def test_damaged_examples_are_said_and_harm_nothing_else(shelf, results):
    data = results / "data/creditmix/cropped.jsonl"
    seal(data)
    examples, exhibit = Examples(), shelf.find("creditmix_sft")
    assert examples.count(exhibit) == 3
    write_text(data, "{")
    assert examples.count(exhibit) == 0
    with pytest.raises(Problem, match="is not as it was made"):
        examples.row(exhibit, 1)


def test_files_that_change_while_a_model_is_loaded_are_not_mixed(shelf, results, loader):
    async def main():
        pool = Pool(None, 1, loader)
        loader.let.clear()
        waiting = asyncio.ensure_future(use(pool, shelf, "creditmix_sft"))
        await asyncio.sleep(0)
        os.utime(results / "creditmix_sft/predictions/job.json", ns=(1, 1))
        loader.let.set()
        with pytest.raises(Problem, match="changed while it was loaded: try again"):
            await waiting
        await use(pool, shelf, "creditmix_sft")

    asyncio.run(main())


def test_there_must_be_something_to_serve(results, tmp_path):
    (tmp_path / "empty").mkdir()
    for path, said in ((tmp_path / "none", "does not exist"), (tmp_path / "empty", "has no experiment with a model")):
        with pytest.raises(UserError, match=said):
            Shelf(path)
    with pytest.raises(UserError, match=r"`creditmix_kd` is no experiment .* \(there are: creditmix_sft, dolly_sft\)"):
        Shelf(results, ["creditmix_sft", "creditmix_kd"])
    assert Shelf(results, ["dolly_sft"]).names() == ["dolly_sft"]
    with pytest.raises(UserError, match=r"--max-memory is 10 bytes, but the weights of `creditmix_sft` take \d+: give"):
        Pool(10, 1).check(Shelf(results).all())


def test_what_a_client_names_is_no_path(shelf):
    for name in ("../results/creditmix_sft", ".", "creditmix_sft/predictions", "models", "/etc", ""):
        with pytest.raises(Problem, match="there is no such experiment"):
            shelf.find(name)
