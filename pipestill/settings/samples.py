"""Several answers of a teacher to one prompt."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from pipestill.settings.generation import GenerationConfig
from pipestill.settings.section import Section, Temperature

Keep = Literal["all", "best", "verified"]
MOST = 64  # answers to a prompt


class SamplesConfig(Section):
    """Answers of the teacher that `kd` learns, of several to each prompt."""

    reruns: ClassVar = {"*": "teacher_outputs unlabelled_outputs", "keep": "training_file"}

    samples: Annotated[int, Field(ge=1, le=MOST)] = 1
    """Answers of the teacher to each prompt: the likeliest one, and further ones that are drawn."""
    temperature: Temperature = 1.0
    """Temperature of the draw: logits are divided by it."""
    keep: Keep = "all"
    """Answers that are learnt: `all`; the `best` one to each prompt; or those that are `verified`, which may be none.
    What verifies an answer depends on its kind: tests, a schema and the document, the gold label, or else that the
    answers agree."""

    @model_validator(mode="after")
    def _drawn_at_a_temperature(self):
        if self.samples == 1 and "temperature" in self.model_fields_set and self.temperature != 1:
            raise ValueError("`temperature` is that of further answers, and there are none; raise `samples`")
        return self

    @property
    def filtered(self) -> bool:
        """True if rows are others than the teacher's likeliest answers."""
        return self.samples > 1 or self.keep != "all"

    @property
    def drawing(self) -> GenerationConfig | None:
        """How further answers are drawn, one a seed; none where there are none."""
        if self.samples == 1:
            return None
        seeds = list(range(1, self.samples))
        return GenerationConfig(sampling=True, temperature=self.temperature, sampling_seeds=seeds)
