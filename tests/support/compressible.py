"""Tiny models of each family that can be compressed, with random weights."""

import torch

SIZES = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
T5_SIZES = {"vocab_size": 60, "d_model": 32, "d_ff": 64, "num_layers": 3, "num_heads": 4, "d_kv": 8}
KINDS = {
    "qwen2": ("Qwen2ForCausalLM", SIZES | {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "llama": ("LlamaForCausalLM", SIZES),
    "opt": ("OPTForCausalLM", SIZES | {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    "bert": ("BertForMaskedLM", SIZES),
    "t5": ("T5ForConditionalGeneration", T5_SIZES | {"num_decoder_layers": 4, "decoder_start_token_id": 0}),
}


def small(architecture, **settings):
    """A model in eval mode; the same weights each time."""
    import transformers  # where it is used, as jobs do

    name, sizes = KINDS[architecture]
    kind = getattr(transformers, name)
    config = kind.config_class(**{**sizes, **settings}, pad_token_id=0)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = kind(config)
        for tensor in model.parameters():  # no two weights are equal, and biases are not zero
            tensor.data.add_(torch.randn_like(tensor), alpha=0.05)
    return model.eval()


def batch(model):
    """Two rows, one of them padded."""
    tokens = torch.arange(3, 19).view(2, 8)
    mask = torch.ones_like(tokens)
    mask[1, 5:] = 0
    rows = {"input_ids": tokens, "attention_mask": mask}
    if model.config.is_encoder_decoder:
        rows |= {"decoder_input_ids": tokens[:, :4], "decoder_attention_mask": torch.ones(2, 4, dtype=torch.long)}
    return rows


@torch.inference_mode()
def logits(model):
    """Of the batch."""
    return model(**batch(model)).logits
