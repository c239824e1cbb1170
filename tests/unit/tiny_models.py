"""A model directory of a few kilobytes for tests: a byte-level tokenizer with a chat template, a random Qwen2."""

from pathlib import Path

from pipestill.files import write_sha256sums
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
