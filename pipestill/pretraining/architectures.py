"""The architecture that each kind of base model has."""

from collections.abc import Mapping

from pipestill.pretraining.architecture import Architecture
from pipestill.pretraining.causal import Causal
from pipestill.pretraining.masked import Masked
from pipestill.pretraining.seq2seq import Seq2Seq
from pipestill.settings.models import ModelKind

ARCHITECTURES: Mapping[ModelKind, Architecture] = {"causal": Causal(), "seq2seq": Seq2Seq(), "masked": Masked()}
