"""Constrained JSON: the time of a mask, the calls of a model that forced tokens save, and that answers stay the same.

*Masks* are measured at a vocabulary of 152,000 tokens (byte-level BPE, made here of random words: no hub is asked),
token by token along real answers of the task `idp`: ours is llguidance as the library calls it, mask and bool array;
xgrammar is measured beside it where it is installed. *Calls* are those of the demo's student for documents of the task
`idp`, one by one and in batches of 8: with an answer that is right (a choice that follows the reference says it), and
greedy. Tokens must be the same with jumps and without.

    python benchmarks/constrained_json.py [--quick] [--rounds 3]
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np
import torch

from pipestill.inference.constrained.batch import write_batch
from pipestill.inference.constrained.constraint import Constraint
from pipestill.inference.decoding import chooser
from pipestill.inference.generation import GREEDY
from pipestill.schemas.schema import Schema

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "resources" / "schemas" / "idp_schema.json"
STUDENT = ROOT / "resources" / "models" / "demo-student"
WORDS, VOCABULARY, ROWS, LIMIT = 151_000, 151_936, 8, 320
PROMISED = {
    "mask ms a token": 1.0,
    **dict.fromkeys(("calls saved, right answers, batches of 1", "calls saved, right answers, batches of 8"), 2.0),
}


class Scored:
    """Stands in for a model: all that a constraint asks of it."""

    def __init__(self, vocabulary: int, end: int):
        from transformers import GenerationConfig, Qwen2Config

        self.config = Qwen2Config(vocab_size=vocabulary)
        self.generation_config = GenerationConfig(eos_token_id=end)


def large_tokenizer():
    """A byte-level BPE of ``WORDS`` tokens and its end: random words, common ones in several spellings."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    draw, bytes_ = random.Random(4), sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary, merges = {char: place for place, char in enumerate(bytes_)}, []
    letters = [char for char in bytes_ if char.isascii() and char.isalnum()]
    others = ['"', ",", ":", "{", "}", "[", "]", ".", "-", "\u0120"]
    tokens = list(vocabulary)
    while len(vocabulary) < WORDS:
        longer = draw.random() < 0.9
        first = draw.choice(tokens if longer else others)
        second = draw.choice(letters if draw.random() < 0.9 else others)
        if len(first) < 12 and first + second not in vocabulary:
            vocabulary[first + second] = len(vocabulary)
            merges.append((first, second))
            tokens.append(first + second)
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>")


def references(count: int) -> list[tuple[str, str]]:
    """Prompts of the task `idp` and the answers to learn."""
    from pipestill.tasks.idp import IDP
    from pipestill.tasks.idp.synthetic import KNOWN, UNSEEN, generate

    rows, _ = generate({"train": 0, KNOWN: count // 2, UNSEEN: count // 2}, 0)
    examples = [IDP.parse(row) for role in (KNOWN, UNSEEN) for row in rows[role]]
    return [(f"Extract the fields as JSON.\n{each.inputs['document']}", each.target) for each in examples]


def time_of(steps: Callable[[], int], rounds: int) -> float:
    """Milliseconds a token, the median of ``rounds``."""
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        tokens = steps()
        found.append(1000 * (time.perf_counter() - start) / tokens)
    return statistics.median(found)


def our_masks(constraint: Constraint, answers: Sequence[Sequence[int]]) -> Callable[[], int]:
    """A mask before each token of some answers."""

    def steps() -> int:
        for tokens in answers:
            matcher = constraint.matcher()
            for token in tokens:
                allowed = constraint.allowed([matcher])
                assert allowed[0, token] and matcher.consume_token(token)
            constraint.free(matcher)
        return sum(map(len, answers))

    return steps


def their_masks(schema: Schema, tokenizer, answers: Sequence[Sequence[int]]) -> Callable[[], int] | None:
    """The same of xgrammar; none where it is not installed."""
    try:
        import xgrammar
    except ImportError:
        return None
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=VOCABULARY)
    compiler = xgrammar.GrammarCompiler(info, max_threads=1)
    compiled = compiler.compile_json_schema(schema.text, any_whitespace=False, separators=(", ", ": "))
    bits = xgrammar.allocate_token_bitmask(1, VOCABULARY)

    def steps() -> int:
        for tokens in answers:
            matcher = xgrammar.GrammarMatcher(compiled)
            for token in tokens:
                matcher.fill_next_token_bitmask(bits, 0)
                np.unpackbits(bits.numpy().view(np.uint8), axis=1, bitorder="little").view(bool)
                if not matcher.accept_token(token):
                    raise SystemExit("xgrammar refuses a reference")
        return sum(map(len, answers))

    return steps


class Follower:
    """Stands in for a random stream: what is chosen for its row is the reference, ``text``."""

    def __init__(self, tokenizer, constraint: Constraint, prompt: Sequence[int], text: str):
        self.tokenizer, self.constraint, self.prompt, self.text = tokenizer, constraint, len(prompt), text.encode()

    def next(self, tokens: Sequence[int], allowed: torch.Tensor) -> int:
        """The token with which the reference goes on: the tokenizer's, or the longest one that is allowed."""
        bytes_of, ends = self.constraint.wrapped.decode_bytes, self.constraint.ends
        rest = self.text[len(self.constraint.bytes_of(tokens[self.prompt :])) :]
        token = self.tokenizer.encode(rest.decode())[0] if rest else ends[0]
        if allowed[token]:
            return token
        able = [each for each in allowed.nonzero()[:, 0].tolist() if each not in ends]
        return max((each for each in able if rest.startswith(bytes_of([each]))), key=lambda each: len(bytes_of([each])))


def follow(tokens: torch.Tensor, logits: torch.Tensor, draws: Sequence[Follower], allowed: torch.Tensor):
    """A choice that follows the references, which come as random streams."""
    rows = [[token for token in row if token >= 0] for row in tokens.tolist()]
    return torch.tensor([each.next(*row) for each, *row in zip(draws, rows, allowed, strict=True)])


def calls(model, *args, **options) -> tuple[list[list[int]], int, float]:
    """Answers of one batch, the calls of the model, and seconds of processor time."""
    made = []
    hook = model.register_forward_hook(lambda *_: made.append(1))
    start = time.process_time()
    found = {row: written.tokens for row, written in write_batch(model, *args, **options)}
    seconds = time.process_time() - start
    hook.remove()
    return [found[row] for row in sorted(found)], len(made), seconds


def main() -> None:
    """Measure, print a table and a last line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 documents, and promises not checked")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of masks, taken in turn")
    args = parser.parse_args()
    import transformers
    from machine import processor

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    schema = Schema.read(SCHEMA)
    pairs = references(8 if args.quick else 48)
    ratios: dict[str, float] = {}

    tokenizer = large_tokenizer()
    start = time.perf_counter()
    constraint = Constraint.of(schema, tokenizer, Scored(VOCABULARY, tokenizer.eos_token_id))
    print(f"tokenizer of {len(tokenizer):,} tokens wrapped in {time.perf_counter() - start:.1f} s, once")
    answers = [tokenizer.encode(text) for _, text in pairs[:8]]
    ways = {"llguidance": our_masks(constraint, answers), "xgrammar": their_masks(schema, tokenizer, answers)}
    masks = {}
    for name, steps in ways.items():
        if steps is None:
            print(f"{name:<12} is not installed")
            continue
        first = time_of(steps, 1)
        masks[name] = time_of(steps, args.rounds)
        print(f"{name:<12}{masks[name]:8.3f} ms a token ({first:.3f} the first time), vocabulary of {VOCABULARY:,}")
    ratios["mask ms a token"] = round(masks["llguidance"], 3)
    if "xgrammar" in masks:
        ratios["xgrammar / llguidance"] = round(masks["xgrammar"] / masks["llguidance"], 2)

    tokenizer = transformers.AutoTokenizer.from_pretrained(STUDENT)
    model = transformers.AutoModelForCausalLM.from_pretrained(STUDENT, dtype=torch.float32).eval()
    constraint = Constraint.of(schema, tokenizer, model)
    different = 0
    for name, rows in (("right answers", 1), ("right answers", ROWS), ("greedy", ROWS)):
        total = {True: [0, 0, 0.0], False: [0, 0, 0.0]}  # tokens, calls, seconds; with jumps and without
        for start in range(0, len(pairs), rows):
            batch = pairs[start : start + rows]
            prompts = [tokenizer.encode(document) for document, _ in batch]
            draws = [Follower(tokenizer, constraint, ids, text) for ids, (_, text) in zip(prompts, batch, strict=True)]
            given = (follow, draws) if name != "greedy" else (chooser(GREEDY), [])
            found = {}
            for jump, sums in total.items():
                found[jump], *took = calls(model, prompts, LIMIT, *given, constraint, jump=jump)
                took = (sum(map(len, found[jump])), *took)
                sums[:] = [before + more for before, more in zip(sums, took, strict=True)]
            different += sum(a != b for a, b in zip(found[True], found[False], strict=True))
            if name != "greedy" and [constraint.text(tokens) for tokens in found[True]] != [text for _, text in batch]:
                sys.exit("an answer is not the reference that it follows")
        (tokens, made, seconds), (_, singly, longer) = total.values()
        what = f"{name}, batches of {rows}"
        ratios[f"calls saved, {what}"] = round(singly / made, 2)
        ratios[f"time saved, {what}"] = round(longer / seconds, 2)
        print(
            f"{what:<28}{tokens} tokens: {singly} calls one by one, {made} with jumps ({singly / made:.2f}x fewer); "
            f"{longer:.1f} and {seconds:.1f} CPU s ({longer / seconds:.2f}x)"
        )
    print(f"answers that differ with and without jumps: {different}")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    machine = {"processor": processor(), "threads": 1, **versions}
    print(json.dumps({"benchmark": "constrained_json", "ratios": ratios, "different": different, "machine": machine}))
    if different:
        sys.exit(f"{different} answers differ with and without jumps")
    within = {
        name: ratios[name] <= least if name.startswith("mask") else ratios[name] >= least
        for name, least in PROMISED.items()
    }
    if not (args.quick or all(within.values())):
        raise SystemExit(f"promises that are not kept: {[name for name, kept in within.items() if not kept]}")


if __name__ == "__main__":
    main()
