"""Every way in which a call can fail, played by a scripted server."""

from collections import Counter
from itertools import pairwise

import pytest

from pipestill.annotation.annotate import annotate
from pipestill.annotation.failures import REMEDIES, Refused
from pipestill.io.files import read_json
from pipestill.io.records import read_jsonl
from support.annotation import ASK, COST, FAULTS, KEY, serve, settings, write_records

MENDED = {  # by another attempt: the class in usage.json
    "rate_limit": "rate_limit",
    "unavailable": "server_error",
    "server_error": "server_error",
    "conflict": "conflict",
    "too_early": "conflict",
    "slow_upstream": "timeout",
    "gateway": "server_error",
    "cloudflare": "server_error",
    "wait_in_body": "rate_limit",
    "credits_bound": "credits",
    "hidden_rate_limit": "rate_limit",
    "hidden_text": "server_error",
    "no_choices": "bad_answer",
    "broken_off": "server_error",
    "error_beside": "server_error",
    "error_in_message": "server_error",
    "aborted": "server_error",
    "empty": "empty",
    "null": "empty",
    "html": "bad_answer",
    "bad_json": "bad_answer",
    "picture": "bad_answer",
    "only_thoughts": "empty",
    "refused": "refusal",
    "tool": "tool_call",
    "no_message": "bad_answer",
    "half_a_character": "bad_answer",
    "null_choice": "bad_answer",
    "choices_by_name": "bad_answer",
    "no_object": "bad_answer",
    "deep": "bad_answer",
    "no_number": "bad_answer",
    "slow": "timeout",
    "dropped": "connection",
    "cut": "truncated",
    "cut_in_thought": "truncated",
    "cut_in_open_thought": "truncated",
}
HOPELESS = {  # for one record
    "flagged": "moderation",
    "moderated": "moderation",
    "filtered": "moderation",
    "unsafe": "moderation",
    "bad_request": "rejected",
    "unprocessable": "rejected",
    "too_large": "rejected",
}
FATAL = {
    **{"bad_key": "key", "forbidden": "key", "hidden_key": "key", "credits": "credits"},
    **{"no_such_model": "address", "no_valid_model": "address", "moved": "address", "daily": "quota"},
}
PLAYED_ELSEWHERE = {"wait", "wait_long", "no_usage", "odd_usage", "odd_names"}


def run(server, directory, texts, **changes):
    records = write_records(directory / "records.jsonl", texts)
    output, usage = directory / "rationales.jsonl", directory / "usage.json"
    annotate(settings(server.url, directory, **changes), "task", records, None, output, usage)
    return read_jsonl(output), read_json(usage)


def dead(directory):
    return read_jsonl(directory / "ledger" / "task" / "dead.jsonl")


def test_every_fault_has_its_test():
    assert set(FAULTS) == {*MENDED, *HOPELESS, *FATAL, *PLAYED_ELSEWHERE}


def test_a_passing_fault_is_asked_again(tmp_path):
    with serve({fault: [fault] for fault in MENDED}) as server:
        rows, usage = run(server, tmp_path, [*MENDED, "none"], timeout_s=1.5)
    assert [row["rationale"] for row in rows] == [f"findings of {text}" for text in (*MENDED, "none")]
    assert usage["calls"]["failed"] == Counter(MENDED.values())
    assert usage["calls"]["ok"] == len(rows)
    assert dead(tmp_path) == []
    for text in (*MENDED, "none"):
        sent = [body["max_tokens"] for body in server.bodies if body["messages"][0]["content"].endswith(f" {text}")]
        assert sent == ([50] if text == "none" else [50, 100] if text.startswith("cut") else [50, 50]), text


def test_a_hopeless_request_is_given_up_at_once_and_the_others_go_on(tmp_path):
    texts = ["one", *HOPELESS, "two"]
    with serve({fault: [fault] * 9 for fault in HOPELESS}) as server:
        with pytest.raises(Refused, match=r"^7 of 9 records have no answer.*dead.jsonl") as error:
            run(server, tmp_path, texts)
        assert error.value.exit_code == 4
        assert len(server.bodies) == 9
        letters = {letter["id"]: letter for letter in dead(tmp_path)}
        assert {identity: letter["reason"] for identity, letter in letters.items()} == {
            f"r{number}": reason for number, reason in enumerate(HOPELESS.values(), 1)
        }
        assert {(letter["step"], letter["attempts"]) for letter in letters.values()} == {("rationale", 1)}
        assert not (tmp_path / "rationales.jsonl").exists()
        rows, usage = run(server, tmp_path, texts, allow_missing=0.8)
    assert [row["id"] for row in rows] == ["r0", "r8"]
    assert usage["annotated"] == 2
    assert len(server.bodies) == 9 + 7, "a failure is never an answer, and an answer is never asked for again"


@pytest.mark.parametrize(("fault", "reason"), FATAL.items())
def test_what_no_request_survives_ends_the_run(tmp_path, monkeypatch, fault, reason):
    monkeypatch.setenv("PROVIDER_KEY", KEY)
    texts = [str(number) for number in range(40)]
    with serve({"7": [fault]}, delay=0.01) as server:
        with pytest.raises(Refused, match=reason) as error:
            run(server, tmp_path, texts, key_variable="PROVIDER_KEY")
        assert error.value.exit_code == 4
        assert KEY not in str(error.value) and KEY[:20] not in str(error.value)
        first = len(server.bodies)
        assert first < 20
        rows, _ = run(server, tmp_path, texts)
    assert len(rows) == 40
    assert len(server.bodies) == 41, "what was answered before is not asked for again"


def test_what_fails_again_and_again_is_a_dead_letter(tmp_path):
    with serve({"two": ["empty"] * 9}) as server, pytest.raises(Refused, match="1 of 2"):
        run(server, tmp_path, ["one", "two"], max_attempts=4)
    assert len(server.bodies) == 5
    assert dead(tmp_path)[0]["attempts"] == 4


def test_all_threads_wait_as_long_as_the_provider_asks(tmp_path):
    with serve({"0": ["wait"]}) as server:
        run(server, tmp_path, [str(number) for number in range(12)], concurrency=3)
    gaps = [later - earlier for earlier, later in pairwise(server.times)]
    assert max(gaps) > 0.25


def test_fewer_are_sent_at_a_time_when_the_rate_is_refused(tmp_path):
    texts = [str(number) for number in range(16)]
    with serve({text: ["rate_limit"] for text in texts[1:9]}, delay=0.1) as server:
        run(server, tmp_path, texts, concurrency=8)
    assert server.at_a_time[0] == 1
    assert max(server.at_a_time[1:9]) > 4
    assert max(server.at_a_time[9:17]) <= 4


def test_a_pause_that_is_too_long_ends_the_run(tmp_path):
    with serve({"0": ["wait_long"]}) as server, pytest.raises(Refused, match=r"90000 s.*run again later"):
        run(server, tmp_path, ["0"])


@pytest.mark.parametrize("fault", ["cut", "cut_in_thought"])
@pytest.mark.parametrize(("policy", "calls"), [("accept", {"cut": 1, "cut_in_thought": 2}), ("reject", {"cut": 1})])
def test_truncated_answers_by_policy(tmp_path, policy, calls, fault):
    with serve({"0": [fault]}) as server:
        if (policy, fault) == ("reject", "cut"):
            with pytest.raises(Refused, match="cut at max_tokens"):
                run(server, tmp_path, ["0"], on_truncation=policy)
        else:
            rows, _ = run(server, tmp_path, ["0"], on_truncation=policy)
            assert rows[0]["rationale"] == ("it begins" if fault == "cut" else "findings of 0")
    assert len(server.bodies) == calls.get(fault, 2)


def test_an_answer_that_stays_cut_is_enlarged_once(tmp_path):
    with serve({"0": ["cut"] * 9}) as server, pytest.raises(Refused, match="cut at max_tokens"):
        run(server, tmp_path, ["0"])
    assert [body["max_tokens"] for body in server.bodies] == [50, 100]


def test_answers_are_checked(tmp_path):
    step = {"prompt": "{document}", "out": "rationale", "pattern": "^findings", "min_chars": 5, "max_chars": 20}
    replies = iter(["no", "findings " * 3, "these findings", "findings of 0"])
    with serve(answer=lambda _: next(replies)) as server:
        rows, usage = run(server, tmp_path, ["0"], steps=[step])
    assert rows[0]["rationale"] == "findings of 0"
    assert usage["calls"]["failed"] == {"invalid": 3}


def test_answers_are_checked_against_a_json_schema(tmp_path):
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    replies = iter(["no", '{"age": "old"}', '{"age": 54}'])
    with serve(answer=lambda _: next(replies)) as server:
        rows, _ = run(
            server, tmp_path, ["0"], steps=[{"prompt": "{document}", "out": "rationale", "json_schema": schema}]
        )
    assert rows[0]["rationale"] == '{"age": 54}'


def test_brackets_without_end_are_no_json(tmp_path):
    step = {"prompt": "{document}", "out": "rationale", "json_schema": {"type": "array"}}
    replies = iter(["[" * 100_000, "[1]"])
    with serve(answer=lambda _: next(replies)) as server:
        rows, usage = run(server, tmp_path, ["0"], steps=[step])
    assert rows[0]["rationale"] == "[1]"
    assert usage["calls"]["failed"] == {"invalid": 1}


def test_names_that_are_no_text_are_no_names(tmp_path):
    with serve({"0": ["odd_names"]}) as server:
        rows, usage = run(server, tmp_path, ["0", "1"])
    assert rows[0]["rationale"] == "fine"
    assert usage["served_models"] == {"served/model": 1}
    assert usage["served_providers"] == {"Some Company": 1}
    assert usage["finish_reasons"] == {"stop": 1}


def test_a_stricter_check_asks_again_for_what_is_kept(tmp_path):
    replies = iter(["short", "long enough now"])
    with serve(answer=lambda _: next(replies)) as server:
        run(server, tmp_path, ["0"])
        stricter = {"prompt": ASK, "out": "rationale", "max_tokens": 50, "min_chars": 10}
        rows, _ = run(server, tmp_path, ["0"], steps=[stricter])
    assert rows[0]["rationale"] == "long enough now"
    assert len(server.bodies) == 2


def test_a_missing_server_is_no_expense(tmp_path):
    with serve() as server:
        url = server.url
    with pytest.raises(Refused, match="connection"):
        run(
            type("Gone", (), {"url": url}), tmp_path, ["0"], max_attempts=3, price={"input": 1, "output": 1}, max_cost=1
        )
    calls = read_jsonl(tmp_path / "ledger" / "task" / "calls.jsonl")
    assert [call["cost"] for call in calls if "outcome" in call] == [0.0] * 3


def test_a_missing_server_is_not_looked_for_again_and_again(tmp_path):
    with serve() as server:
        gone = type("Gone", (), {"url": server.url})
    with pytest.raises(Refused, match=r"nobody answers at the address .*check `base_url`"):
        run(gone, tmp_path, [str(number) for number in range(30)], max_attempts=2, concurrency=3)
    calls = read_jsonl(tmp_path / "ledger" / "task" / "calls.jsonl")
    assert len([call for call in calls if "outcome" in call]) <= 3 * 2


def test_what_may_have_been_charged_counts(tmp_path):
    price = {"input": 1.0, "output": 10.0}
    faults = ["slow", "empty", "rate_limit", "no_usage", "odd_usage", "picture", "gateway", "cloudflare", "html"]
    texts = list("012345678")
    with serve({str(number): [fault] for number, fault in enumerate(faults)}) as server:
        _, usage = run(server, tmp_path, texts, price=price, max_cost=1, timeout_s=1.5)
    assert usage["cost"]["sources"] == {"free": 1, "reported": 9, "reserved": 6}
    reserved = [
        call["reserved"] for call in read_jsonl(tmp_path / "ledger" / "task" / "calls.jsonl") if "outcome" in call
    ]
    assert usage["cost"]["dollars"] == pytest.approx(9 * COST + 6 * reserved[0], rel=1e-6)


@pytest.mark.parametrize("fault", FATAL)
def test_what_no_request_survives_is_found_out_by_the_first(tmp_path, monkeypatch, fault):
    monkeypatch.setenv("PROVIDER_KEY", KEY)
    texts = [str(number) for number in range(8)]
    with serve({text: [fault] for text in texts}) as server, pytest.raises(Refused, match=REMEDIES[FATAL[fault]]):
        run(server, tmp_path, texts, key_variable="PROVIDER_KEY")
    assert len(server.bodies) == 1


@pytest.mark.parametrize(("fault", "reason"), [("refused", "refusal"), ("tool", "tool_call")])
def test_what_a_model_does_not_want_is_asked_once_more_and_said(tmp_path, capsys, fault, reason):
    with serve({"0": [fault] * 9}) as server, pytest.raises(Refused, match=reason):
        run(server, tmp_path, ["0", "1"])
    assert len(server.bodies) == 3
    assert dead(tmp_path)[0]["reason"] == reason
    assert f"no answer for r0: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("replies", "calls", "reason"),
    [
        (["I'm sorry, but I can't help.", "Sorry, I cannot do that."] * 3, 2, "refusal"),
        (["no JSON"] * 6, 2, "invalid"),
        (["no JSON 1", "no JSON 2", "no JSON 3", "no JSON 1", "five"], 4, "invalid"),
    ],
)
def test_a_bad_answer_that_comes_again_is_not_paid_for_six_times(tmp_path, replies, calls, reason):
    said = iter(replies)
    step = {"prompt": "{document}", "out": "rationale", "json_schema": {"type": "object"}}
    with serve(answer=lambda _: next(said)) as server, pytest.raises(Refused):
        run(server, tmp_path, ["0"], steps=[step])
    assert len(server.bodies) == calls
    assert dead(tmp_path)[0]["reason"] == reason


def test_redirected_documents_go_nowhere(tmp_path):
    with serve() as other, serve() as server:
        place = {"Location": f"{other.url}/chat/completions"}
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(FAULTS, "moved", (308, {}, place))
            server.faults["0"] = ["moved"]
            with pytest.raises(Refused, match="address"):
                run(server, tmp_path, ["0"])
    assert not other.bodies


def test_replies_without_end_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("pipestill.annotation.endpoint.LONGEST_BODY", 5_000)
    with serve({"0": ["long"]}) as server, pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAULTS, "long", (200, " " * 10_000, {}))
        rows, usage = run(server, tmp_path, ["0"])
    assert rows[0]["rationale"] == "findings of 0"
    assert usage["calls"]["failed"] == {"connection": 1}
