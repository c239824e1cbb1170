"""A masked model with all weights, with adapters, and with adapters on 4-bit weights: sizes, gradients, learning."""

from dataclasses import replace

import pytest
import torch

from pipestill.models.adapters import add_adapter
from pipestill.models.lineage import make_lineage
from pipestill.models.loading import load_base_model, load_tokenizer, load_trained_model
from pipestill.models.profile import check_gradients, profile
from pipestill.models.saving import save_model
from pipestill.settings.training import LoraConfig
from support.models import CPU, make_directory_of

NF4 = replace(CPU, quantization="nf4")
HIDDEN, FFN, LAYERS, POSITIONS, TYPES, RANK = 64, 96, 2, 512, 2, 4
ADAPTATIONS = pytest.mark.parametrize(
    ("adaptation", "plan"), [("full", CPU), ("lora", CPU), ("lora", NF4)], ids=["full", "lora", "nf4"]
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    still = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return make_directory_of("bert", tmp_path_factory.mktemp("models") / "base", **still)


@pytest.fixture(scope="module")
def batch(base):
    """Two texts of unequal lengths with hidden tokens, which have labels."""
    tokenizer = load_tokenizer(base)
    rows = [tokenizer.encode(text) for text in ("Outstanding Debt: 809.98, Age: 44.0", "Age: 23.0")]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    hidden = (torch.arange(longest) % 3 == 1) & mask.bool()
    labels = ids.masked_fill(~hidden, -100)
    return {"input_ids": ids.masked_fill(hidden, 3), "attention_mask": mask, "labels": labels}


def load(base, adaptation, plan):
    torch.manual_seed(0)
    model = load_base_model(base, plan, training=True)
    return model if adaptation == "full" else add_adapter(model, LoraConfig(r=RANK, dropout=0.0), plan)


@ADAPTATIONS
def test_counts_by_hand_and_the_gradient_check(base, batch, adaptation, plan):
    vocabulary = len(load_tokenizer(base))
    linear = LAYERS * (4 * HIDDEN * HIDDEN + 2 * HIDDEN * FFN) + HIDDEN * HIDDEN  # and that before the head
    biases = LAYERS * (5 * HIDDEN + FFN) + HIDDEN + vocabulary
    norms = 2 * HIDDEN * (2 * LAYERS + 2)
    total = (vocabulary + POSITIONS + TYPES) * HIDDEN + linear + biases + norms  # the head is tied to the embeddings
    added = RANK * (LAYERS * (4 * 2 * HIDDEN + 2 * (HIDDEN + FFN)) + 2 * HIDDEN)
    model = load(base, adaptation, plan)
    found, check = profile(model, plan), check_gradients(model, batch)
    layers = 6 * LAYERS + 1
    if adaptation == "full":
        assert found["total_parameters"] == found["trainable_parameters"] == total
        assert check["nonzero_gradients"] == check["trainable_tensors"] == sum(1 for _ in model.parameters())
    else:
        assert (found["total_parameters"], found["trainable_parameters"]) == (total + added, added)
        assert (check["trainable_tensors"], check["nonzero_gradients"]) == (2 * layers, layers)  # B is zero, so A rests
    assert found["quantised_layers"] == (layers if plan is NF4 else 0)
    assert found["parameter_bytes"].get("uint8", 0) == (linear // 2 if plan is NF4 else 0)
    assert check["supervised_tokens"] == int((batch["labels"] != -100).sum())
    with torch.no_grad():
        assert check["loss"] == pytest.approx(float(model(**batch).loss), rel=1e-5)


@ADAPTATIONS
def test_it_learns_its_hidden_tokens_and_is_the_same_from_disk(tmp_path, base, batch, adaptation, plan):
    model, tokenizer = load(base, adaptation, plan), load_tokenizer(base)
    frozen = {name: tensor.clone() for name, tensor in model.named_parameters() if not tensor.requires_grad}
    optimizer = torch.optim.AdamW([tensor for tensor in model.parameters() if tensor.requires_grad], lr=0.01)
    losses = []
    for _ in range(20):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5
    assert all(torch.equal(tensor, dict(model.named_parameters())[name]) for name, tensor in frozen.items())
    save_model(model, tokenizer, tmp_path / "model", lineage=make_lineage(tmp_path / "model", base, None), extras={})
    loaded = load_trained_model(tmp_path / "model", base, plan)
    with torch.no_grad():
        expected, found = (each.eval()(**batch).logits for each in (model, loaded))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
