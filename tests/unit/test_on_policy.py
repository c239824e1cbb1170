"""Training on own answers against plain loops written from the papers: whole logits, one row, one token at a time."""

import random
from itertools import chain
from pathlib import Path

import pytest
import torch
import yaml

from pipestill.errors import UserError
from pipestill.job.processes import Processes
from pipestill.models.rows import IGNORED, answered, prompt_of
from pipestill.objectives.divergence.own_answers import OwnAnswers
from pipestill.objectives.divergence.train import DivergenceTrainer
from pipestill.plan.check import check
from pipestill.settings.on_policy import OnPolicy
from support.own_answers import (
    ENDS,
    MAX_LENGTH,
    SEED,
    VOCABULARY,
    draw_answer,
    logits_of,
    make_rows,
    make_student,
    make_teacher,
    parts_of,
    trainer_for,
)

CONFIG = Path(__file__).parents[2] / "config.yaml"


def forward(p, q):
    """KL(p, q) of log-probabilities [tokens, vocab], summed."""
    return (p.exp() * (p - q)).sum()


def generalised(teacher, student, beta):
    """Equation 1 of GKD: beta KL(p, m) + (1 - beta) KL(q, m) with m = beta p + (1 - beta) q."""
    m = (beta * teacher.exp() + (1 - beta) * student.exp()).log()
    return beta * forward(teacher, m) + (1 - beta) * forward(student, m)


def log_probabilities(model, prompt, answer):
    """Of the tokens of an answer, [answer, vocab] in float64."""
    return logits_of(model, [*prompt, *answer])[len(prompt) - 1 : -1].double().log_softmax(-1)


@pytest.mark.parametrize(("method", "share", "kd_rate"), [("gkd", 0.5, 0.7), ("minillm", 1.0, 1.0)])
def test_training_equals_a_plain_loop(tmp_path, method, share, kd_rate):
    """Algorithm 1 of GKD, and the single-step gradient of MiniLLM, that of KL(q, p) summed over own tokens.

    Prompts, padding, and rows of the head beyond the tokenizer count nowhere; the end of an answer does where it has
    one; rows of whole steps count by their tokens.
    """
    rows, model, expected, teacher = make_rows(), make_student(), make_student(), make_teacher()
    options = {"kd_rate": kd_rate} | ({"beta": 0.3} if method == "gkd" else {})
    sampling = {"max_new_tokens": 6, "temperature": 0.8}
    training = dict(epochs=3, batch_size=2, accumulation_steps=2, evaluations=1)
    trainer = trainer_for(
        tmp_path, method, model, {"share": share, "sampling": sampling}, rows, teacher, options, **training
    )
    trainer.train()
    optimizer, losses, cut, own_steps = torch.optim.SGD(expected.parameters(), lr=0.05), [], set(), 0
    for step in range(6):
        trainer.batches.epoch = step // 2
        batches = list(trainer.batches)[step % 2 * 2 :][:2]
        own = random.Random(f"{SEED} {step} source").random() < share
        own_steps += own
        sums, tokens = torch.zeros(2, dtype=torch.float64), 0
        for place in chain(*batches):
            prompt, answer = parts_of(rows[place])
            if own:
                answer = draw_answer(expected, prompt, f"{SEED} {step} {place}", 6, 0.8)
                cut.add(answer[-1] not in ENDS)
            q = log_probabilities(expected, prompt, answer)
            with torch.no_grad():
                p = log_probabilities(teacher, prompt, answer)
            divergence = generalised(p, q, 0.3) if method == "gkd" else forward(q, p)
            sums = sums + torch.stack([-q[range(len(answer)), answer].sum(), divergence])
            tokens += len(answer)
        cross_entropy, divergence = sums / tokens
        loss = kd_rate * divergence + (0 if own else (1 - kd_rate) * cross_entropy)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        parts = {"loss": loss.item(), "divergence": divergence.item(), "own": float(own)}
        losses.append(parts if own else parts | {"cross_entropy": cross_entropy.item()})
    assert cut == {True, False} and 0 < own_steps < 6 + (share == 1)
    names = ("loss", "divergence", "own", "cross_entropy")
    found = [{name: row[name] for name in names if name in row} for row in trainer.history() if "loss" in row]
    assert found == [pytest.approx(step, rel=1e-5) for step in losses]
    for (name, ours), theirs in zip(model.named_parameters(), expected.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=3e-6), name
    assert trainer.cost.tokens > 3 * sum(len(row["input_ids"]) for row in rows)  # written tokens are counted too


def test_answers_end_where_the_student_or_the_limit_ends_them(tmp_path):
    """Labels are the tokens of own answers and nothing else; no row has more than `max_length`."""
    rows, full = make_rows(), [9] * (MAX_LENGTH - 2)
    rows[0] = {"input_ids": [*full, 5], "labels": [*[IGNORED] * len(full), 5]}
    trainer = trainer_for(tmp_path, "minillm", make_student(), {"share": 1, "sampling": {"max_new_tokens": 9}}, rows)
    step = [trainer.train_dataset[:4], trainer.train_dataset[4:]]
    made = list(chain(*trainer.with_own_answers(step, "new")))
    ended = []
    for row, given in zip(made, rows, strict=True):
        prompt, answer = parts_of(row)
        assert prompt == prompt_of(given) and row["labels"] == [IGNORED] * len(prompt) + answer
        assert len(row["input_ids"]) <= MAX_LENGTH and max(answer) < VOCABULARY
        assert not set(answer[:-1]) & set(ENDS)
        ended.append(answer[-1] in ENDS)
        assert ended[-1] or len(answer) == min(9, MAX_LENGTH - len(prompt))
    assert set(ended) == {True, False}
    hardest = trainer.hardest_batch()
    assert hardest["input_ids"].shape[1] == max(min(len(prompt_of(row)) + 9, MAX_LENGTH) for row in rows)


def test_no_gradient_flows_through_the_draw(tmp_path):
    """The gradient is that of the divergence at fixed answers: by finite differences; norms are in float32."""
    trainer = trainer_for(tmp_path, "gkd", make_student().double(), {"share": 1.0}, teacher=make_teacher().double())
    (batch,), items = trainer.get_batch_samples(iter([trainer.train_dataset]), 1, torch.device("cpu"))
    model = trainer.model.eval()
    trainer.compute_loss(model, batch, num_items_in_batch=items).backward()
    weight = model.model.layers[1].self_attn.v_proj.weight
    direction = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    values = []
    for size in (1e-3, -1e-3):
        with torch.no_grad():
            weight += size * direction
            values.append(trainer.compute_loss(model, batch, num_items_in_batch=items).item())
            weight -= size * direction
    assert (weight.grad * direction).sum().item() == pytest.approx((values[0] - values[1]) / 2e-3, rel=1e-3)


def course(settings, steps, losses, per_step):
    """The sources of steps and what each kept step draws from, from DistiLLM's description; ``losses`` by the step
    before which they are measured."""
    share, lowest, memory, found = settings.share, None, [], []
    for step in range(steps):
        if step in losses:
            loss = losses[step]
            if lowest is not None and loss >= lowest + settings.tolerance:
                share, lowest = min(share + settings.rise, 1.0), loss
            lowest = loss if lowest is None else min(lowest, loss)
        u = random.Random(f"{SEED} {step} source").random()
        fresh = share * (1 - step / steps)
        if u >= share:
            found.append(("rows", None))
        elif u < fresh or len(memory) < settings.buffer:
            memory = (memory + [(place, [step]) for place in range(per_step)])[-settings.buffer :]
            found.append(("new", None))
        else:
            found.append(("kept", list(memory)))
    return found, share


def test_share_and_buffer_go_their_course():
    """The share rises with the validation loss alone; a buffer serves once it is full, ever more often, the newest."""
    settings = OnPolicy(schedule="adaptive", share=0.2, rise=0.25, tolerance=0.1, buffer=12)
    losses = {0: 3.0, 20: 2.0, 40: 2.05, 60: 2.11, 80: 2.12, 100: 2.5, 120: 1.0, 140: 1.1, 160: 1.3}
    expected, share = course(settings, 200, losses, per_step=4)
    own = OwnAnswers(settings, SEED)
    for step, (source, memory) in enumerate(expected):
        if step in losses:
            own.hear(losses[step])
        if step % 50 == 25:  # what is saved is all that counts
            again = OwnAnswers(settings, SEED)
            again.restore(own.state())
            own = again
        assert own.source(step, 200) == source, step
        if source == "new":
            own.keep((place, [step]) for place in range(4))
        if source == "kept":
            drawn = own.draw_kept(step, [30, 31, 35, 39])
            assert list(drawn) == [30, 31, 35, 39]
            assert len({str(each) for each in drawn.values()}) == 4 and all(each in memory for each in drawn.values())
    assert own.share == pytest.approx(share) and share == 1.0
    sources = [source for source, _ in expected]
    assert {*sources} == {"rows", "new", "kept"}
    assert sources[150:].count("kept") > 2 * sources[150:].count("new") > 0
    constant = OwnAnswers(OnPolicy(share=0.3), SEED)
    for loss in (1.0, 9.0):
        constant.hear(loss)
    found = [constant.source(step, 4000) for step in range(4000)]
    assert constant.share == 0.3 and found.count("new") / 4000 == pytest.approx(0.3, abs=0.02)
    assert {*found} == {"rows", "new"}


ADAPTIVE = {"share": 0.6, "schedule": "adaptive", "tolerance": 0.0, "buffer": 6, "sampling": {"max_new_tokens": 4}}


def test_a_resumed_run_gives_the_bits_of_one_that_was_not_stopped(tmp_path, monkeypatch):
    """Buffer and share are part of what is saved: without them the rest of the run is another one."""
    training = dict(epochs=4, batch_size=2, evaluations=5)

    def run(checkpoint=None):
        trainer = trainer_for(tmp_path, "distillm", make_student(), ADAPTIVE, **training)
        trainer.train(resume_from_checkpoint=checkpoint)
        return trainer, torch.cat([tensor.detach().flatten() for tensor in trainer.model.parameters()])

    whole, weights = run()
    checkpoints = sorted((whole.job_state.directory / "checkpoints").iterdir())
    assert whole.own.share > 0.6 and len(whole.own.kept) == 6
    resumed, again = run(str(checkpoints[0]))
    assert torch.equal(again, weights)
    assert resumed.history() == whole.history() and resumed.own.state() == whole.own.state()
    monkeypatch.setattr(OwnAnswers, "restore", lambda self, state: None)
    assert not torch.equal(run(str(checkpoints[0]))[1], weights)


def test_a_share_of_0_is_a_divergence_as_ever(tmp_path):
    histories = []
    for method in ("gkd", "jsd"):
        trainer = trainer_for(tmp_path, method, make_student(), {"share": 0.0}, epochs=1, batch_size=2)
        assert type(trainer) is DivergenceTrainer
        trainer.train()
        histories.append(trainer.history())
    assert histories[0] == histories[1]


class OneOfTwo(Processes):
    """A process that knows what the other one has."""

    size = 2

    def __init__(self, rank, theirs):
        self.rank, self.theirs = rank, theirs

    def gather(self, value):
        return [value, self.theirs] if self.rank == 0 else [self.theirs, value]


@pytest.mark.parametrize("source", ["new", "kept"])
def test_two_processes_answer_what_one_answers(tmp_path, source):
    trainer = trainer_for(tmp_path, "distillm", make_student(), ADAPTIVE)
    step = [trainer.train_dataset[:3], trainer.train_dataset[3:6]]
    if source == "kept":
        trainer.own.keep((place, [40 + place, 3]) for place in range(6))
    whole = trainer.with_own_answers(step, source)
    kept = list(trainer.own.kept)
    shares = [[rows[rank::2] for rows in step] for rank in range(2)]
    values = [trainer._answer(list(chain(*share)), 0) for share in shares]
    if source == "kept":
        values = [[row["place"] for row in chain(*share)] for share in shares]
    for rank, share in enumerate(shares):
        trainer.own.kept.clear()
        if source == "kept":
            trainer.own.keep(kept)
        trainer.processes = OneOfTwo(rank, values[1 - rank])
        assert trainer.with_own_answers(share, source) == [rows[rank::2] for rows in whole]
        assert list(trainer.own.kept) == kept


def test_encoder_decoders_answer_behind_their_start(tmp_path):
    row = {"id": "a", "input_ids": [5, 6, 7], "decoder_input_ids": [0, 8, 1], "labels": [IGNORED, 8, 1]}
    assert prompt_of(row) == [5, 6, 7]
    assert answered(row, [4, 4]) == row | {"decoder_input_ids": [0, 4, 4], "labels": [IGNORED, 4, 4]}


ONLINE = {"teacher": "online"}
ROUNDS = {"teacher": "cached", "temperature": 2.0, "on_policy": {"rounds": 2}}


@pytest.mark.parametrize(
    ("study", "method", "divergence", "sentence"),
    [
        (
            "dolly",
            "jsd",
            {"on_policy": {"share": 0.5}},
            r"`jsd` learns .* not written yet; set `divergence.teacher: on",
        ),
        ("dolly", "gkd", {"teacher": "cached"}, r"`gkd` learns .* set `divergence.teacher: online`"),
        ("dolly", "gkd", {"kd_rate": 0.0}, r"with a `kd_rate` of 0 nothing is learnt from own answers; raise it"),
        ("dolly", "distillm", {"on_policy": {"buffer": 9}}, r"a `buffer` of 9 has not a step's 16 rows; raise it, or"),
        ("dolly", "uld", ONLINE | {"on_policy": {"share": 1}}, r"the teacher of `uld` has other tokens"),
        ("mnli-bert", "gkd", {}, r"a `masked` student writes no answers to learn from; set `share: 0`"),
        ("dolly", "gkd", {"hardware": {"strategy": "fsdp", "devices": 2}}, r"which `hardware.strategy: fsdp` divides"),
        ("dolly", "gkd", {"on_policy": {"rounds": 2}}, r"its `rounds` are for a teacher that is not beside it; set"),
        ("dolly", "distillm", ROUNDS, r"each of its `rounds` keeps its answers to the end; set `buffer: 0`"),
        ("creditmix", "gkd", ROUNDS, r"`distributions.codec: labels` has the first token of an answer alone"),
        ("dolly", "gkd", ROUNDS | {"max_steps": 1}, r"1 steps are fewer than its 2 `rounds`; lower these"),
        ("dolly", "gkd", {"on_policy": {"share": 1.5}}, r"overrides\.gkd\.divergence\.on_policy\.share"),
    ],
)
def test_own_answers_that_cannot_be_are_refused(study, method, divergence, sentence):
    config = yaml.safe_load(CONFIG.read_text())
    settings = config["studies"][study]
    settings["methods"] = ["sft", method]
    settings["compress"] = {}
    settings["overrides"] = {method: {"divergence": dict(divergence)}}
    override = settings["overrides"][method]
    settings["hardware"] = override["divergence"].pop("hardware", {})
    override["max_steps"] = override["divergence"].pop("max_steps", None)
    with pytest.raises(UserError, match=sentence):
        check(config)
    settings["overrides"] = {method: {"divergence": ONLINE | {"on_policy": {"share": 0.0, "schedule": "constant"}}}}
    check(config)
