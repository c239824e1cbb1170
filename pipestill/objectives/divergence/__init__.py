"""Token-wise divergences from the teacher's distributions, mixed with cross-entropy on gold outputs."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

from pydantic import create_model

from pipestill.io.records import Json, Record
from pipestill.losses.kinds import KINDS, NoOptions
from pipestill.objectives.base import (
    DISTRIBUTIONS,
    SFT,
    Objective,
    Part,
    Sources,
    TeacherUse,
    TrainingFile,
    gold_row,
    output_row,
)
from pipestill.settings.distributions import ComparedDivergence
from pipestill.settings.models import WRITERS, ModelKind
from pipestill.settings.on_policy import OnPolicy
from pipestill.settings.section import Section, Share, Temperature, Tokens

ULD = "uld"  # needs no shared tokens, and so is none of KINDS
SERVED_BY_SAMPLES = "fkl"  # the only divergence that draws of the teacher's distributions give without a bias


class SharedOptions(Section):
    """Options of every divergence from a teacher."""

    reruns: ClassVar = {
        "*": "train compress",
        "temperature": "teacher_distributions_shard train",
        "tail": "distribution_fidelity train compress",
    }

    kd_rate: Share = 0.5
    """The loss is (1 - kd_rate) cross-entropy + kd_rate divergence (kd_ratio)."""
    temperature: Temperature = 1.0
    """Temperature of the divergence: both models' logits are divided by it."""
    t_squared: bool = False
    """Multiply the divergence by the squared temperature (Hinton et al. 2015)."""
    tail: Literal["auto", "bucket", "unigram"] = "auto"
    """Tokens that a `topk` cache does not store: one `bucket` for all of them (another objective than the dense one),
    or `unigram`: their mass, spread as the teacher does on average; `auto`: `bucket` for fkl, else `unigram`."""
    chunk: Tokens = 128
    """Tokens whose logits are held at a time."""


class DivergenceOptions(SharedOptions):
    """Token-wise divergences from the teacher; each method's divergence may have options of its own."""

    reruns: ClassVar = {"teacher": "teacher_distributions_shard train compress predict"}

    teacher: Literal["online", "cached"] = "online"
    """`online`: the teacher runs beside the student; `cached`: its distributions (logits) are computed once for the
    study."""
    on_policy: OnPolicy = OnPolicy()
    """Answers that the student itself writes while it learns."""


@cache
def options_of(kind: str) -> type[DivergenceOptions]:
    """Settings of a method with the divergence ``kind``: the common ones and its own."""
    own = KINDS[kind].options if kind in KINDS else NoOptions
    if own is NoOptions:
        return DivergenceOptions
    return create_model(f"{own.__name__}Options", __base__=(DivergenceOptions, own), __doc__=own.__doc__)


def taught_row(record: Record, sources: Sources) -> Json:
    """``{"id", "input", "output"}``: the gold output or, where there is none, what the teacher answers: its greedy
    output, or its likeliest label."""
    if record.labelled:
        return gold_row(record, sources)
    return output_row(record, sources, sources.lessons.likeliest(sources.said(record)))


TAUGHT = TrainingFile("taught", taught_row)


@dataclass(frozen=True)
class Divergence(Objective):
    """A divergence.

    Attributes:
        kind: a key of :data:`pipestill.losses.kinds.KINDS`, or ``uld``.
        store: name of the stored distributions that it reads, if it does.
    """

    kind: str
    file: TrainingFile = SFT
    teacher: TeacherUse = "required"
    store: str = DISTRIBUTIONS

    section: ClassVar = "divergence"
    Options: ClassVar = DivergenceOptions
    parts: ClassVar[tuple[Part, ...]] = (
        Part("cross_entropy", "cross-entropy {:.4f}"),
        Part("divergence", "divergence {:.4f}"),
        Part("own", "own answers {:.0%}"),
        Part("kl", "KL to the teacher {:.4f}", in_training=False),
        Part("agreement", "agreement with the teacher {:.1%}", in_training=False),
    )

    @property
    def settings(self) -> type[DivergenceOptions]:
        """See :func:`options_of`."""
        return options_of(self.kind)

    @property
    def with_unlabelled(self) -> TrainingFile | None:
        """Rows of what the study's teacher answers too."""
        return None if self.teacher == "unused" else TAUGHT

    @property
    def shares_tokens(self) -> bool:
        """True if student and teacher must have the same tokens."""
        return self.kind != ULD

    def online(self, options: DivergenceOptions) -> bool:
        """As configured."""
        return options.teacher == "online"

    def cached(self, options: DivergenceOptions) -> bool:
        """As configured."""
        return options.teacher == "cached"

    def on_policy(self, options: DivergenceOptions) -> OnPolicy | None:
        """As configured."""
        return options.on_policy if options.on_policy.active else None

    def check_on_policy(self, options: DivergenceOptions, kind: ModelKind, divided: bool) -> None:
        """Refuse a teacher that is not there or has other tokens, a student that does not write or is in no place
        whole, a loss without the teacher, and rounds beside it or with a buffer.

        Raises:
            ValueError: says what to do.
        """
        if kind not in WRITERS:
            raise ValueError(f"a `{kind}` student writes no answers to learn from; set `share: 0`")
        if divided:
            raise ValueError("each device answers with all weights, which `hardware.strategy: fsdp` divides; set `ddp`")
        if not self.shares_tokens:
            raise ValueError(f"the teacher of `{self.kind}` has other tokens than the answers; set `share: 0`")
        own = options.on_policy
        if not own.rounds and not self.online(options):
            raise ValueError(
                "no cache has answers that are not written yet; set `divergence.teacher: online`, or give it `rounds`, "
                "after each of which the teacher is asked"
            )
        if own.rounds and self.online(options):
            raise ValueError("its `rounds` are for a teacher that is not beside it; set `divergence.teacher: cached`")
        if own.rounds and own.buffer:
            raise ValueError("each of its `rounds` keeps its answers to the end; set `buffer: 0`")
        if options.kd_rate == 0:
            raise ValueError("with a `kd_rate` of 0 nothing is learnt from own answers; raise it, or set `share: 0`")

    def check_codec(self, codec: str) -> None:
        """Refuse stored distributions that do not serve this divergence.

        Raises:
            ValueError: says what would.
        """
        if not self.shares_tokens:
            raise ValueError("`uld` is for a teacher with other tokens, and no cache has them; use `teacher: online`")
        if codec == "sample" and self.kind != SERVED_BY_SAMPLES:
            raise ValueError(
                f"distributions stored by `sample` serve only `{SERVED_BY_SAMPLES}`; use `topk` or `full` for "
                f"`{self.kind}`, or `teacher: online`"
            )

    def tail(self, options: DivergenceOptions) -> Literal["bucket", "unigram"]:
        """The tail of a `topk` cache, as configured or as this divergence needs it."""
        if options.tail == "auto":
            return "bucket" if self.kind == SERVED_BY_SAMPLES else "unigram"
        return options.tail

    def compared(self, options: DivergenceOptions) -> ComparedDivergence:
        """What a comparison of cached with exact gradients needs to know of it."""
        return ComparedDivergence(kind=self.kind, tail=self.tail(options), options=self.own(options))

    def used(self, options: DivergenceOptions) -> Json:
        """The settings that count."""
        return options.model_dump() | {"on_policy": options.on_policy.used()}

    def own(self, options: DivergenceOptions) -> dict[str, float | bool | str]:
        """The options that this divergence has beside the common ones."""
        return options.model_dump(exclude=set(DivergenceOptions.model_fields))
