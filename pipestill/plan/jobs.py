"""Settings of each job, as JSON on its command line: exactly those that it uses, and a digest of its code.

Sections are built where the rules are read, so that a mistake stops a dry run.
"""

from pipestill.answers.base import AnswerOptions
from pipestill.io.digests import canonical_json, code_digest
from pipestill.io.records import Json
from pipestill.job.engines import engine_name
from pipestill.job.halves import half_name
from pipestill.methods import ANNOTATOR_NAME, METHODS, TEACHER_NAME, method_of
from pipestill.objectives.base import RATIONALES
from pipestill.objectives.context import CONTEXT
from pipestill.plan.experiments import Experiments
from pipestill.plan.resolve import Resolved, new_tokens, resolve_annotator
from pipestill.plan.rounds import Round, number_of
from pipestill.plan.variants import rows_of
from pipestill.settings.contexts import TeacherContext
from pipestill.settings.distributions import CaptureSettings, FidelitySettings
from pipestill.settings.jobs import (
    Asking,
    CompressionSettings,
    ContextOutputSettings,
    OutputSettings,
    OwnAnswersSettings,
    PredictionSettings,
    TrainingFileSettings,
    TrainingSettings,
    UnlabelledSettings,
)
from pipestill.settings.section import Section
from pipestill.tasks import Task

ANSWERS_DEPEND_ON = {  # of a training, those of a student before its end, and the prompts that are answered
    *("adaptation", "lora", "max_length", "epochs", "max_steps", "batch_size", "accumulation_steps"),
}


def told(section: Section, **replaced: object) -> str:
    """A section as a job is told it."""
    return canonical_json(section.model_dump(mode="json") | replaced)


def layout_module(task: Task) -> str:
    """The module of a task's layout."""
    return type(task.layout).__module__


class Jobs(Experiments):
    """The settings of the jobs of a checked configuration, as JSON."""

    def training_file_settings(self, study: str, file: str) -> str:
        """Settings of the job that writes a training file."""
        return told(self._training_file(study, file))

    def unlabelled_settings(self, study: str) -> str:
        """Settings of the job that takes prompts without gold outputs."""
        settings, task = self.study(study), self.task_config(study)
        own = {"data": self.task(study).layout.crop_options(task.data) | {"columns": task.data.columns}}
        section = UnlabelledSettings(
            task=settings.task,
            declared=task.declared,
            rows=settings.unlabelled.rows,
            file=settings.unlabelled.file,
            seed=task.data.splits.seed,
            prompt=self.prompt(study),
            **(own | {"splitter": task.splitter} if settings.unlabelled.file else {}),
        )
        return told(section)

    def context_output_settings(self, study: str) -> str:
        """Settings of the job in which a teacher answers training rows with a context."""
        method = self.readers(study, CONTEXT)[0]
        rows = self._training_file(study, self.file(study, method).name)
        asked = TEACHER_NAME if self.learns_from_teacher(study, method) else method
        section = ContextOutputSettings(
            asking=self.asking(study, asked, answers=False).model_copy(update={"prompt": rows.context.prompt}),
            adaptation=self.training(study, TEACHER_NAME).training.adaptation,
            hardware=self.hardware(study),
            engine=self.study(study).engine,
            code=self._asking_code("context_outputs", study),
            rows=rows,
        )
        return told(section)

    def _training_file(self, study: str, file: str) -> TrainingFileSettings:
        method, settings, task = self.maker(study, file), self.study(study), self.task_config(study)
        explained, judged = RATIONALES in self.sources(study, method), method_of(method).objective.file.judged
        return TrainingFileSettings(
            task=settings.task,
            declared=task.declared,
            method=method,
            rows=self.rows(study, method),
            share=self.share(study, method),
            seed=task.data.splits.seed,
            prompt=self.prompt(study),
            max_length=self.longest_row(study, file),
            explained=self.rationale_tokens(study, method) > 0,
            on_long_answer=settings.on_long_answer,
            context=self.teacher_context(study, method),
            unlabelled=settings.unlabelled.rows if self.learns_unlabelled(study, method) else None,
            keep=samples.keep if (samples := self.samples(study, method)) else None,
            answers=settings.answers.model_dump(mode="json", include=settings.answers.learnt) if judged else {},
            **(self._rationales(study) if explained else {}),
        )

    def teacher_context(self, study: str, method: str) -> TeacherContext | None:
        """Context that the teacher of a method reads before questions, if it reads one."""
        objective, options = self.entry(study, method).objective, self.training(study, method).options
        context = objective.context(options)
        if context is None:
            return None
        prompts, hint = self.prompts(self.study(study).task), objective.hint(options)
        prompt = prompts[hint] if hint else self.prompt(study)
        return TeacherContext(**context.model_dump(), prompt=prompt, seed=options.seed, draws=options.draws)

    def _rationales(self, study: str) -> Json:
        """How rationales get into a training file."""
        task = self.task_config(study)
        return {
            "allow_missing": task.annotation.allow_missing if task.annotation else 0.0,
            "data": self.task(study).layout.crop_options(task.data),
            "splitter": task.splitter,
        }

    def asking(self, study: str, method: str, answers: bool = True) -> Asking:
        """Questions to a model: with the study's settings or, without ``answers``, greedily and without calibration."""
        explained, options = self.rationale_tokens(study, method), self.answers(study, method)
        written = new_tokens(self.task(study), options) + explained
        return Asking(
            task=self.study(study).task,
            declared=self.task_config(study).declared,
            prompt=self.prompt(study, method),
            max_prompt_tokens=self.training(study, method).training.max_length - written,
            max_new_tokens=written,
            rationale_tokens=explained,
            answers=self._asked(options) if answers else {},
        )

    def _asked(self, answers: AnswerOptions) -> Json:
        return {key: value for key, value in answers.used().items() if key not in answers.measuring}

    def training_settings(self, study: str, method: str, part: str = "") -> str:
        """Settings of the job that trains a method or the teacher; or a part of that, as its path names it."""
        section, rounds = self._training_settings(study, method, "train"), self.rounds(study, method)
        if rounds:
            section = section.model_copy(update={"part": number_of(part) or rounds, "parts": rounds})
        return told(section, training=section.training.used())

    def compression_settings(self, study: str, method: str) -> str:
        """Settings of the job that makes a compressed student."""
        compressed, training = self.compression(study, method), self._training_settings(study, method, "compress")
        section = CompressionSettings(
            prune=compressed.prune,
            quantize=compressed.quantize,
            trains=compressed.training is not None,
            training=training,
        )
        return told(section, training=training.model_dump(mode="json") | {"training": training.training.used()})

    def _training_settings(self, study: str, method: str, script: str) -> TrainingSettings:
        resolved, objective = self.training(study, method), self.entry(study, method).objective
        by_metric = resolved.training.select == "metric"
        beside = objective.online(resolved.options)
        modules = [half_name(objective, "train")]
        if objective.on_policy(resolved.options):
            modules.append(half_name(objective, "on_policy"))
        if objective.rounds(resolved.options):
            modules.append(half_name(objective, "rounds"))
        if by_metric:
            answers = self.task(study).answers
            modules += [self.task(study).module, half_name(answers, "predict"), *answers.scorers]
        compressed = self.compression(study, method)
        teacher = TEACHER_NAME if compressed is None or objective.teacher != "unused" else compressed.parent
        return TrainingSettings(
            method=compressed.trained_as if compressed else method,
            objective=objective.identity,
            options=objective.used(resolved.options),
            training=resolved.training,
            hardware=self.hardware(study),
            prompt=self.prompt(study),
            labels={label: self.prompt(study).answer(label) for label in objective.labels(self.task(study).answers)},
            teacher_adaptation=self.training(study, teacher).training.adaptation if beside else None,
            rationale_tokens=self.rationale_tokens(study, method),
            selection=self.asking(study, method) if by_metric else None,
            code=code_digest(script, *modules),
        )

    def own_answers_settings(self, study: str, method: str, round: str) -> str:
        """Settings of the job in which the student of a run answers prompts before a round."""
        resolved, objective = self.training(study, method), self.entry(study, method).objective
        own = objective.on_policy(resolved.options)
        section = OwnAnswersSettings(
            training=resolved.training,
            hardware=self.hardware(study),
            form=self.prompt(study).form,
            part=int(round),
            parts=own.rounds,
            share=own.share if own.schedule == "constant" else 1.0,
            sampling=own.sampling,
            code=code_digest("own_answers"),
        )
        used = resolved.training.used()
        return told(section, training={name: used[name] for name in ANSWERS_DEPEND_ON & used.keys()})

    def annotator_settings(self, task: str) -> str:
        """Settings of the job that trains a task's local annotator."""
        resolved: Resolved = resolve_annotator(self.config.training, self.config.tasks[task])
        objective = method_of(ANNOTATOR_NAME).objective
        section = TrainingSettings(
            method=ANNOTATOR_NAME,
            objective=objective.identity,
            training=resolved.training,
            hardware=self.config.hardware,
            served=True,
            code=code_digest("train", half_name(objective, "train")),
        )
        return told(section, training=resolved.training.used())

    def annotator_questions(self, task: str) -> str:
        """JSON of the questions that a task's local annotator is trained to answer, by what they ask for."""
        return canonical_json({step.out: step.prompt for step in self.config.tasks[task].annotation.steps})

    def annotation_settings(self, task: str) -> str:
        """Settings of the job that annotates a task, those that its results depend on."""
        annotation = self.config.tasks[task].annotation
        return canonical_json(annotation.model_dump(mode="json", exclude={"training", *annotation.without_effect()}))

    def annotation_pace(self, task: str) -> str:
        """Its other settings: who may be asked how often and how long, and what it may cost."""
        annotation = self.config.tasks[task].annotation
        return canonical_json(annotation.model_dump(mode="json", include=annotation.without_effect()))

    def scoring_settings(self, study: str, method: str) -> str:
        """Settings of the job in which a study's teacher, or a student, answers the prompts of its students."""
        trained = self.training(study, method).training
        section = OutputSettings(
            asking=self.asking(study, method, answers=False),
            adaptation=trained.adaptation,
            hardware=self.hardware(study),
            engine=self.study(study).engine,
            code=self._asking_code("teacher_outputs", study),
            drawing=self.drawing(study) if method == TEACHER_NAME else None,
        )
        return told(section)

    def prediction_settings(self, study: str, method: str) -> str:
        """Settings of the job that predicts."""
        task = self.task_config(study)
        section = PredictionSettings(
            asking=self.asking(study, method),
            adaptation=self.training(study, method).training.adaptation,
            hardware=self.hardware(study),
            engine=self.study(study).engine,
            code=self._asking_code("predict", study),
            data=self.task(study).layout.crop_options(task.data),
            splitter=task.splitter,
            context=self.study(study).icl.told() if self.entry(study, method).in_context else None,
        )
        return told(section)

    def sized(self, study: str) -> list[str]:
        """Rows of a study whose models are measured: each model once, as its runs and its variants are of one size."""
        own = [row for row in rows_of(self.study(study)) if self.row(study, row).name is None]
        return [row for row in own if self.entry(study, row).model and not self.entry(study, row).in_context]

    def evaluation_settings(self, study: str, method: str) -> str:
        """What an experiment is, for the job that evaluates it."""
        return told(self.experiment(study, method))

    def _asking_code(self, script: str, study: str) -> str:
        task = self.task(study)
        return code_digest(
            script, task.module, half_name(task.answers, "predict"), engine_name(self.study(study).engine)
        )

    def capture_settings(self, study: str, store: str) -> str:
        """Settings of the jobs that capture a teacher's distributions, for all methods that read them."""
        method = self.reader(study, store)
        reader = self.training(study, method)
        distributions, prompt = self.study(study).distributions, self.prompt(study)
        context, classes = self.teacher_context(study, method), self.task(study).answers.classes
        read = context.prompt if context else prompt
        labels = [[each.answer(label) for label in classes] for each in (prompt, read)]
        section = CaptureSettings(
            **distributions.told(),
            **(dict(zip(("labels", "read_labels"), labels, strict=True)) if distributions.over_classes else {}),
            temperature=reader.options.temperature,
            max_length=reader.training.max_length,
            form=prompt.form,
            written=Round.of_store(store) is not None,
            context=context,
            adaptation=self.training(study, TEACHER_NAME).training.adaptation,
            hardware=self.hardware(study),
            code=code_digest("teacher_distributions_shard"),
        )
        return told(section)

    def fidelity_settings(self, study: str) -> str:
        """Settings of the job that compares gradients from the cache with exact ones, as each method would use it."""
        methods = {}
        for method in self.compared_readers(study):
            objective, options = METHODS[method].objective, self.training(study, method).options
            methods[method] = objective.compared(options)
        section = FidelitySettings(
            study=study,
            methods=methods,
            hardware=self.hardware(study),
            adaptation=self.training(study, TEACHER_NAME).training.adaptation,
        )
        return told(section)
