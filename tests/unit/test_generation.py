"""Generation against transformers' own, one prompt at a time, and sampling against the probabilities that it claims."""

import numpy as np
import pytest
import torch
import transformers

from pipestill.errors import UserError
from pipestill.inference import generation, rows
from pipestill.inference.decoding import chooser, sample
from pipestill.inference.generation import generate, length_sorted_batches, shared_length
from pipestill.inference.rows import prompt_groups
from pipestill.settings.generation import GenerationConfig
from support.models import make_tokenizer

VOCABULARY = 97
ENDS = list(range(3, 12))  # a tenth of the vocabulary, so that answers end at different lengths
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
GATED = {**SIZES, "intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 64}
CONFIGS = {
    "qwen2": lambda: transformers.Qwen2Config(**GATED),
    "llama": lambda: transformers.LlamaConfig(**GATED),
    "gpt2": lambda: transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "gemma3": lambda: transformers.Gemma3TextConfig(  # one layer sees a window of 8 tokens, the other everything
        **GATED,
        head_dim=8,
        tie_word_embeddings=False,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
    ),
}
DRAW = np.random.default_rng(5)
PROMPTS = [DRAW.integers(12, VOCABULARY, length).tolist() for length in (3, 11, 7, 1, 11, 20, 2, 14)]
PROMPTS.append(PROMPTS[1])
KEYS = [f"10/row {number}" for number in range(len(PROMPTS))]
SAMPLED = GenerationConfig(sampling=True)


class Words:
    """A tokenizer whose text shows every token."""

    def batch_decode(self, answers, skip_special_tokens):
        assert skip_special_tokens
        return [" ".join(map(str, answer)) for answer in answers]


def make_model(name="qwen2", dtype=torch.float64):
    torch.manual_seed(3)
    config = CONFIGS[name]()
    config.initializer_range = 0.3
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(dtype).eval()
    model.generation_config = transformers.GenerationConfig(eos_token_id=ENDS)
    return model


def collect(batches):
    answers = {}
    for batch in batches:
        assert not answers.keys() & dict(batch).keys()
        answers.update(batch)
    return answers


def ours(model, prompts=PROMPTS, **options):
    answers = collect(generate(model, Words(), prompts, max_new_tokens=12, **options))
    return [answers[number].text for number in range(len(prompts))]


def test_batches_hold_every_prompt_once_within_the_budget():
    lengths = [5, 90, 7, 30, 30, 2, 400]
    batches = length_sorted_batches(lengths, new_tokens=10, token_budget=120)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(lengths[i] for i in batch) + 10) <= 120
    assert batches[0] == [6]


def test_groups_of_prompts_are_neighbours_within_the_budget():
    lengths = [90, 30, 30, 7, 200, 2, 2]
    groups = prompt_groups(lengths, token_budget=100)
    assert [lengths[rows] for rows in groups] == [[90], [30, 30, 7], [200], [2, 2]]
    assert prompt_groups([5], 1) == [slice(0, 1)]


@pytest.mark.parametrize("read_at_a_time", [2048, 24])
@pytest.mark.parametrize("ngram", [0, 1])
@pytest.mark.parametrize("architecture", CONFIGS)
def test_greedy_equals_transformers_one_by_one(architecture, ngram, read_at_a_time, monkeypatch):
    monkeypatch.setattr(rows, "CPU_PROMPT_TOKENS", read_at_a_time)
    model = make_model(architecture)
    expected = []
    for prompt in PROMPTS:
        output = model.generate(
            torch.tensor([prompt]), max_new_tokens=12, do_sample=False, no_repeat_ngram_size=ngram or None
        )
        expected.append(" ".join(map(str, output[0, len(prompt) :].tolist())))
    assert ours(model, decoding=GenerationConfig(no_repeat_ngram_size=ngram)) == expected
    assert len({len(answer.split()) for answer in expected}) > 2  # rows leave at different steps
    if ngram:
        assert ours(model) != expected


def test_answers_are_text_without_special_tokens(tiny_model_dir):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval()
    tokenizer = make_tokenizer()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    prompt = tokenizer.encode("Age: 23.0")
    answer = collect(generate(model, tokenizer, [prompt], max_new_tokens=8))[0]
    output = model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False)[0, len(prompt) :]
    assert answer.text == tokenizer.decode(output, skip_special_tokens=True).strip()
    assert answer.tokens == len(output)


def test_equal_prompts_are_read_once_and_finished_rows_leave():
    model, shapes = make_model(), []
    model.model.embed_tokens.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape[:2])))
    lengths = [len(answer.split()) for answer in ours(model)]
    assert shapes[0] == (len(PROMPTS) - 1, 20)
    assert shapes[1:] == [(rows, 1) for n in range(1, max(lengths)) if (rows := sum(length > n for length in lengths))]


def test_prompts_are_read_a_few_at_a_time_without_padding_of_longer_ones(monkeypatch):
    monkeypatch.setattr(rows, "CPU_PROMPT_TOKENS", 24)
    model, shapes = make_model(), []
    model.model.embed_tokens.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape[:2])))
    ours(model)
    assert shapes[:6] == [(1, 20), (1, 14), (2, 11), (3, 7), (1, 1), (9, 1)]  # eleven tokens twice: equal prompts


def test_a_sampled_answer_depends_on_its_key_alone():
    model, decoding = make_model(), GenerationConfig(sampling=True, top_p=0.95, no_repeat_ngram_size=3)
    together = ours(model, decoding=decoding, keys=KEYS)
    alone = [ours(model, [prompt], decoding=decoding, keys=[key])[0] for prompt, key in zip(PROMPTS, KEYS, strict=True)]
    assert together == alone == ours(model, decoding=decoding, keys=KEYS, token_budget=50)
    other = ours(model, decoding=decoding, keys=[key.replace("10/", "20/") for key in KEYS])
    assert sum(a != b for a, b in zip(together, other, strict=True)) > 6
    assert together[1] != together[8]  # the same prompt in another row


def test_sampling_needs_a_key_for_each_prompt():
    with pytest.raises(ValueError, match="2 keys for 9 prompts"):
        generate(make_model(), Words(), PROMPTS, max_new_tokens=2, decoding=SAMPLED, keys=["a", "b"])


def test_a_draw_is_where_the_cumulative_probability_passes_it():
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 3, (40, 300)).astype(np.float32)
    logits[:, ::3] = -np.inf
    uniform = np.concatenate([[0.0, 1 - 2**-53], draw.random(38)])
    exact = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    cumulative = (exact / exact.sum(axis=1, keepdims=True)).cumsum(axis=1)
    drawn = sample(torch.from_numpy(logits), uniform.tolist()).numpy()
    expected = [np.searchsorted(row, u * row[-1], side="right") for row, u in zip(cumulative, uniform, strict=True)]
    assert drawn.tolist() == expected
    assert np.isfinite(logits[np.arange(40), drawn]).all()


def test_rare_tokens_are_not_lost():
    """Half of the mass in 10^5 tokens of 5e-6 each: a float32 sum would be off by more than one of them."""
    scores = torch.full((1, 100_001), 5e-6).log()
    scores[0, 0] = np.log(0.5)
    for uniform in (0.25, 0.6, 0.9, 0.99999):
        expected = 0 if uniform < 0.5 else 1 + int((uniform - 0.5) / 5e-6)
        assert abs(int(sample(scores, [uniform])[0]) - expected) <= 1


class Grid:
    """A random stream that is one number."""

    def __init__(self, value):
        self.value = value

    def random(self):
        return self.value


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"temperature": 2.0}, [0, 1, 2, 3, 4]),
        ({"top_k": 2}, [1, 3]),
        ({"top_p": 0.8}, [1, 3, 4]),
        ({"temperature": 0.5, "top_p": 0.8}, [1, 3]),
        ({"no_repeat_ngram_size": 2}, [0, 1, 2, 4]),
    ],
)
def test_tokens_are_drawn_with_the_configured_probabilities(options, allowed):
    probabilities = np.array([0.05, 0.4, 0.05, 0.3, 0.2])
    decoding = GenerationConfig(sampling=True, **options)
    choose, n = chooser(decoding), 20_000
    logits = torch.from_numpy(np.log(probabilities)).float().expand(n, -1).clone()
    tokens = torch.tensor([[0, 7, 3, 7]]).expand(n, -1)  # with pairs forbidden to come again, 7 is not followed by 3
    drawn = choose(tokens, logits, [Grid((number + 0.5) / n) for number in range(n)])
    expected = np.zeros(5)
    expected[allowed] = probabilities[allowed] ** (1 / decoding.temperature)
    shares = np.bincount(drawn, minlength=5) / n
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=2 / n)


def test_finished_prompts_are_left_out_and_resuming_changes_nothing():
    model, options = make_model(dtype=torch.float32), {"decoding": SAMPLED, "keys": KEYS, "token_budget": 60}
    batches = list(generate(model, Words(), PROMPTS, max_new_tokens=12, **options))
    assert len(batches) > 2
    whole, done = collect(batches), {batches[0][0][0], *dict(batches[1])}
    resumed = collect(generate(model, Words(), PROMPTS, max_new_tokens=12, done=done, **options))
    assert resumed == {index: answer for index, answer in whole.items() if index not in done}


def test_out_of_memory_halves_the_batch(monkeypatch):
    model, sizes, whole = make_model(), [], ours(make_model())
    true_batch = generation.answer_batch

    def small_device(model, prompts, *rest):
        sizes.append(len(prompts))
        if len(prompts) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return true_batch(model, prompts, *rest)

    monkeypatch.setattr(generation, "answer_batch", small_device)
    assert ours(model) == whole
    assert sizes[:3] == [9, 4, 2]

    monkeypatch.setattr(generation, "answer_batch", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(UserError, match=r"prompt 5 \(20 tokens\) and its answer do not fit"):
        ours(model)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [([[20], []], "prompt 1 has no tokens"), ([[20] * 53], "prompt 0 has 53 tokens and its answer up to 12, .* 64")],
)
def test_bad_prompts(prompts, message):
    with pytest.raises(UserError, match=message):
        generate(make_model(), Words(), prompts, max_new_tokens=12)  # before anything is computed


def test_longest_prompt_that_fits():
    assert ours(make_model("gpt2"), [[20] * 52])


def test_output_that_is_not_a_number():
    model = make_model()
    model.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(UserError, match="not a number"):
        ours(model)


PREFIX = DRAW.integers(12, VOCABULARY, 15).tolist()
BEHIND = [PREFIX + prompt for prompt in PROMPTS]


@pytest.mark.parametrize("group", [2048, 12])
@pytest.mark.parametrize(
    "decoding",
    [GenerationConfig(), SAMPLED, GenerationConfig(no_repeat_ngram_size=2)],
    ids=["greedy", "sampled", "no repeats"],
)
@pytest.mark.parametrize("name", ["qwen2", "llama", "gpt2"])
def test_answers_behind_a_prefix_that_is_read_once_are_those_to_whole_prompts(monkeypatch, name, decoding, group):
    model = make_model(name)
    whole = ours(model, BEHIND, decoding=decoding, keys=KEYS)
    monkeypatch.setattr(rows, "CPU_PROMPT_TOKENS", group)  # several groups of prompts in a batch, or one
    for budget in (None, 120):
        options = {"decoding": decoding, "keys": KEYS, "token_budget": budget}
        assert ours(model, BEHIND, shared=shared_length(model, BEHIND), **options) == whole
    done = {0, 3, 5}
    resumed = collect(generate(model, Words(), BEHIND, max_new_tokens=12, done=done, shared=15, **options))
    assert {number: answer.text for number, answer in resumed.items()} == {
        number: text for number, text in enumerate(whole) if number not in done
    }


def test_a_prefix_is_read_once_in_all_batches():
    model, read = make_model(), []
    model.model.embed_tokens.register_forward_hook(lambda module, args, output: read.append(tuple(output.shape[:2])))
    shared = shared_length(model, BEHIND)
    assert shared == len(PREFIX)
    ours(model, BEHIND, token_budget=120, shared=shared)
    assert read[0] == (1, len(PREFIX)) and max(new for _, new in read[1:]) == max(map(len, PROMPTS))


def test_what_cannot_be_shared_is_read_whole():
    model = make_model()
    assert shared_length(model, PROMPTS) == 0 and shared_length(model, BEHIND[:1]) == 0
    assert shared_length(model, [PREFIX[:7] + prompt for prompt in PROMPTS]) == 0  # too short to be worth it
    assert shared_length(make_model("gemma3"), BEHIND) == 0
    assert shared_length(model, [BEHIND[0]] * 3) == len(BEHIND[0]) - 1
    assert ours(model, [BEHIND[0]] * 3, shared=len(BEHIND[0]) - 1) == ours(model, [BEHIND[0]] * 3)
