"""Training in rounds against training beside the teacher, and against a loop over answers that are drawn first."""

import json

import pytest
import torch
from safetensors.torch import load_file

from pipestill.errors import UserError
from pipestill.io.records import read_jsonl
from pipestill.models.kinds import Reading
from pipestill.models.loading import load_base_model
from pipestill.models.rows import IGNORED, prompt_of, read_written, written_row
from pipestill.objectives.divergence.rounds import RoundTrainer
from pipestill.teacher.distributions.store import DistributionStore
from pipestill.training import own_answers, run
from pipestill.training.drawing import Drawing
from pipestill.training.sampler import LengthGroupedBatches
from pipestill.training.state import TrainingState
from support.distributions import capture
from support.models import CPU
from support.own_answers import ENDS, SEED, SGD, draw_answer, logits_of, make_rows
from support.rounds import TEMPERATURE, Run, write_models

SAMPLING = {"max_new_tokens": 6, "temperature": 0.8}
ROUNDS = {"share": 1.0, "rounds": 2, "sampling": SAMPLING}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def plain_steps(monkeypatch):
    """Steps of gradients times rate, in which differences stay in proportion."""
    monkeypatch.setattr(run, "plan_here", lambda *_: SGD)


def history(model):
    return read_jsonl(model / "history.jsonl")


def weights(model):
    return load_file(next(path for path in model.iterdir() if path.suffix == ".safetensors"))


@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_rounds_of_one_step_equal_training_beside_the_teacher(tmp_path, models, adaptation):
    """Steps of both kinds, the optimizer, dropout, and what a selection chooses from go on from job to job; nothing is
    answered that no step will learn from."""
    training = dict(batch_size=4, epochs=2, evaluations=4, select="loss", adaptation=adaptation, warmup=0.5)
    schedule = "adaptive" if adaptation == "full" else "constant"
    settings = {"share": 0.5, "schedule": schedule, "tolerance": 0.0, "sampling": SAMPLING}
    trained = Run(tmp_path / "rounds", models, settings | {"rounds": 4}, **training)
    model = trained.finish()
    other = Run(tmp_path / "beside", models, settings, **training).beside_the_teacher()
    own = [row["own"] for row in history(model) if "own" in row]
    assert {*own} == {0, 1}
    asked = [len(read_jsonl(trained.place(number) / "answers.jsonl")) for number in range(1, 5)]
    assert asked == ([4, 3, 3, 4] if adaptation == "full" else [0, 3, 3, 0])
    assert history(model) == [pytest.approx(row, rel=1e-4, abs=1e-5) for row in history(other)]
    chosen = [json.loads((each / "selection.json").read_text())["step"] for each in (model, other)]
    assert chosen[0] == chosen[1]
    for (name, ours), theirs in zip(weights(model).items(), weights(other).values(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5), name
    memory = read_jsonl(tmp_path / "rounds" / "round_4" / "memory.jsonl")
    assert [row["step"] for row in memory] == [1, 2, 3, 4]


def test_a_round_equals_a_plain_loop_over_answers_that_are_drawn_first(tmp_path, models):
    """Only the student's tokens are learnt, an end among them where one was written; later steps do not draw anew."""
    trained = Run(tmp_path / "run", models, ROUNDS | {"rounds": 1}, method="rkl", batch_size=4, epochs=2)
    model = trained.finish()
    expected, teacher = (load_base_model(directory, CPU) for directory in models)
    rows = make_rows()
    prompts = list(map(prompt_of, rows))
    answers = [draw_answer(expected, prompt, f"{SEED} 0 {place}", 6, 0.8) for place, prompt in enumerate(prompts)]
    assert {answer[-1] in ENDS for answer in answers} == {True, False}
    written = read_jsonl(trained.place(1) / "answers.jsonl")
    assert [(row["prompt"], row["answer"]) for row in written] == list(zip(prompts, answers, strict=True))

    learnt = [(row["input_ids"], row["labels"]) for row in read_written(trained.place(1) / "answers.jsonl", Reading())]
    pairs = list(zip(prompts, answers, strict=True))
    assert learnt == [(prompt + answer, [IGNORED] * len(prompt) + answer) for prompt, answer in pairs]

    expected.requires_grad_(True)
    optimizer, losses = torch.optim.SGD(expected.parameters(), lr=0.05), []
    batches = LengthGroupedBatches([len(row["input_ids"]) for row in rows], 4, SEED)
    for epoch in range(2):
        batches.epoch = epoch
        for places in batches:
            total, tokens = 0.0, 0
            for place in places:
                prompt, answer = prompts[place], answers[place]
                p, q = (
                    (logits_of(each, prompt + answer)[len(prompt) - 1 : -1].double() / TEMPERATURE).log_softmax(-1)
                    for each in (teacher, expected)
                )
                total, tokens = total + (q.exp() * (q - p.detach())).sum(), tokens + len(answer)
            loss = 0.7 * total / tokens
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    assert [row["loss"] for row in history(model) if "loss" in row] == pytest.approx(losses, rel=1e-4)
    for name, ours in load_base_model(model, CPU).named_parameters():
        assert torch.allclose(ours, expected.get_parameter(name), atol=1e-5), name


@pytest.mark.parametrize(
    ("method", "codec"), [("gkd", {"codec": "topk", "k": 12}), ("fkl", {"codec": "sample", "draws": 9})]
)
def test_other_codecs_serve_rounds_too(tmp_path, models, method, codec):
    codec = {"k": None} | codec
    model = Run(tmp_path / "run", models, ROUNDS, method=method, codec=codec, batch_size=4, epochs=2).finish()
    assert [row["own"] for row in history(model) if "own" in row] == [1, 1, 1, 1]


def test_a_kill_changes_nothing(tmp_path, models, monkeypatch):
    """While the student answers, after the last step of a round, or before the last of all; what is done stays done."""
    training = dict(batch_size=2, epochs=1, evaluations=2, saves=4)
    whole, broken = (Run(tmp_path / name, models, ROUNDS, **training) for name in ("whole", "broken"))
    monkeypatch.setattr(own_answers, "BATCH_TOKENS", 1)  # an answer at a time
    whole.finish()
    asked = []

    original = Drawing.answers

    def answers(self, model, rows, step):
        asked.append([row["place"] for row in rows])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return original(self, model, rows, step)

    monkeypatch.setattr(Drawing, "answers", answers)
    with pytest.raises(KeyboardInterrupt):
        broken.answer(1)
    broken.answer(1)
    assert asked[1] == asked[2] and len(asked) == 4  # three answers, one of them twice
    monkeypatch.setattr(Drawing, "answers", original)
    put_aside = TrainingState.put_aside

    def killed(self, names):
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingState, "put_aside", killed)
    broken.capture(broken.directory / "study", broken.data)
    broken.score(1)
    with pytest.raises(KeyboardInterrupt):
        broken.train(1)
    assert not broken.outputs(1).model.exists()
    monkeypatch.setattr(TrainingState, "put_aside", put_aside)
    broken.train(1)
    broken.answer(2)
    broken.score(2)
    steps = []

    def before_the_last_step(self, batches, source, original=RoundTrainer.with_own_answers):
        steps.append(self.state.global_step)
        if steps == [2, 3]:
            raise KeyboardInterrupt
        return original(self, batches, source)

    monkeypatch.setattr(RoundTrainer, "with_own_answers", before_the_last_step)
    with pytest.raises(KeyboardInterrupt):
        broken.train(2)
    broken.train(2)
    assert steps == [2, 3, 3]
    for name in ("round_1/answers.jsonl", "round_2/answers.jsonl", "round_2/model/SHA256SUMS"):
        assert (whole.directory / name).read_bytes() == (broken.directory / name).read_bytes(), name
    (checkpoint,) = (whole.place(1) / "model" / "checkpoints").iterdir()
    assert checkpoint.name == "00000002"  # of 4 steps


def test_what_is_of_another_round_is_refused(tmp_path, models):
    trained = Run(tmp_path / "run", models, ROUNDS, batch_size=4, epochs=2)
    trained.go(1)
    first = (trained.place(1) / "answers.jsonl").read_text()
    assert trained.answer(2) != read_jsonl(trained.place(1) / "answers.jsonl")
    (trained.place(2) / "manifest.json").write_bytes((trained.place(1) / "manifest.json").read_bytes())
    for shard in trained.place(1).glob("shard_0.*"):
        if shard.is_file():
            (trained.place(2) / shard.name).write_bytes(shard.read_bytes())
    with pytest.raises(UserError, match=r"is of other answers than .*, such as another round's: capture them again"):
        trained.train(2)
    row = json.loads(first.splitlines()[0])
    (trained.place(2) / "answers.jsonl").write_text(first.replace(json.dumps(row["prompt"]), "[5, 6]", 1))
    with pytest.raises(UserError, match=r"has answers to other prompts than .*sft\.jsonl"):
        trained.train(2)


def test_a_round_may_have_no_answers(tmp_path, models):
    (tmp_path / "answers.jsonl").write_text("")
    likeliest = {"codec": "topk", "k": 12, "written": True}
    store = DistributionStore(capture(tmp_path, [tmp_path / "answers.jsonl"], models[1], models[0], **likeliest))
    assert store.keys() == []


def test_more_rounds_than_steps_are_refused(tmp_path, models):
    trained = Run(tmp_path / "run", models, ROUNDS | {"rounds": 3}, batch_size=4, epochs=1)
    with pytest.raises(UserError, match="the training has 2 steps, which cannot be divided into 3 rounds: lower"):
        trained.go(1)


def test_own_answers_are_files_of_tokens(tmp_path):
    file = tmp_path / "answers.jsonl"
    decoded = {"id": "a", "place": 3, "input_ids": [5, 6], "decoder_input_ids": [0, 8], "labels": [IGNORED, 8]}
    file.write_text(json.dumps(written_row(decoded, [4, 4], "dd")) + "\n")
    [row] = read_written(file, Reading("seq2seq", 0))
    assert row == decoded | {"decoder_input_ids": [0, 4, 4], "labels": [IGNORED, 4, 4]}
    file.write_text(file.read_text() + '{"id": "b", "place": 1, "prompt": [3], "answer": []}\n')
    with pytest.raises(UserError, match=r"answers\.jsonl, line 2: a `place` and tokens of `prompt` and `answer` are"):
        read_written(file, Reading())
