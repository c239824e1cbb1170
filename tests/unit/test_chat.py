"""Chats, asked by OpenAI's own client: answers at once and as streams, refusals, and clients that go."""

import asyncio
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx2
import openai
import pytest
import torch

from pipestill.inference.by_hand import load_target, question_of, replies_of
from pipestill.inference.rows import Rows
from pipestill.inference.target import find_target
from pipestill.serving import batcher
from pipestill.serving.chat_body import read_chat
from pipestill.serving.chat_request import Chat
from pipestill.serving.chat_stream import Stream
from pipestill.serving.choice import Choice
from pipestill.serving.settings import ServeSettings
from pipestill.tasks import TASKS
from support.served import LIMITS, make_results, served

TEXT = "Name the animals: 809.98, Scientist"
NOTE = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 4}, "open": {"type": "boolean"}},
    "required": ["name", "open"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    tasks = {"dolly": {}, "idp": {"schema": NOTE}, "codegen": {"plan_then_code": True}, "creditmix": {}}
    return make_results(tmp_path_factory.mktemp("results"), **tasks)


@pytest.fixture(scope="module")
def server(results):
    with served(results, allow_schemas=True) as (address, server):
        yield address, server


@pytest.fixture(scope="module")
def client(server):
    return client_of(server[0])


def client_of(address, key="none"):
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=60)


def ask(client, text=TEXT, model="dolly_sft", **how):
    how = {"temperature": 0} | how
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": text}], **how)


def contents(stream):
    """Texts of the choices of a stream, and why they ended."""
    texts, ends = {}, {}
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    return [texts[index] for index in sorted(texts)], [ends[index] for index in sorted(ends)]


def by_hand(results, name="dolly_sft", text=TEXT, options=None, seed=1):
    target = find_target(name, results, "", seed)
    asking = target.asking(options or {})
    question = question_of(target, asking, {target.task.inputs[0]: text}, {})
    [(_, reply)] = replies_of(target, load_target(target, torch.get_num_threads()), asking, [question])
    return reply


def test_models_are_experiments_that_write_text(client):
    models = {model.id: model for model in client.models.list()}
    assert set(models) == {"dolly_sft", "idp_sft", "codegen_sft"}
    limits = models["dolly_sft"].limits
    assert (limits["prompt_tokens"], limits["completion_tokens"]) == tuple(LIMITS.values())
    assert client.models.retrieve("dolly_sft").inputs == ["instruction", "input"]
    with pytest.raises(openai.NotFoundError, match="there is no such model: this server has codegen_sft"):
        client.models.retrieve("elsewhere")


def test_an_answer_is_that_of_predictions_by_hand(client, results):
    said, expected = ask(client), by_hand(results)
    [choice] = said.choices
    assert choice.message.content == expected["prediction"] and choice.message.role == "assistant"
    assert choice.finish_reason == ("stop" if expected["ended"] else "length")
    assert said.usage.prompt_tokens == expected["prompt_tokens"]
    assert said.usage.completion_tokens == expected["written_tokens"]
    assert said.usage.total_tokens == expected["prompt_tokens"] + expected["written_tokens"]
    assert (said.model, said.object) == ("dolly_sft", "chat.completion") and said.id.startswith("chatcmpl-")
    assert choice.pipestill["seed"] == 1 and not choice.pipestill["cropped"]
    parts = [{"type": "text", "text": text} for text in TEXT.split(": ")]
    raw = client.chat.completions.with_raw_response.create(
        model="dolly_sft", messages=[{"role": "user", "content": parts}], temperature=0, extra_query={"seed": 2}
    )
    assert raw.parse().choices[0].message.content == by_hand(results, text=TEXT.replace(": ", "\n"))["prediction"]
    assert raw.headers["X-Pipestill-Seed"] == "2"
    assert ask(client, "Age " * 400).choices[0].pipestill["cropped"]


def test_further_inputs_and_options_are_those_of_the_task(client, results):
    target = find_target("dolly_sft", results, "")
    asking = target.asking({"no_repeat_ngram_size": 2})
    question = question_of(target, asking, {"instruction": TEXT, "input": "Bad"}, {})
    [(_, expected)] = replies_of(target, load_target(target, torch.get_num_threads()), asking, [question])
    said = ask(client, extra_body={"pipestill": {"input": "Bad", "no_repeat_ngram_size": 2}})
    assert said.choices[0].message.content == expected["prediction"] != ask(client).choices[0].message.content


def test_a_stream_has_the_same_text_and_tokens(client):
    whole = ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert contents(chunks) == ([whole.choices[0].message.content], [whole.choices[0].finish_reason])
    assert chunks[-1].usage == whole.usage and chunks[-1].choices == []
    assert {chunk.usage for chunk in chunks[:-1]} == {None} and len({chunk.id for chunk in chunks}) == 1
    assert all("usage" not in chunk.model_dump(exclude_unset=True) for chunk in ask(client, stream=True))


def test_seeds_draw_the_same_answers(client):
    drawn = {"temperature": 0.9, "top_p": 0.95}
    first = ask(client, seed=7, n=3, **drawn)
    texts = [choice.message.content for choice in first.choices]
    assert len(set(texts)) == 3 and first.usage.completion_tokens > first.usage.prompt_tokens
    assert [choice.pipestill["sampling_seed"] for choice in first.choices] == [7, 8, 9]
    assert ask(client, seed=8, **drawn).choices[0].message.content == texts[1]
    assert contents(ask(client, seed=7, n=3, stream=True, **drawn))[0] == texts
    assert len({ask(client, **drawn).choices[0].message.content for _ in range(3)}) == 3
    assert ask(client, temperature=None).choices[0].pipestill["sampling_seed"] is None


def test_an_answer_ends_before_what_stops_it(client):
    whole = ask(client)
    text = whole.choices[0].message.content
    stop = text[9:12]
    cut = text[: text.index(stop)]
    for stops in (stop, ["never there", stop]):
        said = ask(client, stop=stops)
        assert (said.choices[0].message.content, said.choices[0].finish_reason) == (cut, "stop")
        assert said.usage.completion_tokens < whole.usage.completion_tokens
        assert contents(ask(client, stop=stops, stream=True)) == ([cut], ["stop"])
    assert contents(ask(client, stop=text[-3:] + "never there", stream=True))[0] == [text]


def test_an_answer_has_at_most_so_many_tokens(client):
    for limit in ("max_tokens", "max_completion_tokens"):
        said = ask(client, **{limit: 3})
        assert (said.usage.completion_tokens, said.choices[0].finish_reason) == (3, "length")
    assert ask(client, max_tokens=4096).choices[0].message.content == ask(client).choices[0].message.content


def test_json_follows_its_schema(client):
    for form in (None, {"type": "text"}, {"type": "json_object"}):
        said = ask(client, model="idp_sft", **({"response_format": form} if form else {}))
        assert set(json.loads(said.choices[0].message.content)) == {"name", "open"}
        assert said.choices[0].pipestill["faults"] == []
    own = {"name": "mine", "schema": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}}
    form = {"type": "json_schema", "json_schema": own}
    said = ask(client, model="idp_sft", response_format=form)
    assert said.choices[0].message.content == '{"a": 1}'
    assert contents(ask(client, model="idp_sft", response_format=form, stream=True)) == (['{"a": 1}'], ["stop"])


def test_a_plan_is_the_reasoning(client, results):
    expected = by_hand(results, "codegen_sft")
    said = ask(client, model="codegen_sft").choices[0]
    assert said.message.reasoning_content == expected["rationale"]
    assert said.message.content == expected["prediction"]
    [*_, last] = ask(client, model="codegen_sft", stream=True)
    assert last.choices[0].delta.reasoning_content == expected["rationale"]


def test_parameters_that_ask_for_nothing_are_taken(client):
    nothing = {"presence_penalty": 0, "logit_bias": {}, "tools": [], "tool_choice": "none", "logprobs": False}
    assert ask(client, user="somebody", metadata={"a": "b"}, **nothing).choices


TWO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]
IMAGE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a.png"}}
REFUSED = {
    "a model that is not there": ({"model": "gpt-4o"}, 404, "model", "this server has codegen_sft, dolly_sft, idp_sft"),
    "labels": ({"model": "creditmix_sft"}, 404, "model", "`creditmix_sft` writes no text: ask it at /infer/creditmix"),
    "a path": ({"model": "../models/base"}, 404, "model", "there is no such model"),
    "no messages": ({"messages": []}, 400, "messages", "at least 1 item"),
    "a system message": ({"messages": TWO}, 400, "messages", "was trained to answer one question at a time"),
    "an assistant": ({"messages": [TWO[1] | {"role": "assistant"}]}, 400, "messages", "of the role `user`"),
    "an image": (
        {"messages": [{"role": "user", "content": [IMAGE]}]},
        400,
        "messages.0.content.0",
        "nothing is fetched",
    ),
    "no text": ({"messages": [{"role": "user", "content": " "}]}, 400, None, "the input text is empty"),
    "a message without text": ({"messages": [{"role": "user"}]}, 400, "messages.0.content", "is missing: add it"),
    "tools": ({"tools": [{"type": "function"}]}, 400, "tools", "`tools` is not supported here: leave it out"),
    "a penalty": ({"presence_penalty": 1.5}, 400, "presence_penalty", "is not supported"),
    "log-probabilities": ({"logprobs": True}, 400, "logprobs", "is not supported"),
    "too many choices": ({"n": 17}, 400, "n", "less than or equal to 16"),
    "too hot": ({"temperature": 2.5}, 400, "temperature", "less than or equal to 2"),
    "text as a number": ({"temperature": "0"}, 400, "temperature", "valid number"),
    "no room": ({"max_tokens": 0}, 400, "max_tokens", "greater than or equal to 1"),
    "five stops": ({"stop": list("abcde")}, 400, "stop", "at most 4 items"),
    "an empty stop": ({"stop": ["a", ""]}, 400, "stop.1", "at least 1 character"),
    "JSON of text": ({"response_format": {"type": "json_object"}}, 400, "response_format", "the answers of this model"),
    "an unknown format": ({"response_format": {"type": "xml"}}, 400, "response_format.type", "Input should be"),
    "an unknown field": ({"extra_body": {"\u2028x": 1}}, 400, "\u2028x".replace("\u2028", " "), "not supported"),
    "an unknown option": ({"extra_body": {"pipestill": {"beams": 4}}}, 400, "pipestill", "`beams` is unknown here"),
    "an input twice": (
        {"extra_body": {"pipestill": {"instruction": "a"}}},
        *(400, "pipestill.instruction", "`instruction` is given twice"),
    ),
    "another run": ({"extra_query": {"seed": 5}}, 404, None, "has no run with seed 5: there are 1, 2"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_say_what_is_wrong(client, name, stream):
    given, status, param, said = REFUSED[name]
    given = {"model": "dolly_sft", "messages": [TWO[1]]} | given
    with pytest.raises(openai.APIStatusError) as error:
        client.chat.completions.create(**given, stream=stream)
    assert error.value.status_code == status
    assert set(error.value.body) == {"message", "type", "param", "code"}
    assert error.value.body["type"] == "invalid_request_error" and error.value.body["param"] == param
    assert said in error.value.body["message"]


def test_schemas_of_clients_and_strangers_are_refused_unless_allowed(results):
    with served(results, token="secret", experiments=("idp_sft",)) as (address, _):
        form = {"type": "json_schema", "json_schema": {"name": "mine", "schema": NOTE}}
        with pytest.raises(openai.BadRequestError, match="only where the server was started with --allow-schemas"):
            ask(client_of(address, "secret"), model="idp_sft", response_format=form)
        with pytest.raises(openai.AuthenticationError, match="this server needs a token"):
            ask(client_of(address, "guessed"), model="idp_sft")


def test_streams_of_many_clients_are_those_of_one(client):
    texts = [f"{TEXT} {'Age ' * number}" for number in range(8)]
    alone = [ask(client, text).choices[0].message.content for text in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        together = list(pool.map(lambda text: contents(ask(client, text, stream=True))[0][0], texts))
    assert together == alone


@pytest.fixture
def gate(monkeypatch):
    """Opens for the worker, which stops at the fourth piece of an answer."""
    gate, heard, steps = threading.Event(), Choice.heard, []

    def waiting(self, piece):
        steps.append(heard(self, piece))
        assert len(steps) != 4 or gate.wait(60)
        return steps[-1]

    monkeypatch.setattr(Choice, "heard", waiting)
    yield gate
    gate.set()


def test_an_answer_is_dropped_when_its_client_goes(client, server, gate, monkeypatch):
    closed, close, read = threading.Event(), Stream.close, []
    monkeypatch.setattr(Stream, "close", lambda self: (close(self), closed.set()))
    append = Rows.append
    monkeypatch.setattr(Rows, "append", lambda self, tokens: (append(self, tokens), read.append(1)))
    stream = ask(client, stream=True)
    while not next(stream).choices[0].delta.content:
        pass
    stream.close()
    assert closed.wait(60)
    gate.set()
    whole = ask(client).usage.completion_tokens  # the worker has come to the next request
    assert whole > 20 and whole <= len(read) < whole + 10
    assert server[1].serving.admitted == 0


def test_an_answer_that_takes_too_long_ends_in_an_error(client, monkeypatch):
    begun = Stream.__init__

    def late(self, *args):
        begun(self, *args)
        self.deadline = 0

    monkeypatch.setattr(Stream, "__init__", late)
    with pytest.raises(openai.APIError, match="the answer was not whole within 60 seconds"):
        contents(ask(client, stream=True))


def test_what_fails_in_the_middle_of_a_stream_is_told_in_it(client, monkeypatch):
    heard, before = Choice.heard, []

    def failing(self, piece):
        before.append(heard(self, piece))
        if len(before) == 5:
            raise ValueError("a secret")
        return True

    monkeypatch.setattr(Choice, "heard", failing)
    with pytest.raises(openai.APIError, match="the server failed at this request") as error:
        contents(ask(client, stream=True))
    assert "secret" not in str(error.value)


def test_what_fails_before_the_first_word_has_a_status(client, monkeypatch):
    monkeypatch.setattr(batcher, "replies_of", lambda *_: (_ for _ in ()).throw(ValueError("a secret")))
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError, match="the server failed at this request"):
            ask(client, stream=stream)


class Writer:
    """Answers with pieces, each handed over to the event loop or, where it is none, only then."""

    settings = ServeSettings()

    def __init__(self, pieces):
        self.pieces = pieces

    async def answer(self, asked, heard):
        for piece in self.pieces:
            if piece is None:
                for _ in range(20):
                    await asyncio.sleep(0)
            elif not heard(lambda piece=piece: piece):
                break
        reply = {"prediction": "", "ended": True, "cropped": False, "prompt_tokens": 5, "written_tokens": 2}
        exhibit = SimpleNamespace(task=TASKS["dolly"])
        return SimpleNamespace(reply=reply, asked=SimpleNamespace(exhibit=exhibit, target=SimpleNamespace(seed=1)))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["one", None, " two", None], ["one", " two"]),
        (["one", " two", None, " three"], ["one two", " three"]),  # what has not been sent is one event
        (["one", None, " tw#", None, "#o"], ["one", " tw"]),
        ([None], []),
    ],
)
def test_pieces_are_events(pieces, expected):
    async def events():
        body = read_chat({"model": "m", "messages": [{"role": "user", "content": "a"}], "stream": True, "stop": "##"})
        stream = Stream(Writer(pieces), Chat(body, None, [None], {"id": "chat"}))
        return [event async for event in stream.events(await stream.next())]

    *chunks, done = asyncio.run(events())
    assert done == "data: [DONE]\n\n"
    first, *deltas = [json.loads(chunk.removeprefix("data: "))["choices"][0] for chunk in chunks]
    assert first["delta"] == {"role": "assistant", "content": ""}
    assert [each["delta"]["content"] for each in deltas[:-1]] == expected
    assert [each["finish_reason"] for each in deltas] == [None] * len(expected) + ["stop"]


def test_a_choice_holds_back_what_may_become_a_stop():
    told = []
    choice = Choice(["###", "\n\n"], told.append)
    for piece in ("one#", "#", "two\n", "x", "###y"):
        goes_on = choice.heard(lambda piece=piece: piece)
    assert told == ["one", "##two", "\nx"] and not goes_on and choice.stopped
    assert choice.text == "one##two\nx" and not choice.heard(lambda: "more")


def test_the_description_of_the_api_has_chats(server):
    api = httpx2.get(f"{server[0]}/openapi.json").json()
    content = api["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]
    assert content["example"]["model"] == "codegen_sft" and content["example"]["messages"][0]["content"]
    schemas = api["components"]["schemas"]
    assert set(schemas[content["schema"]["$ref"].rpartition("/")[2]]["properties"]) >= {"messages", "stop", "seed"}
    refs = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(api))
    assert set(refs) <= set(schemas) and "Message" in refs
    assert "max_completion_tokens" in httpx2.get(f"{server[0]}/docs").text
