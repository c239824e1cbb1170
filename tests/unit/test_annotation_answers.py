"""What is taken as the answer in a reply of status 200, and what is not."""

import json

import pytest

from pipestill.annotation.annotate import annotate
from pipestill.annotation.checks import MOST_BYTES, checked, kept_text
from pipestill.annotation.failures import CallFailed, Refused
from pipestill.annotation.protocol import read_answer
from pipestill.annotation.thoughts import without_thoughts
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.settings.annotation import StepConfig
from support.annotation import ASK, KEY, completion, serve, settings, write_records

STEP = StepConfig(prompt=ASK, out="rationale")
SCHEMA = StepConfig(prompt=ASK, out="rationale", json_schema={"type": "object", "required": ["age"]})
HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>The answer.<|return|>"


@pytest.mark.parametrize(
    "text",
    [
        "<think>hm</think>The answer.",
        "\n <think>\nhm\n</think>\n\nThe answer.\n",
        "<think>\n\n</think>\n\nThe answer.",
        "<Thinking type='deep'>hm</Thinking> The answer.",
        "<reasoning>hm</reasoning>The answer.",
        "<thought>hm</thought>The answer.",
        "<seed:think>hm</seed:think>The answer.",
        "[THINK]hm[/THINK]The answer.",
        "◁think▷hm◁/think▷The answer.",
        "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>The answer.<|END_RESPONSE|>",
        HARMONY,
        HARMONY.removeprefix("<|channel|>"),
        "<|start|>assistant<|channel|>final<|message|>The answer.<|end|>",
        "analysisThe user asks.assistantfinalThe answer.",
        "<|channel>thought\nhm<channel|>The answer.",
        "hm, the user asks\n</think>\n\nThe answer.",
        "hm[/THINK]The answer.",
        "<think>hm</think> <think>again</think> The answer.",
        "<think>a <think>b</think> c</think> The answer.",
        "a <think>b</think> c</think> The answer.",
        "<think>it wrote <think> there</think> The answer.",
        "\ufeff<think>hm</think>\u200bThe answer.",
        "<think/>The answer.",
    ],
)
def test_thoughts_before_an_answer_are_no_part_of_it(text):
    assert without_thoughts(text) == "The answer."


@pytest.mark.parametrize(
    "text", ["<think>hm", "<think>", "[THINK] hm", "<|channel|>analysis<|message|>hm", " <think>hm</think> "]
)
def test_thoughts_without_an_end_are_no_answer(text):
    assert without_thoughts(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "Plain.",
        "Put it into <think>x</think> tags.",
        "a < b, thinking of </p> and <reason>",
        "analysis of variance: the assistant finally said",
        "<thinker>x</thinker>",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert without_thoughts(text) == text


def test_an_answer_may_speak_of_the_marks_of_thoughts():
    assert without_thoughts("<think>hm</think>Close it by </think> then.") == "Close it by </think> then."


def test_a_million_marks_are_read_in_one_pass():
    assert without_thoughts("</think>" * 200_000 + "x") == "</think>" * 199_999 + "x"


def read(body, **headers):
    return read_answer(body if isinstance(body, str) else json.dumps(body), headers, 0.1, KEY)


def message(**fields):
    return completion("", message={"role": "assistant", **fields})[1]


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "The "}, {"type": "output_text", "text": "answer."}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "The answer."}],
        ["The answer."],
    ],
)
def test_the_text_of_parts_is_the_answer(content):
    assert read(message(content=content)).text == "The answer."


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content", "thinking", "text"])
def test_thoughts_in_fields_of_their_own_are_no_answer(field):
    answer = read(message(content=None, **{field: "hm"}))
    assert answer.text == ""
    with pytest.raises(CallFailed, match="empty"):
        checked(answer, STEP, True, 50)


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (completion("half", changes={"error": {"code": 429, "message": "upstream"}})[1], "transient", "rate_limit"),
        (completion("half", changes={"error": "upstream"})[1], "transient", "server_error"),
        (completion("half", error={"code": 502, "message": "upstream"})[1], "transient", "server_error"),
        (completion("half", error={"code": 402, "message": "no credits"})[1], "fatal", "credits"),
        (completion("half", error={"code": "9" * 5000})[1], "transient", "server_error"),
        (completion("half", finish="error")[1], "transient", "server_error"),
        (completion("half", finish="insufficient_system_resource")[1], "transient", "server_error"),
        (message(content="half", error={"message": "upstream"}), "transient", "server_error"),
        ({"object": "error", "message": "no such model", "code": 404}, "fatal", "address"),
        ({"error": {"code": 401, "message": "no"}, "choices": None}, "fatal", "key"),
    ],
)
def test_an_error_anywhere_is_an_error(body, kind, reason):
    with pytest.raises(CallFailed) as failure:
        read(body)
    assert (failure.value.kind, failure.value.reason, failure.value.charged) == (kind, reason, True)
    assert failure.value.answer.usage == ({"cost": 0.001} | failure.value.answer.usage if "usage" in body else {})


def test_no_error_is_no_error():
    assert read(completion("The answer.", changes={"error": None}, error={})[1]).text == "The answer."


@pytest.mark.parametrize(
    ("finish", "ours"),
    [("stop", "stop"), ("end_turn", "end_turn"), ("MAX_TOKENS", "length"), ("model_length", "length"), (None, None)],
)
def test_ends_have_one_name(finish, ours):
    assert read(completion("The answer.", finish=finish)[1]).finish_reason == ours


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (completion("half", finish="max_tokens")[1], "truncated"),
        (completion("half", finish="RECITATION")[1], "moderation"),
        (completion("I cannot", finish="refusal")[1], "refusal"),
        (message(content="", refusal="I cannot"), "refusal"),
        (message(content=[{"type": "refusal", "refusal": "I cannot"}]), "refusal"),
        (message(content="Let me look.", tool_calls=[{"id": "1"}]), "tool_call"),
        (message(content=None, function_call={"name": "look"}), "tool_call"),
        (completion("", finish="tool_calls")[1], "tool_call"),
        (completion("<think>hm</think>")[1], "empty"),
    ],
)
def test_what_is_no_whole_answer_is_a_failure(body, reason):
    with pytest.raises(CallFailed) as failure:
        checked(read(body), STEP, False, 50)
    assert failure.value.reason == reason


@pytest.mark.parametrize(
    "text",
    [
        '{"age": 5}',
        '```json\n{"age": 5}\n```',
        'Here it is:\n```JSON\n{"age": 5}\n```\nAnything else?',
        '~~~\n{"age": 5}\n~~~',
        '```{"age": 5}```',
        '```json\n{"age": 5}',
        '<think>hm</think>\n```json\n{"age": 5}\n```',
    ],
)
def test_json_in_a_fence_is_unwrapped(text):
    assert checked(read(completion(text)[1]), SCHEMA, False, 50).text == '{"age": 5}'


def test_two_fences_and_other_texts_stay():
    with pytest.raises(CallFailed, match="not JSON"):
        checked(read(completion('```\n{"age": 5}\n```\nor\n```\n{"age": 6}\n```')[1]), SCHEMA, False, 50)
    assert checked(read(completion("```\ncode\n```")[1]), STEP, False, 50).text == "```\ncode\n```"


def test_an_answer_is_no_longer_than_its_tokens_can_be():
    assert len(checked(read(completion("a" * MOST_BYTES * 64)[1]), STEP, False, 64).text) == MOST_BYTES * 64
    with pytest.raises(CallFailed, match=r"4000000 bytes, more than 64 tokens can have"):
        checked(read(completion("a" * 4_000_000)[1]), STEP, False, 64)


def run(server, directory, texts, **changes):
    records = write_records(directory / "records.jsonl", texts)
    annotate(settings(server.url, directory, **changes), "task", records, None, directory / "out", directory / "usage")
    return read_jsonl(directory / "out")


@pytest.mark.parametrize("said", [f"Your key is {KEY}.", f"It begins with {KEY[:20]}"])
def test_an_answer_that_repeats_the_key_is_never_kept(tmp_path, monkeypatch, said):
    monkeypatch.setenv("PROVIDER_KEY", KEY)
    changes = {"model": KEY, "provider": f"of {KEY}", "usage": {"cost": 0.1, KEY: 1, "note": KEY}}
    assert KEY not in repr(read(completion("fine", changes=changes)[1]))
    with serve(answer=lambda _: said) as server, pytest.raises(Refused, match="repeats the key"):
        run(server, tmp_path, ["0"], key_variable="PROVIDER_KEY")
    assert len(server.bodies) == 2
    for path in tmp_path.rglob("*.json*"):
        assert KEY[:20] not in path.read_text()


def test_thoughts_and_sizes_of_kept_answers_are_looked_at_too(tmp_path):
    with serve() as server:
        run(server, tmp_path, ["0"])
        path = tmp_path / "ledger" / "task" / "ledger.jsonl"
        [row] = read_jsonl(path)
        del row["crc32"]
        write_jsonl(path, [row | {"text": f"<think>hm</think>\n{row['text']}"}])
        assert run(server, tmp_path, ["0"]) == [{"id": "r0", "rationale": "findings of 0"}]
        assert len(server.bodies) == 1
        write_jsonl(path, [row | {"text": "<think>hm"}])
        assert run(server, tmp_path, ["0"]) == [{"id": "r0", "rationale": "findings of 0"}]
    assert len(server.bodies) == 2
    assert kept_text(row | {"text": "a" * 100_000}, STEP, False) is None
