"""Label ranking against one plain forward pass per example and label, in float64."""

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from pipestill.errors import UserError
from pipestill.inference import prefix, ranking
from pipestill.inference.batched import score_in_batches
from pipestill.inference.label_scores import LabelScores
from pipestill.inference.label_trie import build_trie
from pipestill.inference.prefix import KeptPrefix, read_prefix
from pipestill.inference.ranking import score_all_labels, score_labels

VOCABULARY = 97
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GATED = {**SIZES, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 64}
CONFIGS = {
    "qwen2": lambda: transformers.Qwen2Config(**GATED),
    "llama": lambda: transformers.LlamaConfig(**GATED),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=0, eos_token_id=0
    ),
}
LABELS = {
    "one": [[5]],
    "single_tokens": [[5], [6], [7]],
    "shared_first": [[5, 6], [5, 7], [8]],
    "prefixes_of_each_other": [[5, 6, 7], [5], [9, 9], [5, 6], [9]],
    "deep": [[1, 2, 3, 4], [1, 2, 4, 4], [2, 2], [1, 3]],
}


def make_model(name="qwen2", attention="sdpa", dtype=torch.float64, **changes):
    torch.manual_seed(3)
    config = CONFIGS[name]()
    config.initializer_range = 0.3  # scores far from uniform
    for key, value in changes.items():
        setattr(config, key, value)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    return model.to(dtype).eval()


def make_prompts(case):
    draw = np.random.default_rng(5)
    prompts = [draw.integers(0, VOCABULARY, n).tolist() for n in (3, 11, 7, 1, 11, 20, 2)]
    prefix = draw.integers(0, VOCABULARY, 13).tolist()
    return {
        "different": prompts,
        "shared": [prefix + prompt for prompt in prompts],
        "identical": [prefix] * 4,
        "prefix_of_another": [prefix, [*prefix, 4], [*prefix, 4, 5, 6], prefix[:10]],
        "single": [prefix],
    }[case]


@torch.no_grad()
def naive(model, prompts, labels):
    scores, mass = np.empty((len(prompts), len(labels))), np.empty(len(prompts))
    greedy = np.empty(scores.shape, dtype=bool)
    for i, prompt in enumerate(prompts):
        for j, label in enumerate(labels):
            rows = model(torch.tensor([list(prompt) + label[:-1]])).logits[0].double().log_softmax(-1)
            scores[i, j] = np.mean([rows[len(prompt) - 1 + k, token].item() for k, token in enumerate(label)])
            greedy[i, j] = rows[len(prompt) - 1].argmax() == label[0]
        mass[i] = rows[len(prompt) - 1, sorted({label[0] for label in labels})].exp().sum().item()
    return scores, mass, greedy


def assert_exact(model, prompts, labels, tolerance=1e-11, **options):
    ours = score_all_labels(model, prompts, labels, **options)
    scores, mass, greedy = naive(model, prompts, labels)
    np.testing.assert_allclose(ours.mean_log_prob, scores, rtol=0, atol=tolerance)
    np.testing.assert_allclose(ours.label_mass, mass, rtol=0, atol=tolerance)
    if tolerance < 1e-4:  # else two tokens may change their places
        np.testing.assert_array_equal(ours.greedy, greedy)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("architecture", CONFIGS)
def test_architectures(architecture, attention):
    model = make_model(architecture, attention)
    tolerance = 1e-11 if attention == "sdpa" else 1e-5  # eager attention computes its softmax in float32
    assert_exact(model, make_prompts("shared"), LABELS["prefixes_of_each_other"], tolerance, token_budget=60)
    assert_exact(model, make_prompts("different"), LABELS["deep"], tolerance)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("case", ["different", "shared", "identical", "prefix_of_another", "single"])
def test_prompts_and_labels(case, labels):
    assert_exact(make_model(), make_prompts(case), labels, token_budget=70)


def test_adapter_in_training_mode():
    config = LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False, lora_dropout=0.5)
    model = get_peft_model(make_model(), config).double()
    plain = score_all_labels(make_model(), make_prompts("shared"), LABELS["deep"])
    model.train()  # scoring switches dropout off
    adapted = score_all_labels(model, make_prompts("shared"), LABELS["deep"])
    assert np.abs(adapted.mean_log_prob - plain.mean_log_prob).max() > 0.1
    assert_exact(model, make_prompts("shared"), LABELS["deep"])


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_bfloat16(attention):
    model = make_model("qwen2", attention, torch.bfloat16, initializer_range=0.05)
    assert_exact(model, make_prompts("shared"), LABELS["deep"], tolerance=0.05)


def test_four_bit_weights():
    bnb = pytest.importorskip("bitsandbytes")
    model = make_model("llama", dtype=torch.float32, hidden_size=64, head_dim=16, intermediate_size=64)
    for layer in model.model.layers:
        for parent in (layer.self_attn, layer.mlp):
            for name, linear in list(parent.named_children()):
                if isinstance(linear, torch.nn.Linear):
                    quantised = bnb.nn.Linear4bit(linear.in_features, linear.out_features, bias=False, quant_type="nf4")
                    quantised.load_state_dict(linear.state_dict())
                    setattr(parent, name, quantised.to("cpu"))
    assert model.model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
    assert_exact(model, make_prompts("shared"), LABELS["deep"], tolerance=1e-4)


def test_batches_cover_every_prompt_once_and_resume_bit_for_bit():
    model, prompts, labels = make_model(dtype=torch.float32), make_prompts("shared"), LABELS["deep"]
    whole = score_all_labels(model, prompts, labels, token_budget=60)
    batches = list(score_labels(model, prompts, labels, token_budget=60))
    assert len(batches) > 2
    assert sorted(index for indices, _ in batches for index in indices) == list(range(len(prompts)))
    done = {batches[0][0][0], *batches[1][0]}
    resumed = list(score_labels(model, prompts, labels, token_budget=60, done=done))
    assert sorted(index for indices, _ in resumed for index in indices) == sorted(set(range(len(prompts))) - done)
    for indices, scores in resumed:
        np.testing.assert_array_equal(scores.mean_log_prob, whole.mean_log_prob[indices])
        np.testing.assert_array_equal(scores.label_mass, whole.label_mass[indices])
        np.testing.assert_array_equal(scores.greedy, whole.greedy[indices])


@torch.no_grad()
@pytest.mark.parametrize("labels", [LABELS["single_tokens"], LABELS["deep"]])
@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_prefix_is_kept_from_call_to_call_and_shrinks_to_what_all_share(architecture, labels, monkeypatch):
    model, kept, read = make_model(architecture), KeptPrefix(), []
    monkeypatch.setattr(prefix, "read_prefix", lambda *given: read.append(len(given[1])) or read_prefix(*given))
    shared, others = make_prompts("shared"), make_prompts("different")
    calls = [shared[:1], shared[1:2], shared[2:5], [[*shared[0][:10], 3], shared[5]], shared, others, shared[:2]]
    lengths = []
    for prompts in calls:
        found = ranking.gather(score_labels(model, prompts, labels, kept=kept), len(prompts), len(labels))
        expected = naive(model, prompts, labels)
        for name, values in zip(("mean_log_prob", "label_mass"), expected, strict=False):
            np.testing.assert_allclose(getattr(found, name), values, atol=1e-11)
        lengths.append(kept.cache.get_seq_length() if kept.cache else 0)
    assert lengths == [0, 13, 13, 10, 10, 0, 0] and read == [13]


def test_of_the_last_layer_only_what_is_asked_for_is_read(monkeypatch):
    model, widths = make_model(), []
    prompts, labels = make_prompts("shared"), LABELS["deep"]
    last = model.model.layers[-1]
    for part in (last.mlp.up_proj, last.self_attn.o_proj):
        part.register_forward_hook(lambda _, given, made: widths.append(given[0].shape[1]))
    attended = []
    sdpa = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda query, *others, **how: attended.append(query.shape[2]) or sdpa(query, *others, **how),
    )
    list(score_labels(model, prompts, labels, kept=KeptPrefix()))
    few = 1 + len(build_trie(labels).tokens)
    assert set(widths) == {few} and attended[-1] == few < attended[-2]
    assert not last.mlp._forward_hooks and last.self_attn.config is model.config  # nothing of it stays


def test_prompts_of_about_one_length_are_a_batch():
    prompts = [[0] * length for length in (8, 30, 40, 9, 31)]

    def batches(**how: float) -> list[list[int]]:
        def score(batch: list[list[int]]) -> LabelScores:
            return LabelScores(np.zeros((len(batch), 2)), np.zeros(len(batch)), np.zeros((len(batch), 2), dtype=bool))

        return [indices for indices, _ in score_in_batches(prompts, score, 1000, set(), **how)]

    assert batches() == [[2, 4, 1, 3, 0]]
    assert batches(padding=0.25) == [[2, 4, 1], [3, 0]] and batches(behind=-7, padding=0.25) == [[2], [4, 1], [3], [0]]


def test_labels_that_begin_with_the_likeliest_token_of_the_vocabulary():
    model, prompts = make_model(), make_prompts("different")
    likeliest = [int(model(torch.tensor([prompt])).logits[0, -1].argmax()) for prompt in prompts]
    first, other = likeliest[0], next(token for token in likeliest if token != likeliest[0])
    never = next(token for token in range(VOCABULARY) if token not in likeliest)
    found = score_all_labels(model, prompts, [[first, 1], [never], [first, 2], [other]]).greedy
    assert found.tolist() == [[token == first, False, token == first, token == other] for token in likeliest]
    assert_exact(model, prompts, [[first, 1], [never], [first, 2], [other]])


def test_no_prompts_have_no_scores():
    assert score_all_labels(make_model(), [], LABELS["deep"]).mean_log_prob.shape == (0, 4)


def test_prefix_is_read_once_and_head_only_where_needed():
    model, rows, read = make_model(), [], []
    model.lm_head.register_forward_hook(lambda module, args, output: rows.append(tuple(output.shape[:2])))
    model.model.embed_tokens.register_forward_hook(lambda module, args, output: read.append(output.shape[1]))
    prompts = make_prompts("shared")
    score_all_labels(model, prompts, LABELS["shared_first"])
    assert read == [13, 20 + 1] and rows == [(1, 1), (len(prompts), 2)]


def test_out_of_memory_halves_the_batch(monkeypatch):
    model, prompts, sizes = make_model(), make_prompts("different"), []
    true_batch = ranking.score_batch

    def small_device(model, batch, *rest):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return true_batch(model, batch, *rest)

    monkeypatch.setattr(ranking, "score_batch", small_device)
    assert_exact(model, prompts, LABELS["deep"])
    assert sizes[:2] == [7, 3] and sizes[2] == 1

    monkeypatch.setattr(ranking, "score_batch", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(UserError, match=r"prompt 5 \(20 tokens\) does not fit"):
        score_all_labels(model, prompts, LABELS["deep"])


@pytest.mark.parametrize(
    ("prompts", "labels", "message"),
    [
        ([[1]], [], "at least one label"),
        ([[1]], [[1], []], "label 1 has no tokens"),
        ([[1]], [[1], [2, 3], [2, 3]], "labels 1 and 2 are the same"),
        ([[1], []], [[1]], "prompt 1 has no tokens"),
        ([[1], [1] * 63], [[1, 2, 3]], "prompt 1 has 63 tokens and the longest label 3, .* at most 64"),
    ],
)
def test_bad_input(prompts, labels, message):
    with pytest.raises(UserError, match=message):
        score_labels(make_model(), prompts, labels)  # before anything is computed


def test_longest_prompt_that_fits():
    assert_exact(make_model("gpt2"), [[1] * 62, [2] * 60], [[1, 2, 3]])


def test_models_that_cannot_be_masked():
    model = make_model(sliding_window=16)
    assert_exact(model, [[1, 2, 3]], LABELS["deep"])
    with pytest.raises(UserError, match="at most 16"):
        score_all_labels(model, [[1] * 17], LABELS["deep"])
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(UserError, match="cannot mask 'flash_attention_2'"):
        score_all_labels(model, [[1]], LABELS["deep"])
    with pytest.raises(UserError, match="Linear takes no position_ids"):
        score_all_labels(torch.nn.Linear(1, 1), [[1]], LABELS["deep"])


def test_scores_that_are_not_finite():
    model = make_model()
    model.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(UserError, match="prompt 0 are not finite"):
        score_all_labels(model, [[1, 2]], LABELS["deep"])


def test_trie():
    trie = build_trie([[5, 6, 7], [5], [5, 8], [9, 9]])
    assert (trie.tokens, trie.parents, trie.depths) == ((5, 9, 6), (0, 0, 1), [0, 0, 1])
    assert trie.edges == ((0, 5), (0, 9), (1, 6), (1, 8), (2, 9), (3, 7))
    assert trie.paths == ((0, 2, 5), (0,), (0, 3), (1, 4)) and trie.first_edges == 2
