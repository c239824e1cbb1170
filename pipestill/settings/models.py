"""Sections about models: origins of base models, and choices of the hardware plan."""

from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipestill.settings.places import LocalPath, Repository
from pipestill.settings.section import Section, partial

ModelKind = Literal["causal", "seq2seq", "masked"]
Engine = Literal["transformers", "vllm"]
SERVING: dict[Engine, tuple[ModelKind, ...]] = {"vllm": ("causal",)}  # engines with a server, and what they can serve
WRITERS: tuple[ModelKind, ...] = ("causal", "seq2seq")  # kinds of models that generate text
WITHOUT_CUDA = ("cpu", "mps", "xpu")  # devices on which `quantization: auto` leaves weights as they are
Strategy = Literal["ddp", "fsdp"]
MASKED = ("ForMaskedLM", "ForPreTraining")  # how the names of masked architectures end
SHIPPED = Path(__file__).parents[2] / "resources" / "models"  # base models that this project made
TODAY = "2024-07-26"  # for chat templates that read the clock; Llama's own choice where there is none


def _day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("a day is expected, such as 2024-07-26") from None


Day = Annotated[
    str,
    BeforeValidator(lambda value: value.isoformat() if isinstance(value, date) else value),  # as YAML reads a day
    AfterValidator(_day),
]


class BaseModelConfig(Section):
    """A base model: a local directory, or a repository of the Hugging Face hub at a pinned revision."""

    reruns: ClassVar = {"*": "base_model"}

    kind: ModelKind = "causal"
    """Architecture family: `causal` (decoder only), `seq2seq` (encoder and decoder: T5, Marian) or `masked` (BERT)."""
    source: Literal["path", "hub"]
    """`path`: a local directory; `hub`: downloaded at `revision`."""
    path: LocalPath | None = None
    """Directory of the model, for `source: path`; checked against its `SHA256SUMS` if it has one."""
    repo: Repository | None = None
    """Repository, for `source: hub`, such as `Qwen/Qwen2.5-3B-Instruct`."""
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")
    """Commit of the repository (40 hex digits), for `source: hub`."""
    bos: Literal["auto", "never"] = "auto"
    """First tokens of a prompt outside a chat template, which writes its own: `auto`: those that the model's tokenizer
    puts before a text (BOS, CLS); `never`: none."""
    date: Day = TODAY
    """The day that a chat template is told where it asks for the date, so that prompts do not change from day to
    day."""

    @model_validator(mode="after")
    def _source_is_complete(self):
        if self.source == "path" and not self.path:
            raise ValueError("`source: path` needs `path`")
        if self.source == "hub" and not (self.repo and self.revision):
            raise ValueError("`source: hub` needs `repo` and `revision`")
        return self

    @property
    def is_shipped(self) -> bool:
        """True for a model that this project made."""
        place = self.locate(SHIPPED.parents[1])
        return place is not None and place.resolve().is_relative_to(SHIPPED.resolve())

    def locate(self, root: Path) -> Path | None:
        """The local directory, seen from the working directory or else from the project's ``root``, if it exists."""
        places = [place / self.path for place in (Path(), root)] if self.path else []
        return next((place for place in places if place.is_dir()), None)


class HardwareConfig(Section):
    """Choices of the hardware plan; the plan and the reason of every downgrade are written to `hardware.json`."""

    reruns: ClassVar = {
        "*": "train_teacher teacher_outputs teacher_distributions_shard train_annotator own_answers train compress "
        "predict",
        "device": "train_teacher teacher_outputs teacher_distributions_shard train_annotator own_answers train "
        "compress predict bertscore",
        **dict.fromkeys(("devices", "nodes", "strategy"), ""),
    }

    device: Literal["auto", "cpu", "cuda", "mps", "xpu"] = "auto"
    """Device that models run on."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of the computation; `auto`: bf16 on CUDA 8.0 and later, fp16 on 7.x, fp32 on CPU."""
    quantization: Literal["auto", "none", "nf4"] = "auto"
    """4-bit NF4 base weights with double quantisation under adapters (QLoRA); `auto`: on CUDA only."""
    devices: Annotated[int, Field(ge=1, le=64, exclude=True)] = 1  # excluded: no job is told
    """Devices of a machine that share each batch of a training (data parallel), for `cpu` (processes) and `cuda`, and
    that `engine: vllm` divides a model among. A change of it changes rounding and the draw of dropout, and re-runs
    nothing."""
    nodes: Annotated[int, Field(ge=1, le=64, exclude=True)] = 1
    """Machines, each with `devices` devices, that share each batch of a training, under Slurm."""
    strategy: Annotated[Strategy, Field(exclude=True)] = "ddp"
    """What several devices do with the weights: `ddp`: each holds all of them; `fsdp`: weights, gradients and optimizer
    are divided among them, for models that do not fit on one."""

    @property
    def whole(self) -> bool:
        """True if no weights are in 4 bits, wherever the jobs run."""
        return self.quantization == "none" or (self.quantization == "auto" and self.device in WITHOUT_CUDA)

    @property
    def processes(self) -> int:
        """That share each batch of a training."""
        return self.devices * self.nodes

    @property
    def divides(self) -> bool:
        """True if they divide the weights too."""
        return self.strategy == "fsdp" and self.processes > 1


HardwareOverride = partial(HardwareConfig)
