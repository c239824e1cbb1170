"""What calls cost, whoever reports it, and what is known of it when a file is lost."""

import pytest

from pipestill.annotation.annotate import annotate
from pipestill.annotation.answer import Answer
from pipestill.annotation.budget import BudgetReached
from pipestill.annotation.pricing import cost_of
from pipestill.io.files import read_json
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.settings.annotation import PriceConfig
from support.annotation import COST, completion, serve, settings, write_records

PRICE = PriceConfig(input=1.0, output=10.0)  # 100 tokens and 10 tokens: $0.0002
COUNTS = {"prompt_tokens": 100, "completion_tokens": 10}


def answer(text="fine", **usage):
    return Answer(text, "stop", None, None, None, usage, 0.1)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({"cost": 0.5}, 0.5),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.002}}, 0.002),
        ({"cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, 0.021),
        ({"cost": 0.001, "cost_details": {"upstream_inference_cost": 0.02}}, 0.021),
        ({"cost_details": {"upstream_inference_cost": 0.02}}, 0.02),
        ({"cost": 0.02, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.02}}, 0.02),
        (
            {
                "cost": 0,
                "is_byok": True,
                "cost_details": {
                    "upstream_inference_cost": None,
                    "upstream_inference_prompt_cost": 0.001,
                    "upstream_inference_completions_cost": 0.002,
                },
            },
            0.003,
        ),
        ({"cost": 0.5, "cost_details": {"upstream_inference_cost": -1}}, 0.5),
        ({"cost": 0.5, "cost_details": "none"}, 0.5),
        ({"cost": "0.5"}, None),
        ({"cost": True}, None),
        ({"cost": float("inf")}, None),
        ({}, None),
    ],
)
def test_the_money_of_ones_own_key_counts(usage, cost):
    assert answer(**usage).cost == (cost if cost is None else pytest.approx(cost))


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (COUNTS, (100, 10)),
        ({**COUNTS, "total_tokens": 110}, (100, 10)),
        ({**COUNTS, "total_tokens": 400}, (100, 300)),
        ({**COUNTS, "total_tokens": 50}, (100, 10)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (None, None)),
        ({"prompt_tokens": 100.0, "completion_tokens": "10"}, (None, None)),
    ],
)
def test_thoughts_that_only_the_total_counts_are_counted(usage, tokens):
    found = answer(**usage).tokens
    assert (found.get("input_tokens"), found.get("output_tokens")) == tokens


def test_an_empty_answer_may_have_no_tokens():
    assert answer(text="", prompt_tokens=5, completion_tokens=0).tokens == {"input_tokens": 5, "output_tokens": 0}


@pytest.mark.parametrize(
    ("usage", "price", "cost", "source"),
    [
        ({"cost": 0.5, **COUNTS}, PRICE, 0.5, "reported"),
        ({"cost": 0, **COUNTS}, PRICE, 0.0002, "estimated"),
        ({"cost": 0.0001, **COUNTS}, PRICE, 0.0002, "estimated"),
        (COUNTS, PRICE, 0.0002, "estimated"),
        ({"cost": 0.5}, PRICE, 0.5, "reported"),
        ({"cost": 0}, PRICE, 0.9, "reserved"),
        ({"cost": 0, "prompt_tokens": 0, "completion_tokens": 0}, PRICE, 0.9, "reserved"),
        ({}, PRICE, 0.9, "reserved"),
        ({"cost": 0, **COUNTS}, None, 0.0, "reported"),
        ({"cost": 0, **COUNTS}, PriceConfig(input=0, output=0), 0.0, "reported"),
        (COUNTS, PriceConfig(input=0, output=0), 0.0, "estimated"),
        ({}, None, 0.9, "unknown"),
    ],
)
def test_a_call_costs_no_less_than_its_tokens(usage, price, cost, source):
    found = cost_of(answer(**usage), True, 0.9, price)
    assert (found["cost"], found["cost_source"]) == (pytest.approx(cost), source)


def run(server, directory, texts, **changes):
    records = write_records(directory / "records.jsonl", texts)
    annotate(settings(server.url, directory, **changes), "task", records, None, directory / "out", directory / "usage")
    return read_json(directory / "usage")


@pytest.fixture
def own_key(monkeypatch):
    """A provider that is paid by the key of another: it reports a cost of nothing, and $0.002 upstream."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "cost": 0, "is_byok": True}
    usage["cost_details"] = {"upstream_inference_cost": 0.002}
    monkeypatch.setattr("support.annotation.completion", lambda text: completion(text, changes={"usage": usage}))


def test_a_limit_holds_for_ones_own_key(tmp_path, own_key):
    texts = [str(number) for number in range(40)]
    with serve() as server, pytest.raises(BudgetReached, match=r"of \$0\.020000 are spent"):
        run(server, tmp_path, texts, price={"input": 0.0, "output": 10.0}, max_cost=0.02)
    assert len(server.bodies) <= 10


def test_a_lost_journal_does_not_reset_the_limits(tmp_path):
    """Each answer costs $0.001, the ledger says so, and one of them took two attempts."""
    price = {"input": 0.0, "output": 10.0}  # at most $0.0005
    calls = tmp_path / "ledger" / "task" / "calls.jsonl"
    with serve({"1": ["server_error"]}) as server:
        used = run(server, tmp_path, ["0", "1", "2"], price=price, max_cost=0.0031)
        calls.unlink()
        with pytest.raises(BudgetReached, match=r"\$0\.003000 of \$0\.003100 are spent"):
            run(server, tmp_path, ["0", "1", "2", "3"], price=price, max_cost=0.0031)
        with pytest.raises(BudgetReached, match="4 requests were sent"):
            run(server, tmp_path, ["0", "1", "2", "3"], max_requests=4)
        assert len(server.bodies) == 4
        again = run(server, tmp_path, ["0", "1", "2"])
    assert again["cost"]["dollars"] == used["cost"]["dollars"] == pytest.approx(3 * COST)
    assert again["cost"]["sources"] == {"ledger": 4}
    assert again["calls"] == used["calls"] | {"failed": {"lost": 1}}


def test_calls_that_are_known_are_not_entered_again(tmp_path):
    with serve({"1": ["server_error"]}) as server:
        run(server, tmp_path, ["0", "1"])
        calls = (tmp_path / "ledger" / "task" / "calls.jsonl").read_bytes()
        run(server, tmp_path, ["0", "1"])
    assert (tmp_path / "ledger" / "task" / "calls.jsonl").read_bytes() == calls


def test_answers_of_a_ledger_without_costs_count_by_what_they_say(tmp_path):
    with serve() as server:
        run(server, tmp_path, ["0", "1"])
        path = tmp_path / "ledger" / "task" / "ledger.jsonl"
        left_out = ("cost", "crc32")
        rows = [{name: row[name] for name in row if name not in left_out} for row in read_jsonl(path)]
        write_jsonl(path, [rows[0], rows[1] | {"usage": {}}])
        (path.parent / "calls.jsonl").unlink()
        used = run(server, tmp_path, ["0", "1"], price={"input": 0.0, "output": 100.0}, max_cost=1)
    assert used["cost"]["dollars"] == pytest.approx(COST + 50 * 100 / 1e6)
