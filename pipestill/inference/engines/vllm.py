"""vLLM: a server of its own process, which is asked for tokens by tokens."""

import random
import shutil
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipestill.errors import UserError, shortened
from pipestill.inference.engines import Models, Place
from pipestill.inference.engines.server import Completion, Server, serve
from pipestill.inference.generation import GREEDY, Answer, Constraint, check_lengths, text_of, without_rationale
from pipestill.inference.loaded import Loaded, load
from pipestill.inference.rows import ends_of
from pipestill.job import programs
from pipestill.models.hardware import HardwarePlan
from pipestill.models.kinds import auto_class, kind_of, read_config
from pipestill.models.lineage import is_adapter
from pipestill.models.loading import check_directory, load_tokenizer, special_tokens
from pipestill.models.merging import write_merged
from pipestill.settings.generation import GenerationConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CLIENTS = 256  # requests at a time: as many as vLLM answers together
SEED_BITS = 63


def versions() -> dict[str, str]:
    """The version of vLLM.

    Raises:
        UserError: it is not installed, or does not run.
    """
    return {"vllm": programs.version(programs.need("vllm"))}


def planned(plan: HardwarePlan) -> HardwarePlan:
    """The plan without 4-bit weights: vLLM gets adapters merged, in the number format of the computation."""
    if plan.quantization == "none":
        return plan
    note = f"vLLM reads merged weights: they are asked in {plan.precision}, not in {plan.quantization}"
    return replace(plan, quantization="none", notes=(*plan.notes, note))


@contextmanager
def opened(models: Models, plan: HardwarePlan, place: Place) -> Iterator[Loaded]:
    """A model that is served until the context ends; the one in this process has no weights.

    Raises:
        UserError: the model is damaged, or vLLM does not start, or serves another one.
    """
    directory, merged = models.trained or models.base, place.state / "merged"
    adapter = is_adapter(directory)
    shutil.rmtree(merged, ignore_errors=True)  # of an attempt that was killed
    try:
        if adapter:
            write_merged(directory, models.base, merged, plan.precision)
            directory = merged
        else:
            check_directory(directory)
        shell = _shell(directory, plan)
        with serve(directory, plan.precision, place) as server:
            tokenizer = load_tokenizer(directory)
            yield Loaded(shell, tokenizer, plan, writer=Writer(server, shell, tokenizer))
    finally:
        shutil.rmtree(merged, ignore_errors=True)


def weighed(models: Models, plan: HardwarePlan, loaded: Loaded) -> Loaded:
    """The model, loaded now that the server has given the memory back."""
    return replace(load(models.base, models.trained, plan), context=loaded.context)


def _shell(directory: Any, plan: HardwarePlan) -> "PreTrainedModel":
    """A model's shape and config, without weights."""
    import torch
    import transformers

    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    config, tokenizer = read_config(directory), load_tokenizer(directory)
    with torch.device("meta"):
        model = auto_class(kind_of(config)).from_config(config, dtype=dtypes[plan.precision])
    if (directory / "generation_config.json").is_file():
        model.generation_config = transformers.GenerationConfig.from_pretrained(directory)
    for own in (model.config, model.generation_config):
        for key, value in special_tokens(tokenizer, own.eos_token_id).items():
            setattr(own, key, value)
    return model.eval()


@dataclass(frozen=True)
class Writer:
    """Writes answers as :func:`~pipestill.inference.generation.generate` does; bits of probabilities are others.

    What is drawn for a row depends on its key, which its request's seed is made from, and on rounding, which differs
    with the requests beside it.

    Attributes:
        server: that has the model.
        shell: the model without weights.
        tokenizer: of the model.
    """

    server: Server
    shell: "PreTrainedModel"
    tokenizer: Any

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        decoding: GenerationConfig = GREEDY,
        keys: Sequence[str] = (),
        done: Container[int] = (),
        after_rationale: bool = False,
        shared: int = 0,
        constraint: Constraint | None = None,
    ) -> Iterator[list[tuple[int, Answer]]]:
        """Batches of (index of a prompt, its answer), in the order in which answers come.

        Raises:
            UserError: a prompt is too long, the server refuses it or has ended, or something is asked that vLLM cannot
                do.
        """
        if constraint or decoding.no_repeat_ngram_size:
            raise UserError("vLLM neither follows our schemas nor forbids repeated n-grams: use `engine: transformers`")
        check_lengths(self.shell, prompts, max_new_tokens)
        fixed = _parameters(decoding, max_new_tokens)
        with ThreadPoolExecutor(CLIENTS) as pool:
            asked: dict[Future, int] = {}
            for number, prompt in enumerate(prompts):
                if number not in done:
                    own = {"seed": random.Random(keys[number]).getrandbits(SEED_BITS)} if decoding.sampling else {}
                    asked[pool.submit(self._answer, prompt, fixed | own)] = number
            try:
                for batch in _as_they_come(asked):
                    yield [(number, without_rationale(each) if after_rationale else each) for number, each in batch]
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def complete(self, prompt: Sequence[int], parameters: Mapping[str, Any]) -> tuple[str, Completion]:
        """The text that the model writes behind a prompt, and it as tokens; see :meth:`Server.complete`."""
        found = self.server.complete(prompt, sorted(ends_of(self.shell)), parameters)
        return text_of(self.tokenizer, found.tokens), found

    def _answer(self, prompt: Sequence[int], parameters: Mapping[str, Any]) -> Answer:
        import openai

        try:
            text, found = self.complete(prompt, parameters)
        except openai.APIStatusError as error:
            said = shortened(str(error.message), 300)
            raise UserError(f"vLLM refuses a prompt of {len(prompt)} tokens: {said}") from None
        return Answer(text, len(found.tokens), ended=found.finish_reason == "stop", read=found.read)


def _parameters(decoding: GenerationConfig, max_new_tokens: int) -> dict[str, Any]:
    """What all requests have in common."""
    if not decoding.sampling:
        return {"max_tokens": max_new_tokens, "temperature": 0.0}
    drawn = {"max_tokens": max_new_tokens, "temperature": decoding.temperature, "top_p": decoding.top_p}
    return drawn | ({"extra_body": {"top_k": decoding.top_k}} if decoding.top_k else {})


def _as_they_come(asked: dict[Future, int]) -> Iterator[list[tuple[int, Answer]]]:
    """What was answered since the last look; where a request failed, what others got comes first."""
    waiting = set(asked)
    while waiting:
        ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        answered = sorted((asked[each], each.result()) for each in ended if each.exception() is None)
        if answered:
            yield answered
        for each in ended:
            each.result()
