import pytest

from pipestill.inference.generation import generate, length_sorted_batches
from pipestill.models.hardware import HardwarePlan
from pipestill.models.loading import load_base_model, load_tokenizer


def test_batches_hold_every_prompt_once_within_the_budget():
    lengths = [5, 90, 7, 30, 30, 2, 400]
    batches = length_sorted_batches(lengths, new_tokens=10, token_budget=120)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(lengths[i] for i in batch) + 10) <= 120
    assert batches[0] == [6]


@pytest.fixture
def model(tiny_model_dir):
    return load_base_model(tiny_model_dir, HardwarePlan("cpu")), load_tokenizer(tiny_model_dir)


def test_batched_outputs_equal_one_by_one(model):
    prompts = [[5, 6, 7], [9], [8, 5, 4, 3, 9, 10, 11], [12, 13]]
    texts = {}
    for batch in generate(*model, prompts, max_new_tokens=6):
        texts.update(batch)
    for index, prompt in enumerate(prompts):
        [[(_, alone)]] = generate(*model, [prompt], max_new_tokens=6)
        assert texts[index] == alone
    assert len(set(texts.values())) > 1


def test_finished_prompts_are_left_out_batch_by_batch(model):
    prompts = [[5, 6, 7], [9], [8, 5, 4, 3], [12, 13]]
    batches = list(generate(*model, prompts, max_new_tokens=2, token_budget=12))
    assert len(batches) > 1
    done = {index for index, _ in batches[0]}
    assert list(generate(*model, prompts, max_new_tokens=2, token_budget=12, done=done)) == batches[1:]
