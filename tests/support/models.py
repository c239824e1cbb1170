"""A model directory of a few kilobytes for tests: a byte-level tokenizer with a chat template, a random Qwen2."""

from pathlib import Path

from pipestill.io.files import write_sha256sums
from pipestill.models.hardware import HardwarePlan

CPU = HardwarePlan("cpu")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer(template: str | None = TEMPLATE, pad: str | None = "<|endoftext|>"):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    raw.train_from_iterator(
        ["Age: 23.0, Occupation: Scientist, Outstanding Debt: 809.98, Good Standard Bad"] * 9, trainer
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token=pad)
    tokenizer.chat_template = template
    return tokenizer


def make_model(vocabulary: int, seed: int = 0, **config):
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    shape = dict(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    )
    shape |= dict(tie_word_embeddings=True, initializer_range=0.1)
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=vocabulary, **(shape | config)))


def make_directory(
    directory: Path, seed: int = 0, seal: bool = True, pad: str | None = "<|endoftext|>", **config
) -> Path:
    directory.mkdir(parents=True)
    tokenizer = make_tokenizer(pad=pad)
    tokenizer.save_pretrained(directory)
    make_model(len(tokenizer), seed, **config).save_pretrained(directory)
    if seal:
        write_sha256sums(directory)
    return directory


def make_adapter(directory: Path, base: Path) -> Path:
    """An adapter on the model of a directory that is far from zero."""
    import torch

    from pipestill.models.adapters import add_adapter
    from pipestill.models.lineage import make_lineage
    from pipestill.models.loading import load_base_model, load_tokenizer
    from pipestill.models.saving import save_model
    from pipestill.settings.training import LoraConfig

    torch.manual_seed(5)
    model = add_adapter(load_base_model(base, CPU, training=True), LoraConfig(dropout=0.0), CPU)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    save_model(model, load_tokenizer(base), directory, lineage=make_lineage(directory, base))
    return directory


def make_batch(tokenizer, texts=("Age: 23.0", "Outstanding Debt: 809.98"), answer="Good"):
    """Two padded rows with labels on the answer only."""
    import torch

    from pipestill.models.prompts import encode_answer, encode_prompt

    pairs = [(encode_prompt(tokenizer, text), encode_answer(tokenizer, answer)) for text in texts]
    length = max(len(prompt) + len(target) for prompt, target in pairs)
    rows, labels, mask = [], [], []
    for prompt, target in pairs:
        gap = length - len(prompt) - len(target)
        rows.append(prompt + target + [tokenizer.pad_token_id] * gap)
        labels.append([-100] * len(prompt) + target + [-100] * gap)
        mask.append([1] * (length - gap) + [0] * gap)
    return {"input_ids": torch.tensor(rows), "labels": torch.tensor(labels), "attention_mask": torch.tensor(mask)}


def make_t5(vocabulary: int, seed: int = 0, **config):
    """A random T5 whose decoder starts with token 0, the padding."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    shape = dict(d_model=64, d_kv=16, d_ff=96, num_layers=2, num_decoder_layers=2, num_heads=4, dropout_rate=0.0)
    return T5ForConditionalGeneration(
        T5Config(vocab_size=vocabulary, pad_token_id=0, eos_token_id=2, decoder_start_token_id=0, **(shape | config))
    )


def make_marian(vocabulary: int, seed: int = 0, **config):
    """A random Marian with a bias on its logits, as trained ones have."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(seed)
    shape = dict(d_model=64, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=96, decoder_ffn_dim=96)
    shape |= dict(encoder_attention_heads=4, decoder_attention_heads=4, max_position_embeddings=128, dropout=0.0)
    shape |= dict(pad_token_id=0, eos_token_id=2, forced_eos_token_id=None, decoder_start_token_id=0, init_std=0.3)
    model = MarianMTModel(MarianConfig(vocab_size=vocabulary, **(shape | config)))
    model.final_logits_bias.copy_(torch.randn(1, vocabulary))
    return model


def make_bert(vocabulary: int, seed: int = 0, **config):
    """A random BERT with the head of masked tokens."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(seed)
    shape = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4)
    return BertForMaskedLM(BertConfig(vocab_size=vocabulary, pad_token_id=0, **(shape | config)))


MAKERS = {"causal": make_model, "t5": make_t5, "marian": make_marian, "bert": make_bert}


def make_directory_of(kind: str, directory: Path, seed: int = 0, **config) -> Path:
    """As :func:`make_directory`, of any architecture in ``MAKERS``."""
    directory.mkdir(parents=True)
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(directory)
    MAKERS[kind](len(tokenizer), seed, **config).save_pretrained(directory)
    write_sha256sums(directory)
    return directory
