"""Questions by hand in batches: no reply depends on the others, and answers can be heard while they are written."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from pipestill.answers.code import predict as code_half
from pipestill.answers.json import predict as json_half
from pipestill.answers.labels import predict as label_half
from pipestill.answers.text import predict as text_half
from pipestill.inference.by_hand import load_target, question_of, replies_of
from pipestill.inference.loaded import KEPT, load
from pipestill.inference.question import Question, pieces_of_json, pieces_of_text
from pipestill.inference.target import find_target
from pipestill.tasks import TASKS
from pipestill.text.pieces import before, composed
from support.asking import asking_about
from support.models import CPU, make_directory
from support.tokenizer_kinds import KINDS, make_directory_with, t5

HALVES = {"dolly": text_half, "codegen": code_half, "idp": json_half, "creditmix": label_half}
LIMITS = {"max_prompt_tokens": 300, "max_new_tokens": 24}
SAMPLED = {"sampling": True, "sampling_seeds": [3]}
TEXTS = ["Age: 23.0, " * times + "Debt" for times in (2, 9, 1, 5, 200, 3, 4, 7)]
QUESTIONS = [Question(text) for text in TEXTS]
NOTE = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 9}, "open": {"type": "boolean"}},
    "required": ["name", "open"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    directory = make_directory(tmp_path_factory.mktemp("models") / "causal", initializer_range=0.3)
    return load(directory, None, CPU)


@pytest.fixture(scope="module")
def seq2seq(tmp_path_factory):
    directory = make_directory_with(tmp_path_factory.mktemp("models") / "t5", t5())
    return load(directory, None, CPU)


def replies(loaded, task, questions=QUESTIONS, listen=None, prompt="answer", limits=LIMITS, **answers):
    """Replies in the order of their questions; each comes once."""
    asking = asking_about(task, prompt=prompt, answers=answers, **limits)
    found = list(HALVES[task].replies(TASKS[task], loaded, asking, questions, None, listen))
    assert sorted(place for place, _ in found) == list(range(len(questions)))
    return [reply for _, reply in sorted(found, key=lambda each: each[0])]


class Heard:
    """What is heard of answers; those at ``until`` are dropped after so many steps."""

    def __init__(self, until=None):
        self.pieces, self.steps, self.until = {}, {}, until or {}

    def __call__(self, place, piece):
        self.pieces.setdefault(place, []).append(piece())
        self.steps[place] = self.steps.get(place, 0) + 1
        return self.steps[place] != self.until.get(place)

    def text(self, place):
        return "".join(self.pieces[place])


CASES = {
    "greedy": ("causal", "dolly", {}),
    "sampled": ("causal", "dolly", SAMPLED),
    "encoder-decoder": ("seq2seq", "dolly", {}),
    "encoder-decoder, sampled": ("seq2seq", "dolly", SAMPLED),
    "json": ("causal", "idp", {"schema": NOTE}),
    "json, sampled": ("causal", "idp", SAMPLED | {"schema": NOTE}),
    "json, free": ("causal", "idp", {"decoding": "free"}),
    "code with plans": ("causal", "codegen", {"plan_then_code": True}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_reply_does_not_depend_on_those_beside_it_or_on_who_listens(case, request):
    model, task, answers = CASES[case]
    ask = partial(replies, request.getfixturevalue(model), task, **answers)
    together = ask()
    assert len({reply["prediction"] for reply in together}) > 2
    for place in (0, 4, 7):
        assert ask([QUESTIONS[place]]) == [together[place]]
    assert [reply["cropped"] for reply in together] == [text == TEXTS[4] for text in TEXTS]
    heard = Heard()
    assert ask(listen=heard) == together
    for place, reply in enumerate(together):
        assert heard.text(place) == reply["prediction"] or task == "codegen"


@pytest.mark.parametrize("name", ["causal", "seq2seq"])
def test_pieces_come_step_by_step_and_are_the_text(name, request):
    heard = Heard()
    said = replies(request.getfixturevalue(name), "dolly", listen=heard, **SAMPLED)
    for place, reply in enumerate(said):
        assert heard.text(place) == reply["prediction"]
        assert heard.steps[place] == reply["written_tokens"]
    assert sum(bool(piece) for pieces in heard.pieces.values() for piece in pieces) > 40


def test_a_listener_gets_each_reply_when_it_is_whole(causal):
    asking = asking_about("dolly", answers=SAMPLED, **LIMITS)
    heard, order = Heard(), []
    for place, reply in text_half.replies(TASKS["dolly"], causal, asking, QUESTIONS, None, heard):
        order.append(place)
        others = [number for number in range(len(QUESTIONS)) if number not in order]
        assert all(heard.steps.get(number, 0) <= reply["written_tokens"] for number in others)
    assert len(order) == len(QUESTIONS)


@pytest.mark.parametrize("case", ["sampled", "encoder-decoder, sampled", "json, sampled"])
def test_dropped_rows_leave_the_others_as_they_are(case, request):
    model, task, answers = CASES[case]
    loaded, heard = request.getfixturevalue(model), Heard({0: 1, 6: 4})
    whole, partly = replies(loaded, task, **answers), replies(loaded, task, listen=heard, **answers)
    for place, (reply, other) in enumerate(zip(whole, partly, strict=True)):
        if place in heard.until:
            assert other["written_tokens"] < reply["written_tokens"] and not other["ended"]
            assert heard.steps[place] == heard.until[place] + 1  # the last piece, of what there is
        else:
            assert other == reply


def test_a_plan_can_be_dropped(causal):
    heard = Heard({1: 2, 3: 30})
    whole, partly = (replies(causal, "codegen", listen=each, plan_then_code=True) for each in (None, heard))
    assert partly[1]["prediction"] == "" and whole[1]["rationale"].startswith(partly[1]["rationale"])
    assert partly[3]["rationale"] == whole[3]["rationale"]
    assert partly[3]["written_tokens"] < whole[3]["written_tokens"]
    assert [partly[place] for place in (0, 2, 4)] == [whole[place] for place in (0, 2, 4)]


def test_json_that_is_cut_is_made_whole_and_heard_as_it_was_written(causal):
    heard, wide = Heard(), NOTE | {"properties": {"name": {"type": "string", "minLength": 50}, "open": {"const": True}}}
    said = replies(causal, "idp", listen=heard, limits=LIMITS | {"max_new_tokens": 100}, schema=wide)
    for place, reply in enumerate(said):
        assert reply["faults"] == [] and not reply["ended"] and reply["written_tokens"] <= 100
        assert heard.text(place)[:40] == reply["prediction"][:40] and json.loads(reply["prediction"])


def test_an_answer_behind_a_rationale_comes_in_one_piece(causal):
    heard = Heard()
    asking = asking_about("dolly", rationale_tokens=8, **LIMITS)
    for place, reply in text_half.replies(TASKS["dolly"], causal, asking, QUESTIONS[:2], None, heard):
        assert [piece for piece in heard.pieces[place] if piece] == [reply["prediction"]]


def test_questions_have_sampling_seeds_of_their_own(causal):
    seeds = [3, 4, None, 5]
    asked = [Question(TEXTS[0], sampling_seed=seed) for seed in seeds]
    said = replies(causal, "dolly", asked, **SAMPLED)
    assert [reply["sampling_seed"] for reply in said] == [3, 4, 3, 5]
    assert said[0] == said[2] and len({reply["prediction"] for reply in said}) == 3
    assert [reply["sampling_seed"] for reply in replies(causal, "dolly", asked)] == [None] * 4


def test_label_scores_are_those_of_a_prompt_alone_and_priors_are_measured_once(causal, monkeypatch):
    read, rank_all = [], label_half.rank_all
    monkeypatch.setattr(label_half, "rank_all", lambda *args: read.append(len(args[1])) or rank_all(*args))
    fresh = replace(causal)
    together = replies(fresh, "creditmix", calibration="multi_null")
    assert len(read) == 2
    for place, reply in enumerate(together):
        [alone] = replies(fresh, "creditmix", [QUESTIONS[place]], calibration="multi_null")
        for name in ("raw_scores", "scores", "prior", "probabilities"):
            assert alone.pop(name) == pytest.approx(reply.pop(name), abs=1e-5)
        assert alone.pop("top2_margin") == pytest.approx(reply.pop("top2_margin"), abs=1e-5)
        assert alone == reply
        assert reply["cropped"] == (place == 4) and reply["written_tokens"] == 0
    assert read[2:] == [1] * 8


def test_what_is_kept_beside_a_model_is_bounded(causal):
    fresh, made = replace(causal), []
    for key in [*range(KEPT + 1), 1, KEPT + 1, 1, 0]:
        assert fresh.once(key, lambda key=key: made.append(key) or key) == key
    assert made == [*range(KEPT + 1), KEPT + 1, 0]


def test_requests_of_one_target_are_answered_together(tmp_path):
    directory = make_directory(tmp_path / "models/base", initializer_range=0.3)
    target = find_target(str(directory), tmp_path, "dolly")
    threads = torch.get_num_threads()
    loaded, asking = load_target(target, threads), target.asking({"max_new_tokens": 6})
    asked = [question_of(target, asking, {"instruction": "Name it." * times}, {}) for times in (1, 3, 2)]
    said = dict(replies_of(target, loaded, asking, asked))
    for place in range(3):
        assert dict(replies_of(target, loaded, asking, [asked[place]]))[0] == said[place]
        assert said[place]["model_name"] == str(directory) and said[place]["written_tokens"] <= 6


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "bert"])
def test_pieces_of_any_tokens_are_what_they_decode_to(kind):
    from pipestill.io.normal import clean

    tokenizer, draw = KINDS[kind](), torch.Generator().manual_seed(0)
    for size in (1, 3, 40, 40, 40, 40):
        tokens = torch.randint(len(tokenizer), (size,), generator=draw).tolist()
        whole = clean(tokenizer.decode(tokens, skip_special_tokens=True)).strip()
        pieces = pieces_of_text(tokenizer, str.strip)
        heard = [pieces.next(tokens[:step]) for step in range(1, size + 1)]
        assert whole.startswith("".join(heard))
        assert "".join(heard) + pieces.rest(whole) == whole


def test_a_piece_holds_no_part_of_a_character(causal):
    tokenizer, text = causal.tokenizer, "Caf\u00e9 \U0001f600 nai\u0308ve \u4f60\u597d"
    tokens = tokenizer.encode(text, add_special_tokens=False)
    assert len(tokens) > len(text)
    pieces = pieces_of_text(tokenizer, str.strip)
    heard = [pieces.next(tokens[:step]) for step in range(1, len(tokens) + 1)]
    assert (
        "".join(heard) + pieces.rest("Caf\u00e9 \U0001f600 na\u00efve \u4f60\u597d")
        == "Caf\u00e9 \U0001f600 na\u00efve \u4f60\u597d"
    )
    assert not any("\ufffd" in piece for piece in heard)

    class Bytes:
        def bytes_of(self, tokens):
            return bytes(tokens)

    pieces = pieces_of_json(Bytes(), str)
    raw = '{"a": "\u00e9\U0001f600"}'.encode()
    heard = [pieces.next(list(raw[:step])) for step in range(1, len(raw) + 1)]
    assert "".join(heard) == raw.decode() and heard.count("") == 4


def test_what_is_certain_of_a_text_that_goes_on():
    assert [composed(text) for text in ("", "a", "ab", "ae\u0301", "a\u0301\u0302")] == ["", "", "a", "a", ""]
    for text, mark, expected in (
        ("one two", "", "one two"),
        ("one\n\ntwo", "\n\n", "one"),
        ("one##", "###", "one"),
        ("one## two", "###", "one## two"),
        ("###", "###", ""),
    ):
        assert before(text, mark) == expected
    prompt = (
        TASKS["dolly"]
        .prompts["answer"]
        .model_copy(update={"render": "raw", "prefix": " Answer: ", "separator": "\n---\n"})
    )
    whole = "Answer: one\ntwo\n---\nInstruction"
    for demonstrated in (False, True):
        said = prompt.said(whole, demonstrated)
        shown = [prompt.saying(whole[:size], demonstrated) for size in range(len(whole) + 1)]
        assert all(said.startswith(text) for text in shown) and shown[-1] == said
        assert len(set(shown)) > 6
