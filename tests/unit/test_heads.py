"""Decoder and head by themselves against whole models."""

import pytest
import torch

from pipestill.models.adapters import add_adapter
from pipestill.models.hardware import HardwarePlan
from pipestill.models.heads import hidden_states, linear_head
from pipestill.models.rows import IGNORED
from pipestill.settings.training import LoraConfig
from support.models import make_batch, make_model, make_tokenizer

SHAPE = dict(
    hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8
)
TOKENIZER = make_tokenizer()


def make(name, **config):
    import transformers

    shape = SHAPE if name != "GPT2" else dict(n_embd=32, n_layer=2, n_head=4, n_positions=256)
    config_class = getattr(transformers, "Gemma3TextConfig" if name == "Gemma3" else f"{name}Config")
    model_class = getattr(transformers, "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")
    torch.manual_seed(0)
    special = dict(bos_token_id=0, eos_token_id=2, pad_token_id=0)
    return model_class(config_class(vocab_size=len(TOKENIZER), **shape, **special, **config))


@pytest.mark.parametrize("name", ["GPT2", "Llama", "Qwen2", "Gemma", "Gemma3", "Olmo2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_head_of_hidden_states_gives_the_logits_that_predict_labels(name, dtype):
    model = make(name).to(dtype).train()
    head = linear_head(model)
    assert model.training  # the mode is given back
    batch = make_batch(TOKENIZER, ("Age: 23.0", "Outstanding Debt: 809.98, Age: 44.0"), answer="Standard deviation")
    batch["labels"][0, -4:] = IGNORED
    model.eval()
    logits = head(hidden_states(model, batch))
    whole = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    expected = [
        whole[row, position - 1]
        for row in range(2)
        for position in range(1, whole.shape[1])
        if batch["labels"][row, position] != IGNORED
    ]
    tolerance = 1e-6 if dtype == torch.float32 else 2e-2
    assert torch.allclose(logits.float(), torch.stack(expected).float(), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("Gemma2", {"final_logit_softcapping": 30.0}),
        ("Gemma3", {"final_logit_softcapping": 30.0}),
        ("Cohere", {"logit_scale": 0.0625}),
        ("Granite", {"logits_scaling": 8.0}),
    ],
)
def test_a_head_that_does_more_is_found_whatever_the_weights_and_the_precision(name, config):
    """Small random weights give small logits, which a cap changes by less than bf16 can say."""
    model = make(name, **config)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.mul_(0.1)
    assert linear_head(model) is None
    assert linear_head(model.to(torch.bfloat16)) is None


def test_adapters_are_run_and_one_on_the_head_is_found():
    batch = make_batch(TOKENIZER)
    plan = HardwarePlan("cpu")
    model = add_adapter(make_model(len(TOKENIZER)), LoraConfig(dropout=0.0), plan)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "lora_B" in name:
                tensor.normal_(std=0.1)
    model.eval()
    whole = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"])
    logits = linear_head(model)(hidden_states(model, batch))
    labels = batch["labels"][batch["labels"] != IGNORED]
    assert torch.allclose(torch.nn.functional.cross_entropy(logits, labels), whole.loss, atol=1e-6)
    on_head = add_adapter(
        make_model(len(TOKENIZER), tie_word_embeddings=False), LoraConfig(target_modules=["q_proj", "lm_head"]), plan
    )
    assert linear_head(on_head) is None
