import dataclasses
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from pipestill.errors import UserError
from pipestill.models.kinds import auto_class, kind_of, read_config
from pipestill.pretraining import pretrain as loop
from pipestill.pretraining.architectures import ARCHITECTURES
from pipestill.pretraining.export import export_model, fingerprint
from pipestill.pretraining.masked import MASK_ID
from pipestill.pretraining.model_card import write_model_card
from pipestill.pretraining.packing import RepeatedStrings
from pipestill.pretraining.recipe import RECIPES, BertShape, Recipe, Shape, T5Shape
from pipestill.pretraining.tokenizer import save_tokenizer

TINY = {
    "causal": Shape(layers=2, hidden=32, heads=2, kv_heads=1, intermediate=48),
    "seq2seq": T5Shape(layers=2, hidden=32, heads=2, intermediate=48),
    "masked": BertShape(layers=2, hidden=32, heads=2, intermediate=48),
}
KINDS = list(TINY)
RATES = {"lr": 3e-3, "embedding_lr": 6e-3}
SHORT = Recipe(TINY["causal"], **RATES, steps=24, strings_from=12, rows=2, length=128, copy_rows=2, copy_steps=4)


COPIERS = {
    "causal": Shape(layers=2, hidden=64, heads=2, kv_heads=1, intermediate=64),
    "seq2seq": T5Shape(layers=2, hidden=64, heads=2, intermediate=64),
}
TOKENIZER = Path(__file__).parents[2] / "resources/models/tokenizer"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(TOKENIZER / "tokenizer.json"))


def test_initialised_heads_look_at_the_previous_token_and_at_the_token_after_the_last_match():
    torch.manual_seed(0)
    shape = Shape(layers=2, hidden=128, heads=4, kv_heads=2, intermediate=64)
    model = ARCHITECTURES["causal"].build(shape, 400, seed=5)
    model.set_attn_implementation("eager")
    string = torch.randperm(400)[:40]
    layers = model(string.repeat(2)[None], output_attentions=True).attentions
    previous = layers[0][0].mean(0)  # [place, place], averaged over heads
    assert previous.diagonal(-1)[5:].mean() > 0.3
    assert (previous[5:].argmax(-1) == torch.arange(5, 80) - 1).float().mean() > 0.9
    match = layers[1][0].mean(0)[40:]  # the second time; place 40 + i should look at i + 1
    wanted = torch.arange(40)[:-1] + 1
    assert match[torch.arange(39), wanted].mean() > 3 * match[:-1].mean()


def test_an_encoder_looks_at_the_previous_token_and_its_decoder_at_the_token_after_the_last_match():
    model = ARCHITECTURES["seq2seq"].build(T5Shape(layers=2, hidden=128, heads=4, intermediate=64), 400, seed=5)
    model.set_attn_implementation("eager")
    string = torch.randperm(400, generator=torch.Generator().manual_seed(0))[None, :40]
    seen = model(input_ids=string, decoder_input_ids=string, output_attentions=True)
    previous = seen.encoder_attentions[0][0].mean(0)  # [place, place], averaged over heads
    assert (previous[1:].argmax(-1) == torch.arange(39)).all()
    match = seen.cross_attentions[0][0].mean(0)  # [place in the answer, place in the text]
    assert (match[:-1].argmax(-1) == torch.arange(39) + 1).float().mean() > 0.9


def test_a_masked_model_looks_at_its_neighbours_and_at_the_place_with_the_same_neighbours():
    model = ARCHITECTURES["masked"].build(BertShape(layers=2, hidden=128, heads=4, intermediate=64), 400, seed=5)
    model.set_attn_implementation("eager")
    string = torch.randperm(380, generator=torch.Generator().manual_seed(0))[:40] + 20
    read = torch.cat([string, string])
    hidden = torch.tensor([5, 17, 30])
    read[hidden] = MASK_ID
    layers = model(input_ids=read[None], output_attentions=True).attentions
    places = torch.arange(1, 79)
    for head, offset in ((0, -1), (1, 1)):
        assert (layers[0][0, head, 1:-1].argmax(-1) == places + offset).float().mean() > 0.9
    twins = (torch.arange(80) + 40) % 80
    seen = [place for place in range(1, 80) if MASK_ID not in (read[place], read[twins[place]])]
    assert (layers[0][0, 2:].mean(0)[seen].argmax(-1) == twins[seen]).float().mean() > 0.5  # by chance: 0.01
    match = layers[1][0].mean(0)[hidden]
    match[torch.arange(3), hidden] = 0  # a place always has its own neighbours
    assert match.argmax(-1).tolist() == (hidden + 40).tolist()


@pytest.mark.parametrize(("kind", "shape"), COPIERS.items())
def test_copying_is_learnt_in_steps_in_which_a_default_initialisation_learns_nothing(kind, shape):
    architecture = ARCHITECTURES[kind]

    def accuracy(set_circuit: bool) -> float:
        torch.manual_seed(0)
        model = architecture.build(shape, 200, seed=1)
        if not set_circuit:
            model.init_weights()
            for module in model.modules():
                model._init_weights(module)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=loop.BETAS)
        strings = RepeatedStrings(architecture, range(200), "test", rows=16, length=48)
        for step in range(60):
            logits, targets = architecture.supervised_logits(model, strings(step))
            torch.nn.functional.cross_entropy(logits, targets).backward()
            optimizer.step()
            optimizer.zero_grad()
        return (logits.argmax(-1) == targets).float().mean().item()

    assert accuracy(True) > 0.8
    assert accuracy(False) < 0.2


def test_schedule_warms_up_holds_and_cools_down():
    recipe = dataclasses.replace(SHORT, steps=1000)
    assert recipe.schedule(0) == pytest.approx(1 / 30)
    assert recipe.schedule(29) == recipe.schedule(649) == 1
    assert recipe.schedule(825) == pytest.approx((1 + recipe.floor) / 2)
    assert recipe.schedule(1000) == pytest.approx(recipe.floor)


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_ends_like_an_unbroken_one(kind, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    recipe = dataclasses.replace(SHORT, shape=TINY[kind])
    whole, whole_log, whole_counters = loop.pretrain(recipe, tokenizer, tmp_path / "whole.pt", "f")

    class Killed(loop.Progress):
        def update(self, n: int = 1, note: str = "") -> None:
            super().update(n, note)
            if self.done == 19:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "Progress", Killed)
        loop.pretrain(recipe, tokenizer, tmp_path / "killed.pt", "f")
    resumed, log, counters = loop.pretrain(recipe, tokenizer, tmp_path / "killed.pt", "f")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert (counters.step, counters.tokens, counters.supervised) == (
        24,
        whole_counters.tokens,
        whole_counters.supervised,
    )
    assert [(e["step"], e["loss"], e["accuracy"]) for e in log] == [
        (e["step"], e["loss"], e["accuracy"]) for e in whole_log
    ]
    assert not list(tmp_path.glob(".*.tmp"))


def test_state_of_another_recipe_is_refused(tokenizer, tmp_path):
    other = dataclasses.replace(SHORT, steps=4, strings_from=2, seed=2)
    loop.pretrain(other, tokenizer, tmp_path / "state.pt", fingerprint(other, tokenizer))
    with pytest.raises(UserError, match=r"another recipe.*delete it"):
        loop.pretrain(SHORT, tokenizer, tmp_path / "state.pt", fingerprint(SHORT, tokenizer))


def test_fingerprint_tells_recipes_and_tokenizers_apart(tokenizer, tmp_path):
    save_tokenizer(tmp_path, documents=20)
    other = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert fingerprint(SHORT, tokenizer) == fingerprint(dataclasses.replace(SHORT), tokenizer)
    assert fingerprint(SHORT, other) != fingerprint(SHORT, tokenizer)
    assert fingerprint(dataclasses.replace(SHORT, lr=1e-3), tokenizer) != fingerprint(SHORT, tokenizer)


@pytest.mark.parametrize("kind", KINDS)
def test_exported_model_is_the_trained_one_in_bfloat16(kind, tmp_path):
    from transformers import AutoTokenizer

    model = ARCHITECTURES[kind].build(TINY[kind], 1536, seed=4)
    export_model(model, TOKENIZER, tmp_path)
    assert kind_of(read_config(tmp_path)) == kind
    loaded = auto_class(kind).from_pretrained(str(tmp_path))
    assert loaded.dtype == torch.bfloat16 and loaded.config.tie_word_embeddings
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name].float(), value.bfloat16().float(), rtol=0, atol=0)
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 2)
    assert loaded.can_generate() == (kind != "masked")
    if loaded.can_generate():
        assert (loaded.generation_config.pad_token_id, loaded.generation_config.eos_token_id) == (0, 2)
        assert loaded.generation_config.decoder_start_token_id == (0 if kind == "seq2seq" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_says_what_its_kind_can_do(kind, tmp_path):
    export_model(ARCHITECTURES[kind].build(TINY[kind], 1536, seed=4), TOKENIZER, tmp_path)
    recipe = next(recipe for recipe in RECIPES.values() if recipe.shape.kind == kind)
    counters = loop.Counters(step=recipe.steps, copy_steps=1, tokens=2, supervised=1)
    probes = {"copy 32": {"accuracy": 0.63, "loss": 2.7, "tokens": 160}}
    log = [{"phase": "corpus", "step": recipe.steps, "loss": 1.25}]
    write_model_card(tmp_path, "mine", recipe, counters, log, probes)
    card = (tmp_path / "README.md").read_text()
    assert ("It can copy" in card) == ("base of the embedded default" in card) == (kind != "masked")
    assert "| copy 32 | 0.6300 |" in card and "{" not in card


def test_recipes_fit_the_copy_circuit():
    for recipe in RECIPES.values():
        shape = recipe.shape
        assert shape.layers >= 2 and shape.hidden % shape.heads == 0
        if shape.kind == "causal":
            assert shape.heads % shape.kv_heads == 0
        if shape.kind == "masked":
            assert shape.heads % 2 == 0
        assert recipe.strings_from < recipe.steps
