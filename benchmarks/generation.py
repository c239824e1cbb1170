"""Greedy answers to 64 prompts of 50 to 400 tokens: transformers' `generate` against ours, side by side in one process.

``one by one`` gives `generate` one prompt at a time, ``unsorted`` batches of 32 in the order of the file, padded on the
left (for an encoder-decoder on the right). Answers have 64 tokens, or end at different lengths: there one token in 50
ends an answer, so that a quarter has 64 tokens and the mean is about 36. In float32 all must give the same tokens;
what one by one answers until such an end is a part of what it answers without, so it runs once.

Promises are checked on ``causal``, a random Qwen2 of 60 M parameters, where arithmetic dominates as it does in models
of use; ``demo`` is the shipped student of 1 M, where every way pays mostly for Python, and ``t5`` an encoder-decoder.

    python benchmarks/generation.py [--quick] [--models causal demo t5] [--faster-products] [--rounds 1]
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from pipestill.losses.products import use_faster_products

DEMO = Path(__file__).parents[1] / "resources" / "models" / "demo-student"
PROMPTS, SHORTEST, LONGEST, NEW = 64, 50, 400, 64
BATCH = 32
ENDING = 50  # one token in so many ends an answer, where lengths vary
PROMISED = {
    "causal one by one": 2.5,
    "causal unsorted": 1.4,
    "causal unsorted, varying": 1.8,
}  # rival / ours

Way = Callable[[object, list[list[int]]], list[list[int]]]


def make_causal(quick: bool):
    """A random Qwen2: 8 layers of 512, vocabulary 32,000, untied head."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=32_000,
        hidden_size=512,
        intermediate_size=1792,
        num_hidden_layers=2 if quick else 8,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=False,
        initializer_range=0.05,  # likeliest tokens stand out further than rounding reaches
    )
    return Qwen2ForCausalLM(config)


def make_t5(quick: bool):
    """A random T5: 6 layers of 512 on each side, vocabulary 32,000."""
    from transformers import T5Config, T5ForConditionalGeneration

    layers = 2 if quick else 6
    config = T5Config(
        vocab_size=32_000,
        d_model=512,
        d_ff=1024,
        num_layers=layers,
        num_decoder_layers=layers,
        num_heads=8,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        initializer_factor=1.5,  # answers vary, and rounding does not grow into other tokens as it does with 2
    )
    return T5ForConditionalGeneration(config)


def load_demo(quick: bool):
    """The demo's student."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(DEMO, dtype=torch.float32)


MODELS = {"causal": make_causal, "demo": load_demo, "t5": make_t5}


def make_prompts(vocabulary: int, prompts: int) -> list[list[int]]:
    """Random tokens; lengths in random order."""
    draw = torch.Generator().manual_seed(7)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (prompts,), generator=draw).tolist()
    return [torch.randint(10, vocabulary, (length,), generator=draw).tolist() for length in lengths]


def set_ends(model, varying: bool) -> None:
    """Tokens that end an answer; none if all have the same length."""
    from transformers import GenerationConfig

    size = model.config.vocab_size
    ends = torch.randperm(size, generator=torch.Generator().manual_seed(3))[: size // ENDING].tolist()
    start = model.config.decoder_start_token_id if model.config.is_encoder_decoder else None
    model.generation_config = GenerationConfig(
        eos_token_id=ends if varying else None, pad_token_id=0, decoder_start_token_id=start
    )


def batched(size: int) -> Way:
    """`generate` on batches of ``size`` prompts in their order."""

    def answer(model, prompts: list[list[int]]) -> list[list[int]]:
        return [tokens for start in range(0, len(prompts), size) for tokens in _answer(model, prompts[start:][:size])]

    return answer


def _answer(model, prompts: list[list[int]]) -> list[list[int]]:
    two_parts, longest = model.config.is_encoder_decoder, max(map(len, prompts))
    ids, mask = torch.zeros(2, len(prompts), longest, dtype=torch.long, device=model.device)
    for row, prompt in enumerate(prompts):
        place = slice(0, len(prompt)) if two_parts else slice(longest - len(prompt), longest)
        ids[row, place], mask[row, place] = torch.tensor(prompt, device=model.device), 1
    output = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False)
    return [until_end(model, row) for row in output[:, 1 if two_parts else longest :].tolist()]


def until_end(model, tokens: list[int]) -> list[int]:
    """An answer without what `generate` pads it with."""
    ends = set(model.generation_config.eos_token_id or ())
    end = next((place for place, token in enumerate(tokens, 1) if token in ends), len(tokens))
    return tokens[:end]


class Tokens:
    """Stands in for a tokenizer: the text of an answer is its tokens."""

    def batch_decode(self, answers: list[list[int]], skip_special_tokens: bool) -> list[str]:
        """Numbers, as words."""
        return [" ".join(map(str, answer)) for answer in answers]


def ours(model, prompts: list[list[int]]) -> list[list[int]]:
    """Batches of similar length, which rows leave as soon as they are finished."""
    from pipestill.inference.generation import generate

    answers = dict(pair for batch in generate(model, Tokens(), prompts, max_new_tokens=NEW) for pair in batch)
    return [[int(token) for token in answers[index].text.split()] for index in range(len(prompts))]


WAYS: dict[str, Way] = {"one by one": batched(1), "unsorted": batched(BATCH), "ours": ours}


def measure(model, prompts: list[list[int]], rounds: int, ways: list[str]) -> dict[str, tuple[float, list[list[int]]]]:
    """Median CPU seconds of each way, taken in turn, and its answers."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    answers = {}
    for _ in range(rounds):
        for way in ways:
            start = time.process_time()
            answers[way] = WAYS[way](model, prompts)
            seconds[way].append(time.process_time() - start)
    return {way: (statistics.median(seconds[way]), answers[way]) for way in ways}


def main() -> None:
    """Measure, print a table, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="16 prompts and fewer layers, and promises not checked")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="default: all three")
    parser.add_argument(
        "--faster-products", action="store_true", help="for all ways, the linear layers of models that a job loads"
    )
    parser.add_argument("--rounds", type=int, default=1, help="repetitions of each way, taken in turn")
    args = parser.parse_args()
    import transformers
    from machine import processor

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    ratios: dict[str, float] = {}
    print(f"{'model':<8}{'lengths of answers':<22}{'way':<12}{'CPU s':>8}{'rival / ours':>14}")
    for name in args.models:
        torch.manual_seed(0)
        model = MODELS[name](args.quick).eval()
        if args.faster_products:
            use_faster_products(model)
        prompts = make_prompts(model.config.vocab_size, 16 if args.quick else PROMPTS)
        for varying in (False, True):
            set_ends(model, varying)
            ways = [way for way in WAYS if not varying or way != "one by one"]
            for way in ways:
                WAYS[way](model, [prompt[:20] for prompt in prompts[:2]])  # libraries prepare themselves first
            measured = measure(model, prompts, args.rounds, ways)
            if not varying:
                whole = measured["one by one"][1]
            expected = [until_end(model, tokens) for tokens in whole]
            lengths = list(map(len, expected))
            shape = f"{min(lengths)} to {max(lengths)}, mean {statistics.mean(lengths):.0f}"
            for way, (seconds, answers) in measured.items():
                different = sum(a != b for a, b in zip(answers, expected, strict=True))
                if different:
                    sys.exit(f"{name}, {way}: {different} of {len(prompts)} answers differ from one by one's")
                ratio = round(seconds / measured["ours"][0], 2)
                print(f"{name:<8}{shape:<22}{way:<12}{seconds:>8.1f}{ratio:>13.2f}x", flush=True)
                if way != "ours":
                    ratios[f"{name} {way}{', varying' if varying else ''}"] = ratio
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    machine = {"processor": processor(), "threads": 1, **versions}
    print(json.dumps({"benchmark": "generation", "ratios": ratios, "memory_mb": {}, "machine": machine}))
    missed = {name: ratios[name] for name, least in PROMISED.items() if ratios.get(name, least) < least}
    if missed and not args.quick:
        raise SystemExit(f"slower than promised: {missed}; promised {PROMISED}")


if __name__ == "__main__":
    main()
