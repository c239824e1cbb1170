"""What a query takes: tokens, time, and the keys and values that are kept for it."""

import itertools
import time
from dataclasses import replace

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from pipestill.answers.labels import predict
from pipestill.answers.text import predict as predict_text
from pipestill.inference.cache import kept_bytes
from pipestill.inference.loaded import load
from pipestill.inference.queries import Queries, query, timed
from pipestill.inference.work import Work
from pipestill.io.files import read_json
from pipestill.io.records import Record
from pipestill.job.cost import CostMeter
from pipestill.models.prompts import encode_prompt
from pipestill.tasks import TASKS
from pipestill.text.context import NO_CONTEXT, Context
from support.asking import asking_about
from support.models import CPU, make_directory, make_t5

SIZES = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
GATED = SIZES | {"intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 64}
DECODERS = {
    "qwen2": lambda: transformers.Qwen2Config(**GATED),
    "qwen2_some_layers_slide": lambda: transformers.Qwen2Config(
        **GATED, use_sliding_window=True, sliding_window=8, max_window_layers=1
    ),
    "mistral_all_layers_slide": lambda: transformers.MistralConfig(**GATED, sliding_window=8),
    "gemma": lambda: transformers.GemmaConfig(**GATED, head_dim=20),
    "gpt2": lambda: transformers.GPT2Config(vocab_size=60, n_embd=32, n_layer=3, n_head=4, n_positions=64),
    "opt": lambda: transformers.OPTConfig(**SIZES, ffn_dim=48, word_embed_proj_dim=16, max_position_embeddings=64),
}
CREDITMIX = TASKS["creditmix"]


def queries(model, rows):
    """Means over all rows."""
    found = Queries()
    for row in rows:
        found.add(row)
    return found.means(model)


def held(*caches) -> int:
    """Bytes that lie in caches."""
    tensors = [tensor for cache in caches for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@torch.no_grad()
@pytest.mark.parametrize("architecture", DECODERS)
@pytest.mark.parametrize(("prompt", "written"), [(5, 0), (5, 1), (21, 4)])
def test_bytes_are_those_that_a_decoder_keeps(architecture, prompt, written):
    config = DECODERS[architecture]()
    model = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16).eval()
    cache = transformers.DynamicCache(config=config)
    model(input_ids=torch.ones(1, prompt, dtype=torch.long), past_key_values=cache, use_cache=True)
    for _ in range(written - 1):
        model(input_ids=torch.ones(1, 1, dtype=torch.long), past_key_values=cache, use_cache=True)
    assert kept_bytes(config, 2)(prompt, written) == held(cache)
    row = query(prompt, prompt, 1.0, written)
    assert queries(model, [row])["cache_bytes"] == held(cache)


@torch.no_grad()
def test_bytes_are_those_that_an_encoder_decoder_keeps():
    bart = transformers.BartConfig(
        vocab_size=60, d_model=32, encoder_layers=1, decoder_layers=3, encoder_attention_heads=8,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48,
    )  # fmt: skip
    for model in (
        make_t5(60, num_layers=1, num_decoder_layers=2),
        transformers.AutoModelForSeq2SeqLM.from_config(bart),
    ):
        source, target = torch.ones(1, 9, dtype=torch.long), torch.ones(1, 4, dtype=torch.long)
        kept = model.eval()(input_ids=source, decoder_input_ids=target, use_cache=True).past_key_values
        assert kept_bytes(model.config, 4)(9, 4) == held(kept.self_attention_cache, kept.cross_attention_cache)


def test_a_model_that_writes_no_text_keeps_nothing_and_an_adapter_changes_nothing():
    rows = [query(5, 5, 1.0)]
    masked = transformers.BertForMaskedLM(transformers.BertConfig(**SIZES, intermediate_size=48))
    head = transformers.Qwen2ForSequenceClassification(DECODERS["qwen2"]())
    assert [queries(model, rows)["cache_bytes"] for model in (masked, head)] == [0, 0]
    causal = transformers.Qwen2ForCausalLM(DECODERS["qwen2"]())
    plain = queries(causal, rows)
    assert plain["cache_bytes"] == 3 * 5 * 2 * 2 * 8 * 4  # layers, tokens, keys and values, heads, head_dim, bytes
    assert queries(get_peft_model(causal, LoraConfig(task_type="CAUSAL_LM")), rows) == plain


def test_only_the_time_until_a_batch_comes_is_counted():
    def batches():
        for number in range(2):
            time.sleep(0.02)
            yield number

    found = []
    for number, ms in timed(batches()):
        time.sleep(0.1)
        found.append((number, 20 <= ms < 100))
    assert found == [(0, True), (1, True)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(make_directory(tmp_path_factory.mktemp("models") / "base", initializer_range=0.3), None, CPU)


def label_records(many: int = 8) -> list[Record]:
    """Half validation, half test; all prompts begin with the task's instruction."""
    found = []
    for number in range(many):
        inputs, label = {"features": f"Age: {20 + number}.0{', Debt 1' * number}"}, ("Good", "Bad")[number % 2]
        prompt = CREDITMIX.prompts["answer"].fill(inputs)
        split = ("validation", "test")[number % 2]
        found.append(Record(f"c{number}", split, inputs, label, [label], prompt=prompt))
    return found


def test_ranking_counts_whole_prompts_and_reads_what_they_share_once(loaded, tmp_path, monkeypatch):
    records, asking = label_records(), asking_about("creditmix", max_prompt_tokens=248, max_new_tokens=8)
    clock = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock) / 10)  # 100 ms between two looks
    work = Work(tmp_path / "state", CostMeter(tmp_path / "cost.json"), "run")
    (tmp_path / "state").mkdir()
    predict.predict(CREDITMIX, loaded, asking, records, work, tmp_path / "whole")
    found = read_json(tmp_path / "whole/queries.json")

    encoded = {record.id: encode_prompt(loaded.tokenizer, record.prompt) for record in records}
    shared = next(place for place, tokens in enumerate(zip(*encoded.values(), strict=False)) if len(set(tokens)) > 1)
    tested = [len(encoded[record.id]) for record in records if record.split == "test"]
    mean = sum(tested) / len(tested)
    assert shared >= 8 and (found["queries"], found["written_tokens"]) == (4, 0)
    assert found["prompt_tokens"] == pytest.approx(mean)
    assert found["read_tokens"] == pytest.approx(mean - shared + shared / len(records))
    assert found["cache_bytes"] == pytest.approx(mean * 2 * 2 * 2 * 16 * 4)
    assert found["ms"] == pytest.approx(100 / 8)  # one batch

    log = tmp_path / "state/scores.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-3]))  # as a kill leaves it
    predict.predict(CREDITMIX, loaded, asking, records, work, tmp_path / "resumed")
    again = read_json(tmp_path / "resumed/queries.json")
    assert {**again, "ms": 0} == {**found, "ms": 0} and again["ms"] > found["ms"]
    for name in ("predictions.jsonl", "calibration.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "resumed" / name).read_bytes()


def test_demonstrations_lengthen_every_prompt_and_are_read_once(loaded, tmp_path):
    records, asking = label_records(), asking_about("creditmix", max_prompt_tokens=248, max_new_tokens=8)
    shown = [(record.prompt, record.target) for record in label_records(4)]
    found = {}
    for name, context in (("alone", NO_CONTEXT), ("shown", Context(demonstrations=shown))):
        work = Work(tmp_path / name, CostMeter(tmp_path / f"{name}.json"), "run")
        work.state.mkdir()
        own = replace(loaded, context=context)
        predict.predict(CREDITMIX, own, asking, records, work, tmp_path / f"{name}_seed")
        found[name] = read_json(tmp_path / f"{name}_seed/queries.json")
    longer = found["shown"]["prompt_tokens"] - found["alone"]["prompt_tokens"]
    assert longer > 200
    assert found["shown"]["read_tokens"] - found["alone"]["read_tokens"] == pytest.approx(longer / len(records))
    kept = found["shown"]["cache_bytes"] / found["alone"]["cache_bytes"]
    assert kept == pytest.approx(found["shown"]["prompt_tokens"] / found["alone"]["prompt_tokens"])


def test_generation_counts_every_answer_and_reads_a_prompt_once_for_all_its_draws(loaded, tmp_path):
    dolly = TASKS["dolly"]
    records = []
    for number in range(4):
        inputs = {"instruction": f"Name {number}{' of the things' * number}", "input": ""}
        prompt = dolly.prompts["alpaca"].fill(inputs)
        records.append(Record(f"r{number}", "test", inputs, "Good", ["Good"], "dolly", prompt))
    draws = {"sampling": True, "sampling_seeds": [10, 20, 30]}
    asking = asking_about("dolly", prompt="alpaca", max_prompt_tokens=400, max_new_tokens=6, answers=draws)
    work = Work(tmp_path, CostMeter(tmp_path / "cost.json"), "run")
    predict_text.predict(dolly, loaded, asking, records, work, tmp_path / "seed_1")
    found = read_json(tmp_path / "seed_1/queries.json")
    lengths = [len(encode_prompt(loaded.tokenizer, record.prompt)) for record in records]
    assert found["queries"] == 12 and found["prompt_tokens"] == pytest.approx(sum(lengths) / 4)
    assert found["read_tokens"] == pytest.approx(sum(lengths) / 12)
    assert 1 <= found["written_tokens"] <= 6 and found["ms"] > 0
    read = 12 * (found["prompt_tokens"] + found["written_tokens"])
    assert work.cost.total()["tokens"] == pytest.approx(read)
