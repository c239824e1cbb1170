"""Greedy generation in batches of similar length."""

from collections.abc import Container, Iterator, Sequence

import torch


def length_sorted_batches(lengths: Sequence[int], new_tokens: int, token_budget: int) -> list[list[int]]:
    """Indices of prompts in batches, longest first; rows times (longest prompt + new tokens) stay within the budget.

    A prompt that exceeds the budget alone is a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not batches or (len(batches[-1]) + 1) * (lengths[batches[-1][0]] + new_tokens) > token_budget:
            batches.append([])
        batches[-1].append(index)
    return batches


@torch.inference_mode()
def generate(
    model,
    tokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    token_budget: int = 16384,
    done: Container[int] = (),
) -> Iterator[list[tuple[int, str]]]:
    """Yield, batch by batch, (index of the prompt, generated text without special tokens).

    Args:
        model: a causal language model.
        prompts: token ids of each prompt.
        max_new_tokens: where an answer without an end is cut.
        token_budget: tokens in one batch, padding and answers included.
        done: indices that are finished already; batches are the same without them, so that results are too.
    """
    for batch in length_sorted_batches([len(prompt) for prompt in prompts], max_new_tokens, token_budget):
        if all(index in done for index in batch):
            continue
        longest = len(prompts[batch[0]])
        padding = [longest - len(prompts[index]) for index in batch]
        ids = torch.tensor(
            [[tokenizer.pad_token_id] * pad + list(prompts[i]) for pad, i in zip(padding, batch, strict=True)]
        )
        mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding])
        output = model.generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
            use_cache=True,
        )
        texts = tokenizer.batch_decode(output[:, longest:], skip_special_tokens=True)
        yield [(index, text.strip()) for index, text in zip(batch, texts, strict=True)]
