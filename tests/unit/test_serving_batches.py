"""What queued while the model worked is one batch; failures, goers, deadlines and limits in the queue."""

import asyncio
import threading
from types import SimpleNamespace

from pipestill.errors import UserError
from pipestill.serving import batcher
from pipestill.serving.batcher import Batcher, Ticket
from pipestill.serving.problems import Problem

TOO_LONG = UserError("too long")


class Work:
    """A stand-in for the model: it answers when it is let, and remembers its batches."""

    def __init__(self, monkeypatch, bad=(), error=TOO_LONG):
        self.begun, self.let, self.batches = threading.Semaphore(0), threading.Semaphore(0), []
        self.bad, self.error, self.heard = bad, error, {}
        monkeypatch.setattr(batcher, "replies_of", self.replies)

    def replies(self, target, loaded, asking, questions, listen):
        self.batches.append(list(questions))
        self.begun.release()
        assert self.let.acquire(timeout=60)
        for place, question in enumerate(questions):
            self.heard[question] = listen(place, lambda: "piece")
            if question in self.bad:
                raise self.error
            yield place, {"prediction": question.upper()}


class Named:
    target, loaded = SimpleNamespace(name="named"), None


MODEL, OTHER = Named(), Named()


def submit(queue, question, model=MODEL, key="", tokens=10, heard=None):
    ticket = Ticket(model, None, key, question, tokens, asyncio.get_running_loop().create_future(), heard)
    return asyncio.ensure_future(queue.submit(ticket)), ticket


def run(work, scenario, budget=100):
    """Run ``scenario`` with a queue that answers."""

    async def main():
        queue = Batcher(budget)
        queue.start()
        try:
            return await scenario(queue)
        finally:
            queue.close()
            for _ in range(20):
                work.let.release()

    return asyncio.run(main())


async def begun(work):
    assert await asyncio.to_thread(work.begun.acquire, timeout=60)


def test_what_queued_while_the_model_worked_is_one_batch(monkeypatch):
    work = Work(monkeypatch)

    async def scenario(queue):
        first, _ = submit(queue, "a")
        await begun(work)  # by itself, without waiting for others
        others = [submit(queue, *each)[0] for each in (("b",), ("c", OTHER), ("d",), ("e", MODEL, "sampled"), ("f",))]
        await asyncio.sleep(0)
        for _ in range(4):
            work.let.release()
        return [await each for each in (first, *others)]

    replies = run(work, scenario)
    assert [reply["prediction"] for reply in replies] == ["A", "B", "C", "D", "E", "F"]
    assert work.batches == [["a"], ["b", "d", "f"], ["c"], ["e"]]


def test_batches_keep_to_their_tokens_and_have_one_request_at_least(monkeypatch):
    work = Work(monkeypatch)

    async def scenario(queue):
        tasks = [submit(queue, "a")[0]]
        await begun(work)
        tasks += [
            submit(queue, name, tokens=tokens)[0] for name, tokens in (("b", 900), ("c", 60), ("d", 50), ("e", 40))
        ]
        await asyncio.sleep(0)
        for _ in range(4):
            work.let.release()
        await asyncio.gather(*tasks)

    run(work, scenario)
    assert work.batches == [["a"], ["b"], ["c", "e"], ["d"]]


def test_a_failed_batch_is_answered_row_by_row(monkeypatch):
    work = Work(monkeypatch, bad=("c",))

    async def scenario(queue):
        tasks = [submit(queue, "a")[0]]
        await begun(work)
        tasks += [submit(queue, name)[0] for name in ("b", "c", "d")]
        await asyncio.sleep(0)
        for _ in range(6):
            work.let.release()
        return await asyncio.gather(*tasks, return_exceptions=True)

    a, b, c, d = run(work, scenario)
    assert [each["prediction"] for each in (a, b, d)] == ["A", "B", "D"]
    assert isinstance(c, Problem) and (c.status, c.detail) == (422, "too long")
    assert work.batches == [["a"], ["b", "c", "d"], ["c"], ["d"]]  # `b` was handed out before the failure


def test_a_fault_of_the_server_is_told_without_its_text(monkeypatch, caplog):
    work = Work(monkeypatch, bad=("secret",), error=ValueError("secret"))

    async def scenario(queue):
        work.let.release()
        return await asyncio.gather(submit(queue, "secret")[0], return_exceptions=True)

    [problem] = run(work, scenario)
    assert problem.status == 500 and "secret" not in problem.detail + caplog.text and "ValueError at" in caplog.text


def test_who_has_gone_is_not_answered(monkeypatch):
    work = Work(monkeypatch)

    async def scenario(queue):
        first, _ = submit(queue, "a")
        await begun(work)
        waiting, _ = submit(queue, "b")
        await asyncio.sleep(0)
        waiting.cancel()
        first.cancel()  # while the model works: the answer is dropped at its next step
        await asyncio.sleep(0)
        last, _ = submit(queue, "c")
        work.let.release()
        work.let.release()
        await last

    run(work, scenario)
    assert work.batches == [["a"], ["c"]] and work.heard == {"a": False, "c": True}


def test_an_answer_of_which_some_was_told_is_not_begun_again(monkeypatch):
    work, pieces = Work(monkeypatch, bad=("b",)), []

    async def scenario(queue):
        tasks = [submit(queue, "a")[0]]
        await begun(work)
        tasks += [submit(queue, "b", heard=lambda piece: pieces.append(piece()) or True)[0], submit(queue, "c")[0]]
        await asyncio.sleep(0)
        for _ in range(4):
            work.let.release()
        return await asyncio.gather(*tasks, return_exceptions=True)

    _, b, c = run(work, scenario)
    assert isinstance(b, Problem) and c == {"prediction": "C"} and pieces == ["piece"]
    assert work.batches == [["a"], ["b", "c"], ["c"]]


def test_a_queue_that_is_closed_answers_what_is_in_it(monkeypatch):
    work = Work(monkeypatch)

    async def scenario(queue):
        tasks = [submit(queue, name)[0] for name in "ab"]
        await begun(work)
        queue.close()
        for _ in range(3):
            work.let.release()
        return await asyncio.gather(*tasks)

    assert [each["prediction"] for each in run(work, scenario)] == ["A", "B"]
