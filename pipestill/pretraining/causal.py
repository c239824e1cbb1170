"""Causal models (Qwen2): the next token of answers in chat documents, and of everything in plain text."""

from random import Random

from torch import Tensor, nn

from pipestill.pretraining.architecture import Architecture
from pipestill.pretraining.batch import IGNORE, Batch, Encoded, pack
from pipestill.pretraining.corpus.document import Document
from pipestill.pretraining.induction import initialise_qwen2
from pipestill.pretraining.recipe import Shape
from pipestill.pretraining.tokenizer import END, PAD


class Causal(Architecture):
    """Qwen2: learns each next token."""

    def build(self, shape: Shape, vocabulary: int, seed: int) -> nn.Module:
        """A Qwen2 model with the copy circuit set."""
        from transformers import Qwen2Config, Qwen2ForCausalLM

        config = Qwen2Config(
            vocab_size=vocabulary,
            hidden_size=shape.hidden,
            intermediate_size=shape.intermediate,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=END,
            pad_token_id=PAD,
        )
        model = Qwen2ForCausalLM(config).float()
        initialise_qwen2(model, seed)
        return model

    def encode(self, document: Document, tokenizer, rng: Random) -> Encoded:
        """Tokenise segment by segment; segments end where the tokenizer splits anyway. Nothing is hidden."""
        ids: list[int] = []
        labels: list[int] = []
        for text, supervised in document.segments:
            part = tokenizer.encode(text, add_special_tokens=False).ids
            ids += part
            labels += part if supervised else [IGNORE] * len(part)
        return Encoded(ids, labels)

    def copied(self, string: list[int], rng: Random) -> Encoded:
        """``string`` two times, the second time to be learnt."""
        return Encoded(string * 2, [IGNORE] * len(string) + string)

    def pack(self, rows: list[list[Encoded]], lengths: tuple[int]) -> Batch:
        """Each label one place ahead."""
        return pack(rows, *lengths, pad=PAD)

    def supervised_logits(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits ``[supervised tokens, vocab]`` and their targets."""
        hidden = model.model(
            input_ids=batch.ids, attention_mask=batch.mask(), position_ids=batch.positions, use_cache=False
        ).last_hidden_state
        wanted = batch.labels != IGNORE
        return model.lm_head(hidden[wanted]), batch.labels[wanted]
