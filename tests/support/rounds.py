"""Runs in rounds by direct calls of their jobs: the student answers, what the teacher says is stored, it trains."""

from pathlib import Path

from pipestill.io.files import write_sha256sums
from pipestill.io.records import read_jsonl, write_jsonl
from pipestill.settings.jobs import OwnAnswersSettings, TrainingSettings
from pipestill.settings.on_policy import OnPolicy
from pipestill.settings.training import TrainingConfig
from pipestill.training.files import Inputs
from pipestill.training.own_answers import Places, Student, write_own_answers
from pipestill.training.run import train
from support.distributions import capture, torch_as_before
from support.own_answers import ANSWERS, MAX_LENGTH, SEED, TOKENIZER, make_student, make_teacher
from support.training_job import PLAIN, outputs_in

TEMPERATURE = 2.0


def write_models(directory):
    """Directories of the student's and the teacher's base model of :mod:`support.own_answers`."""
    found = []
    for name, model in (("student", make_student()), ("teacher", make_teacher())):
        model.save_pretrained(directory / name)
        TOKENIZER.save_pretrained(directory / name)
        write_sha256sums(directory / name)
        found.append(directory / name)
    return found


class Run:
    """A run in a directory.

    Args:
        directory: of the run.
        models: see :func:`write_models`.
        on_policy: its settings.
        method: a divergence.
        codec: of stored distributions, with its option.
        training: settings of the training.
    """

    def __init__(self, directory, models, on_policy, method="gkd", codec=None, **training):
        self.directory, (self.base, self.teacher) = directory, models
        self.on_policy, self.method = OnPolicy.model_validate(on_policy), method
        self.codec = {"codec": "full", "k": None} | (codec or {})
        self.training = TrainingConfig(**(PLAIN | {"learning_rate": 0.05, "max_length": MAX_LENGTH} | training))
        self.data = directory / "sft.jsonl"
        directory.mkdir(parents=True)
        lines = (
            {"id": str(place), "input": f"Age: {20 + place}.0, Outstanding Debt: {'9' * place}", "output": answer}
            for place, answer in enumerate(ANSWERS)
        )
        write_jsonl(self.data, lines)

    def settings(self, number=1, teacher="cached"):
        """Of the training job of a round, or of the only one."""
        rounds = self.on_policy.rounds
        parts = {"part": number, "parts": rounds} if rounds else {}
        options = {"kd_rate": 0.7, "chunk": 5, "temperature": TEMPERATURE, "teacher": teacher}
        return TrainingSettings(
            method=self.method,
            options=options | {"on_policy": self.on_policy.model_dump()},
            training=self.training,
            hardware={"device": "cpu"},
            **parts,
        )

    def place(self, number):
        return self.directory / f"round_{number}"

    def before(self, number):
        return self.place(number - 1) / "model" if number > 1 else None

    def answer(self, number):
        """Let the student answer, and give the rows that it wrote."""
        own = self.on_policy
        section = OwnAnswersSettings(
            training=self.training,
            hardware={"device": "cpu"},
            part=number,
            parts=own.rounds,
            share=own.share if own.schedule == "constant" else 1,
            sampling=own.sampling,
            code="1",
        )
        files = (self.place(number) / name for name in ("answers.jsonl.state", "answers.jsonl", "answers_cost.json"))
        with torch_as_before():
            student = Student(self.base, None, self.before(number), SEED)
            write_own_answers(section, student, Places(self.data, *files), threads=1)
        return read_jsonl(self.place(number) / "answers.jsonl")

    def capture(self, directory, file, **changes):
        changes = self.codec | {"temperature": TEMPERATURE, "max_length": self.training.max_length} | changes
        return capture(directory, [file], self.teacher, self.base, **changes)

    def score(self, number):
        return self.capture(self.place(number), self.place(number) / "answers.jsonl", written=True)

    def inputs(self, number):
        """Of the training job of a round."""
        return Inputs(
            *(self.data, self.data, self.base),
            distributions=self.directory / "study" / "manifest.json",
            own_answers=self.place(number) / "answers.jsonl",
            own_distributions=self.place(number) / "manifest.json",
            before=self.before(number),
        )

    def outputs(self, number):
        return outputs_in(self.place(number))

    def train(self, number):
        with torch_as_before():
            train(self.settings(number), self.inputs(number), self.outputs(number), SEED, threads=1)

    def go(self, number):
        """All jobs of a round."""
        if not (self.directory / "study").exists():
            self.capture(self.directory / "study", self.data)
        self.answer(number)
        self.score(number)
        self.train(number)

    def finish(self):
        """All rounds; the directory of the model."""
        for number in range(1, self.on_policy.rounds + 1):
            self.go(number)
        return self.outputs(self.on_policy.rounds).model

    def beside_the_teacher(self):
        """The same in one job, with the teacher in it; the directory of the model."""
        self.on_policy = self.on_policy.model_copy(update={"rounds": 0})
        inputs = Inputs(self.data, self.data, self.base, teacher_base=self.teacher)
        with torch_as_before():
            train(self.settings(teacher="online"), inputs, outputs_in(self.directory), SEED, threads=1)
        return Path(self.directory) / "model"
