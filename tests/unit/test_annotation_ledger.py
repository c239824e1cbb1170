"""The ledger: what is answered is never asked for again, whatever happens in between."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from pipestill.annotation.annotate import annotate, write_estimate
from pipestill.annotation.failures import Refused
from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import read_jsonl
from support.annotation import ASK, serve, settings, write_records

SCRIPT = Path(__file__).parents[2] / "workflow_scripts" / "annotate.py"
WORDS = [f"w{number}" for number in range(40)]


def run(server, directory, texts=WORDS, **changes):
    records = write_records(directory / "records.jsonl", texts)
    output, usage = directory / "rationales.jsonl", directory / "usage.json"
    annotate(settings(server.url, directory, **changes), "task", records, None, output, usage)
    return read_jsonl(output), read_json(usage)


def start(server, directory, **changes):
    """The same as a process of its own."""
    records = write_records(directory / "records.jsonl", WORDS)
    command = [
        sys.executable,
        SCRIPT,
        "--task",
        "task",
        "--records",
        records,
        "--output",
        directory / "rationales.jsonl",
    ]
    command += ["--usage", directory / "usage.json", "--settings"]
    command += [settings(server.url, directory, **changes).model_dump_json()]
    return subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)


def ledger(directory):
    return [json.loads(line) for line in (directory / "ledger/task/ledger.jsonl").read_text().splitlines()]


def test_after_sigkill_and_a_torn_line_every_answer_is_there_exactly_once(tmp_path):
    faults = {word: ["server_error"] for word in WORDS[::5]} | {word: ["empty"] for word in WORDS[1::5]}
    price = {"input": 1.0, "output": 10.0}
    with serve(faults, delay=0.1) as server:
        process = start(server, tmp_path, price=price, max_cost=1)
        while sum(server.answered.values()) < 12:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "rationales.jsonl").exists()
        kept = ledger(tmp_path)
        assert 5 <= len(kept) < 40
        path = tmp_path / "ledger/task/ledger.jsonl"
        path.write_bytes(path.read_bytes() + path.read_bytes()[:70])  # the beginning of a line
        before = Counter(body["messages"][0]["content"] for body in server.bodies)
        rows, usage = run(server, tmp_path, price=price, max_cost=1)
        after = Counter(body["messages"][0]["content"] for body in server.bodies)
    assert [row["rationale"] for row in rows] == [f"findings of {word}" for word in WORDS]
    assert ledger(tmp_path)[: len(kept)] == kept
    assert Counter(row["key"] for row in ledger(tmp_path)).most_common(1)[0][1] == 1
    assert len(ledger(tmp_path)) == 40
    texts = {row["text"].removeprefix("findings of ") for row in kept}
    assert all(after[ASK.format(document=word)] == before[ASK.format(document=word)] for word in texts)
    calls = usage["calls"]
    assert len(server.bodies) <= calls["total"] <= len(server.bodies) + 4, "a row is written before a call is sent"
    assert calls["ok"] + sum(calls["failed"].values()) + calls["unfinished"] == calls["total"]
    assert 1 <= calls["unfinished"] <= 4
    assert usage["cost"]["sources"]["reserved"] == calls["unfinished"]


def test_a_second_run_sends_nothing_and_says_the_same(tmp_path):
    with serve({"w3": ["rate_limit"]}) as server:
        rows, usage = run(server, tmp_path)
        sent = len(server.bodies)
        (tmp_path / "rationales.jsonl").unlink()
        again, usage_again = run(server, tmp_path)
    assert len(server.bodies) == sent == 41
    assert again == rows
    assert {**usage, "wall_s": 0} == {**usage_again, "wall_s": 0}


def test_replay_needs_no_server_and_names_what_is_missing(tmp_path):
    with serve() as server:
        rows, _ = run(server, tmp_path, WORDS[:3])
    assert run(server, tmp_path, WORDS[:3], replay=True)[0] == rows
    with pytest.raises(Refused, match="1 of 4 records have no answer, the first because of the answer is not in"):
        run(server, tmp_path, WORDS[:4], replay=True)


def test_equal_requests_are_sent_once(tmp_path):
    with serve(delay=0.02) as server:
        rows, usage = run(server, tmp_path, ["one", "two"] * 8, concurrency=8)
    assert len(rows) == 16
    assert len(server.bodies) == 2
    assert usage["requests"] == usage["calls"]["total"] == 2


def test_equal_requests_that_fail_are_sent_once_and_counted_for_each_record(tmp_path):
    with serve({"one": ["bad_request"] * 9}) as server, pytest.raises(Refused, match="3 of 4"):
        run(server, tmp_path, ["one", "one", "one", "two"])
    assert len(server.bodies) == 2


def test_steps_are_chained(tmp_path):
    steps = [
        {"prompt": "Name the patient in: {document}", "out": "patient", "system": "You are {document}."},
        {"prompt": "Why {{that}}? {patient} of {document}", "out": "rationale"},
    ]
    replies = {"Name the patient in: a": "Ann", "Why {that}? Ann of a": "because"}
    with serve(answer=replies.get) as server:
        rows, usage = run(server, tmp_path, ["a"], steps=steps)
        assert run(server, tmp_path, ["a"], steps=steps)[0] == rows
    assert rows == [{"id": "r0", "patient": "Ann", "rationale": "because"}]
    assert server.bodies[0]["messages"][0] == {"role": "system", "content": "You are a."}
    assert len(server.bodies) == usage["requests"] == 2


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({"concurrency": 1, "timeout_s": 1, "price": {"input": 1, "output": 1}, "max_attempts": 2}, 0),
        ({"model": "another/model"}, 1),
        ({"temperature": 0.5}, 1),
        ({"seed": 7}, 1),
        ({"extra_body": {"reasoning": {"enabled": False}}}, 1),
        ({"steps": [{"prompt": ASK, "out": "rationale", "max_tokens": 60}]}, 1),
        ({"steps": [{"prompt": ASK, "out": "rationale", "max_tokens": 50, "system": "Be brief."}]}, 1),
    ],
)
def test_answers_are_kept_by_what_they_depend_on(tmp_path, changes, calls):
    with serve() as server:
        run(server, tmp_path, ["one"])
        run(server, tmp_path, ["one"], **changes)
    assert len(server.bodies) == 1 + calls


def test_an_unknown_name_in_a_prompt_is_an_error_of_the_user(tmp_path):
    with serve() as server, pytest.raises(UserError, match=r"\{summary\}.*there are: id, split, target, document"):
        run(server, tmp_path, ["one"], steps=[{"prompt": "{summary}", "out": "rationale"}])
    assert not server.bodies


def test_other_splits_stay_here(tmp_path):
    records = write_records(tmp_path / "test.jsonl", ["secret"], split="test")
    with serve() as server, pytest.raises(UserError, match="no records of the splits train"):
        annotate(settings(server.url, tmp_path), "task", records, None, tmp_path / "out", tmp_path / "usage")
    assert not server.bodies


def test_a_broken_line_amid_the_ledger_costs_one_answer_and_is_named(tmp_path, capsys):
    with serve() as server:
        run(server, tmp_path, ["one", "two", "three"])
        path = tmp_path / "ledger/task/ledger.jsonl"
        first, second, third = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"{}\n" + first + second.replace(b'"text"', b'"tExt"') + third)
        run(server, tmp_path, ["one", "two", "three"])
    assert len(server.bodies) == 4
    assert f"{path}: passing over damaged lines (1, 3)" in capsys.readouterr().err
    assert first in path.read_bytes()


def test_an_estimate_sends_nothing_and_needs_no_key(tmp_path):
    price = {"input": 2.0, "output": 10.0}
    with serve() as server:
        run(server, tmp_path, ["one"])
        records = write_records(tmp_path / "records.jsonl", ["one", "two", "two", "x" * 351])
        changed = settings(server.url, tmp_path, price=price, key_variable="NOT_SET_ANYWHERE")
        write_estimate(changed, "task", records, None, tmp_path / "estimate.json")
    assert len(server.bodies) == 1
    instruction = len(ASK.format(document=""))
    tokens = -(-(instruction + 3) // 4) + -(-(instruction + 351) // 4)
    assert read_json(tmp_path / "estimate.json") == {
        "records": 4,
        "in_ledger": 1,
        "requests": 2,
        "input_tokens": tokens,
        "output_tokens": 100,
        "dollars": pytest.approx((tokens * 2 + 100 * 10) / 1e6),
    }


def test_usage_says_who_answered_and_what_it_took(tmp_path):
    with serve() as server:
        _, usage = run(server, tmp_path, WORDS[:4])
    latency = usage.pop("latency_s")
    assert 0 < latency["p50"] <= latency["p95"] < 20
    assert usage.pop("wall_s") > 0
    assert usage == {
        "records": 4,
        "annotated": 4,
        "requests": 4,
        "calls": {"total": 4, "ok": 4, "failed": {}, "unfinished": 0},
        "tokens": {"input": 400, "output": 40},
        "cost": {"dollars": 0.004, "per_record": 0.001, "sources": {"reported": 4}},
        "finish_reasons": {"stop": 4},
        "served_models": {"served/model": 4},
        "served_providers": {"Some Company": 4},
    }


def test_usage_is_that_of_the_rationales_at_hand(tmp_path):
    with serve() as server:
        run(server, tmp_path, WORDS[:4])
        _, usage = run(server, tmp_path, WORDS[:1], seed=7)
    assert usage["calls"]["total"] == 1
    assert usage["cost"]["dollars"] == 0.001


def test_a_process_that_ends_early_says_so_by_its_exit_code(tmp_path):
    with serve() as server:
        process = start(server, tmp_path, max_requests=3)
        _, message = process.communicate()
    assert process.returncode == 3, message
    assert message.splitlines()[-1] == (
        "error: 3 of 40 records are annotated and kept; 3 requests were sent: raise `max_requests` to go on"
    )
