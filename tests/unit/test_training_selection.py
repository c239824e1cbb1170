"""Candidates for the result, and the choice among them."""

import json

import pytest
import torch

from pipestill.errors import UserError
from pipestill.methods import METHODS
from pipestill.training.candidates import Candidates
from pipestill.training.history import describe, selection_log, train_log
from pipestill.training.selection import select_weights

LOSSES = {5: 0.9, 10: 0.4, 15: 0.6, 20: 0.4, 25: 0.5}  # 10 and 20 tie: the earlier wins


def weights(step):
    return {"weight": torch.full((2, 3), float(step))}


def offer_all(candidates, steps=LOSSES):
    for step in steps:
        candidates.offer(step, LOSSES[step], weights(step))


class Model(torch.nn.Module):
    """One trained tensor, and a frozen one that candidates do not hold."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2, 3))
        self.frozen = torch.nn.Parameter(torch.zeros(1), requires_grad=False)


@pytest.mark.parametrize(("limit", "kept"), [(1, [10]), (2, [10, 20]), (3, [10, 20, 25]), (9, [10, 20, 25, 15, 5])])
def test_the_lowest_losses_are_kept_and_no_other_weights_lie_on_disk(tmp_path, limit, kept):
    candidates = Candidates(tmp_path, limit)
    offer_all(candidates)
    assert list(candidates.losses()) == kept
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == sorted(kept)
    for step in kept:
        assert torch.equal(candidates.load(step)["weight"], weights(step)["weight"])


@pytest.mark.parametrize("killed", LOSSES)
@pytest.mark.parametrize("resumed", LOSSES)
def test_a_resumed_run_that_repeats_its_evaluations_ends_with_the_same_candidates(tmp_path, killed, resumed):
    offer_all(Candidates(tmp_path, 2), [step for step in LOSSES if step <= killed])
    offer_all(Candidates(tmp_path, 2), [step for step in LOSSES if step > min(resumed, killed)])
    assert list(Candidates(tmp_path, 2).losses()) == [10, 20]


def test_the_loss_or_a_measurement_of_each_candidate_decides(tmp_path):
    candidates, model = Candidates(tmp_path, 3), Model()
    offer_all(candidates)
    by_loss = select_weights(model, candidates)
    assert torch.equal(model.weight, weights(10)["weight"])
    rows = [{"step": 10, "eval_loss": 0.4}, {"step": 20, "eval_loss": 0.4}, {"step": 25, "eval_loss": 0.5}]
    assert by_loss == {"by": "eval_loss", "step": 10, "candidates": rows}
    seen = []

    def measure(step):
        seen.append((step, model.weight[0, 0].item()))
        return {10: 1.0, 20: 3.0, 25: 3.0}[step]

    by_metric = select_weights(model, candidates, "rouge_l", measure)
    assert seen == [(10, 10.0), (20, 20.0), (25, 25.0)]  # each was measured with its own weights
    assert (by_metric["by"], by_metric["step"]) == ("rouge_l", 20)  # of equal scores the one with the lower loss
    assert [row["rouge_l"] for row in by_metric["candidates"]] == [1.0, 3.0, 3.0]
    assert torch.equal(model.weight, weights(20)["weight"])
    assert selection_log(by_metric).splitlines()[1:] == [
        "candidate of step 20: eval_loss 0.4000, rouge_l 3.0000",
        "candidate of step 25: eval_loss 0.5000, rouge_l 3.0000",
        "the result has the weights of step 20, chosen by rouge_l",
    ]


def test_damaged_candidates_are_not_chosen(tmp_path):
    candidates = Candidates(tmp_path / "state" / "candidates", 1)
    offer_all(candidates)
    path = candidates.path(10) / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"does not match its sha256 .* train again without .*state$"):
        select_weights(Model(), candidates)


def test_a_resumed_run_drops_damaged_candidates_and_knows_that_it_did(tmp_path, capsys):
    candidates = Candidates(tmp_path, 2)
    offer_all(candidates)
    assert candidates.are_whole()
    (candidates.path(10) / "evaluation.json").write_text("{")
    assert not candidates.are_whole()
    assert f"{candidates.path(10)} is damaged: it is dropped" in capsys.readouterr().err
    assert list(candidates.losses()) == [20]


def test_the_log_says_what_was_measured_and_no_time():
    history = [
        {"step": 1, "epoch": 0.5, "loss": 1.25, "cross_entropy": 1.0, "divergence": 1.5, "grad_norm": None},
        {"step": 2, "epoch": 1.0, "loss": 1.0, "learning_rate": 2e-4, "grad_norm": 0.12345},
        {"step": 2, "epoch": 1.0, "eval_loss": 0.5, "eval_kl": 0.25, "eval_agreement": 0.625},
    ]
    parts = METHODS["fkl"].objective.parts
    assert train_log(history, 2, parts).splitlines() == [
        "step 1/2: loss 1.2500, cross-entropy 1.0000, divergence 1.5000",
        "step 2/2: loss 1.0000, learning rate 0.0002, gradient norm 0.123",
        "step 2/2: validation loss 0.5000, KL to the teacher 0.2500, agreement with the teacher 62.5%",
    ]
    assert describe(json.loads(json.dumps(history[2])), parts).startswith("validation loss")
