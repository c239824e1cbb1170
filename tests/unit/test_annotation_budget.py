"""Limits that hold whatever happens: with many threads, after a kill, with failures."""

import threading
import time

import pytest

from pipestill.annotation.annotate import annotate
from pipestill.annotation.budget import Budget, BudgetReached
from pipestill.annotation.gate import Gate, Stopped
from pipestill.annotation.pricing import cost_of
from pipestill.io.records import read_jsonl
from support.annotation import COST, serve, settings, write_records


def run(server, directory, texts, **changes):
    records = write_records(directory / "records.jsonl", texts)
    annotate(settings(server.url, directory, **changes), "task", records, None, directory / "out", directory / "usage")


@pytest.mark.parametrize("concurrency", [1, 8])
def test_many_threads_do_not_overshoot(tmp_path, concurrency):
    """Each answer costs 0.001 and may cost 0.0015: of 0.020, at least 0.0185 can be spent, and no more than 0.020."""
    price = {"input": 0.0, "output": 30.0}  # 50 tokens: $0.0015
    texts = [str(number) for number in range(60)]
    with serve(delay=0.01) as server:
        with pytest.raises(BudgetReached, match=r"of \$0\.020000 are spent") as error:
            run(server, tmp_path, texts, price=price, max_cost=0.02, concurrency=concurrency)
        assert error.value.exit_code == 3
        sent = len(server.bodies)
        assert sent * COST <= 0.02
        assert sent * COST > 0.02 - 0.0015
        with pytest.raises(BudgetReached):
            run(server, tmp_path, texts, price=price, max_cost=0.02, concurrency=concurrency)
        assert len(server.bodies) == sent, "the limit is on the ledger, not on a run"
        run(server, tmp_path, texts, price=price, max_cost=0.07, concurrency=concurrency)
    assert len(server.bodies) == 60
    assert max(server.at_a_time) <= concurrency


def test_requests_are_limited_with_their_repetitions(tmp_path):
    with serve({"0": ["server_error"] * 3}, delay=0.01) as server:
        with pytest.raises(BudgetReached, match="10 requests were sent"):
            run(server, tmp_path, [str(number) for number in range(20)], max_requests=10)
        assert len(server.bodies) == 10


def test_money_that_is_set_aside_is_waited_for(tmp_path):
    budget = Budget(tmp_path / "calls.jsonl", max_cost=1.0)
    first = budget.open("a", 0.8)
    opened = []
    waiter = threading.Thread(target=lambda: opened.append(budget.open("b", 0.8)))
    waiter.start()
    time.sleep(0.05)
    assert not opened
    budget.close(first, "ok", 0.1)
    waiter.join(timeout=5)
    assert len(opened) == 1
    budget.close(opened[0], "ok", 0.3)
    assert budget.spent == pytest.approx(0.4)
    with pytest.raises(BudgetReached):
        budget.open("c", 0.7)


def test_a_call_without_an_end_counts_at_its_most(tmp_path):
    budget = Budget(tmp_path / "calls.jsonl", max_cost=1.0)
    budget.close(budget.open("a", 0.4), "ok", 0.1)
    budget.open("b", 0.4)
    again = Budget(tmp_path / "calls.jsonl", max_cost=1.0)
    assert again.spent == pytest.approx(0.5)
    with pytest.raises(BudgetReached):
        again.open("c", 0.51)


def test_a_journal_that_lost_a_line_keeps_all_others(tmp_path):
    path = tmp_path / "calls.jsonl"
    budget = Budget(path, max_cost=9.0)
    for request in "abc":
        budget.close(budget.open(request, 0.4), "ok", 0.1)
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if '"a"' not in line))
    again = Budget(path, max_cost=9.0, max_requests=4)
    again.close(again.open("d", 0.4), "ok", 0.1)
    with pytest.raises(BudgetReached, match="4 requests were sent"):
        again.open("e", 0.4)
    assert [call["request"] for call in Budget(path).calls()] == ["b", "c", "d"]


def test_after_a_call_that_cost_more_than_reserved_more_is_reserved(tmp_path):
    budget = Budget(tmp_path / "calls.jsonl", max_cost=1.0)
    budget.close(budget.open("a", 0.1), "ok", 0.3)
    for each in (budget, Budget(tmp_path / "calls.jsonl", max_cost=1.0)):
        with pytest.raises(BudgetReached, match=r"may cost \$0\.750000"):
            each.open("b", 0.25)


def test_reservations_are_written_before_anything_is_sent(tmp_path):
    price = {"input": 1.0, "output": 30.0}
    with serve(delay=0.3) as server:
        thread = threading.Thread(target=run, args=(server, tmp_path, ["0"]), kwargs={"price": price, "max_cost": 1.0})
        thread.start()
        while not server.bodies:
            time.sleep(0.005)
        [row] = read_jsonl(tmp_path / "ledger/task/calls.jsonl")
        thread.join()
    message = server.bodies[0]["messages"][0]["content"]
    assert row["reserved"] >= (len(message.encode()) + 50 * 30) / 1e6


def test_prices_that_nobody_knows_are_not_made_up():
    assert cost_of(None, True, 0.0, None) == {"cost": 0.0, "cost_source": "unknown"}


def test_the_gate_keeps_the_pace():
    gate, start = Gate(concurrency=4, requests_per_minute=1200), time.monotonic()

    def pass_through():
        for _ in range(3):
            with gate.passage(10):
                pass

    threads = [threading.Thread(target=pass_through) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 11 * 0.05 <= time.monotonic() - start < 10


def test_a_pause_holds_for_whoever_comes():
    gate, start = Gate(concurrency=4), time.monotonic()
    gate.pause(0.3)
    gate.pause(0.1)
    waits = []

    def enter():
        with gate.passage(1):
            waits.append(time.monotonic() - start)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waits) == 4
    assert min(waits) >= 0.3


def test_tokens_have_a_pace_of_their_own():
    gate, start = Gate(concurrency=1, tokens_per_minute=60_000), time.monotonic()
    for _ in range(3):
        with gate.passage(100):
            pass
    assert 0.2 <= time.monotonic() - start < 10


def test_the_gate_narrows_when_refused_and_widens_with_success():
    gate = Gate(concurrency=8)
    gate.slower()
    gate.slower()
    assert gate.limit == 2
    for _ in range(2):
        gate.succeeded()
    assert gate.limit == 3
    for _ in range(100):
        gate.succeeded()
    assert gate.limit == 8
    for _ in range(9):
        gate.slower()
    assert gate.limit == 1


def test_stop_wakes_everybody():
    gate, stopped = Gate(concurrency=1), []

    def wait(how):
        try:
            how()
        except Stopped:
            stopped.append(how)

    def enter():
        with gate.passage(1):
            raise AssertionError("nobody passes")

    with gate.passage(1):
        threads = [threading.Thread(target=wait, args=(how,)) for how in (enter, lambda: gate.rest(60))]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        gate.stop()
        for thread in threads:
            thread.join(timeout=5)
    assert len(stopped) == 2
