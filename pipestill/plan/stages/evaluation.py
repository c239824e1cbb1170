"""Predictions, metrics, the report, and submissions to a challenge."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from pipestill.io.digests import canonical_json, code_digest
from pipestill.job.halves import half_name
from pipestill.methods import BASE, METHODS
from pipestill.objectives.base import CONTEXT_OUTPUTS, OUTPUTS, OWN_OUTPUTS, SFT
from pipestill.objectives.context import CONTEXT
from pipestill.plan.curves import points
from pipestill.plan.shares import origin
from pipestill.plan.stages.data import local_digests
from pipestill.plan.stages.places import Files, Wildcards
from pipestill.plan.stages.rounds import RoundStages
from pipestill.plan.worth import worth_points


class EvaluationStages(RoundStages):
    """Rules in `predict.smk`, `evaluate.smk`, `report.smk` and `submission.smk`."""

    def ranking(self, w: Wildcards) -> str:
        """Ranking of sentences by which a method without a model answers."""
        return METHODS[w.method].extract

    def demonstrations(self, w: Wildcards) -> Files:
        """Training rows that demonstrations are drawn from, for a method that reads some."""
        return f"<results>/data/{origin(w.study)}/{SFT.name}.jsonl" if self.entry(w.study, w.method).in_context else []

    def agreement_data(self, w: Wildcards) -> Files:
        """Validation answers on which students are compared with the teacher's distributions, if there are any."""
        return f"<results>/data/{w.study}/validation/sft.jsonl" if self.readers(w.study) else []

    def bertscore_encoder(self, w: Wildcards) -> str:
        """Directory of the encoder that BERTScore compares texts by."""
        return f"<results>/models/{self.study(w.study).answers.bertscore.encoder}"

    def bertscore_options(self, w: Wildcards) -> list[str]:
        """Options that say how BERTScore is computed."""
        settings = self.study(w.study).answers.bertscore
        names = self.task(w.study).layout.test_sets(self.task_config(w.study).data)
        baseline = ["--baseline", settings.baseline] if settings.baseline else []
        device = self.hardware(w.study).device
        return ["--layer", str(settings.layer), "--test-sets", *names, *baseline, "--device", device]

    @property
    def with_encoder(self) -> list[str]:
        """Studies that name an encoder for BERTScore."""
        models = {name: self.task(name).answers.models(study.answers) for name, study in self.config.studies.items()}
        return [name for name, named in models.items() if "bertscore.encoder" in named]

    def bertscores(self, w: Wildcards) -> Files:
        """BERTScores of an experiment, where its study names an encoder."""
        return f"<results>/{w.study}_{w.method}/bertscore.json" if w.study in self.with_encoder else []

    def evaluated_base(self, w: Wildcards) -> Files:
        """Directory of the base model of an experiment that has a model."""
        return self.base_directory(w) if self.entry(w.study, w.method).model else []

    def evaluated_data(self, w: Wildcards) -> list[str]:
        """Data files that an experiment's numbers come from."""
        file = self.file(w.study, w.method)
        return [self.cropped(w), *([f"<results>/data/{w.study}/{file.name}.jsonl"] if file else [])]

    def run_costs(self, w: Wildcards) -> list[str]:
        """Cost of the jobs that the runs of an experiment are trained by."""
        if not self.entry(w.study, w.method).trains:
            return []
        if self.rounds(w.study, w.method):
            return self._costs_of_runs(w, self.row(w.study, w.method).method)
        return [str(Path(model).parent / "cost.json") for model in self.run_models(w)]

    def _costs_of_runs(self, w: Wildcards, method: str) -> list[str]:
        return [cost for seed in self.run_seeds(w) for cost in self.costs_of_run(w.study, method, seed)]

    def sized_models(self, w: Wildcards) -> list[str]:
        """Model directory of the first run of each row whose model is measured, or its base model."""
        rows = [SimpleNamespace(study=w.study, method=method) for method in self.sized(w.study)]
        return [next(iter(self.run_models(row)), self.base_directory(row)) for row in rows]

    def sized_bases(self, w: Wildcards) -> list[str]:
        """Base model of each of them."""
        return [self.base_directory(w, method) for method in self.sized(w.study)]

    def sizes_files(self, w: Wildcards) -> list[str]:
        """Sizes of the models of studies that have compressed students."""
        return [f"<results>/sizes/{study}.json" for study in self.config.run if self.study(study).compress]

    def parent_costs(self, w: Wildcards) -> list[str]:
        """Cost of the training jobs of the students that are compressed in an experiment, if they were trained."""
        compressed = self.compression(w.study, w.method)
        if compressed is None or compressed.parent == BASE:
            return []
        return self._costs_of_runs(w, compressed.parent)

    def teacher_costs(self, w: Wildcards) -> list[str]:
        """Cost of the jobs in which a teacher, or a student, made what the students of a method learn from; of a
        compressed student, what it was made from included."""
        found = (cost for method in self.lineage(w.study, w.method) for cost in self._teacher_costs(w, method))
        return list(dict.fromkeys(found))

    def _teacher_costs(self, w: Wildcards, method: str) -> list[str]:
        store = self.store_of(w.study, method)
        costs = [shard.replace(".safetensors", "_cost.json") for shard in (self.shards(w, store) if store else [])]
        unlabelled = self.unlabelled_source(w.study, method)
        if unlabelled == CONTEXT_OUTPUTS:
            costs = [f"<results>/teachers/{w.study}/unlabelled_context_outputs_cost.json", *costs]
        if CONTEXT_OUTPUTS in self.sources(w.study, method):
            costs = [f"<results>/teachers/{w.study}/context_outputs_cost.json", *costs]
        if OWN_OUTPUTS in self.sources(w.study, method):
            costs = [f"{self.asked_run(w)}/{name}" for name in ("cost.json", "outputs_cost.json")] + costs
        if not self.learns_from_teacher(w.study, method):
            return costs
        directory = self.teacher_directory(w)
        trained = [f"{directory}/cost.json"] if self.teacher_model(w) else []
        outputs = [f"{directory}/outputs_cost.json"] if OUTPUTS in self.sources(w.study, method) else []
        if unlabelled == OUTPUTS:
            outputs.append(f"{directory}/unlabelled_outputs_cost.json")
        return [*trained, *outputs, *costs]

    def annotation_usage(self, w: Wildcards) -> Files:
        """Usage of the annotation that an experiment learnt from, if it did."""
        annotated = self.learns_rationales(w.study, w.method)
        return f"<results>/data/{self.task_of(w)}/usage.json" if annotated else []

    def annotator_cost(self, w: Wildcards) -> Files:
        """Cost of training the local annotator that an experiment learnt from, if it did."""
        local = self.annotation_usage(w) and self.task_config(w.study).annotation.provider == "local"
        return f"<results>/annotators/{self.task_of(w)}/cost.json" if local else []

    def context_accuracy(self, w: Wildcards) -> Files:
        """Accuracy of a teacher with its context on gold answers, for the students of one that learn these."""
        learnt = self.store_of(w.study, w.method) == CONTEXT
        learnt = learnt and CONTEXT_OUTPUTS not in self.sources(w.study, w.method)
        return f"<results>/teachers/{w.study}/{CONTEXT}/accuracy.json" if learnt else []

    def long_answers(self, w: Wildcards) -> Files:
        """Counts of long answers among those that an experiment learnt from, where they do not stop the run, and of the
        teacher's answers, where it gave several."""
        told = self.study(w.study).on_long_answer != "stop" or self.samples(w.study, w.method)
        trained = self.entry(w.study, w.method).trains and told
        file = f"long_answers/{self.file(w.study, w.method).name}.json" if trained else ""
        return f"<results>/data/{w.study}/{file}" if file else []

    def evaluation_code(self, w: Wildcards) -> str:
        """Digest of the code of an evaluation."""
        task, halves = self.task(w.study), ("score", "card")
        modules = [*(half_name(task.answers, stage) for stage in halves), *task.answers.scorers]
        return code_digest("evaluate", task.module, *modules)

    def resolved(self, w: Wildcards) -> str:
        """JSON of the checked configuration."""
        return self.given.model_dump_json()

    def of_experiments(self, name: str) -> Callable[[Wildcards], list[str]]:
        """Function that gives one file of each experiment."""
        return lambda w: [f"<results>/{study}_{method}/{name}" for study, method in self.experiments]

    def of_curves(self, name: str) -> Callable[[Wildcards], list[str]]:
        """Function that gives one file of each experiment that is only a point of a curve of the report."""

        def files(w: Wildcards) -> list[str]:
            found = [(each.study, each.method) for study in self.config.run for each in points(self.given, study)]
            found += [each for study in self.config.run for each in worth_points(self.given, study)]
            others = [each for each in dict.fromkeys(found) if each not in self.experiments]
            return [f"<results>/{study}_{method}/{name}" for study, method in others]

        return files

    def titles(self, w: Wildcards) -> str:
        """JSON of the titles of the studies that have one."""
        named = {study: self.study(study).title for study in self.config.run}
        return canonical_json({study: title for study, title in named.items() if title})

    def asked_records(self, w: Wildcards) -> list[str]:
        """Cropped records of the tasks of all studies."""
        tasks = dict.fromkeys(self.study(study).task for study in self.config.run)
        return [f"<results>/data/{task}/cropped.jsonl" for task in tasks]

    def curve_points(self, w: Wildcards) -> str:
        """JSON of the points of each study's curve of in-context learning."""
        return canonical_json({study: points(self.given, study) for study in self.config.run})

    def worth_curves(self, w: Wildcards) -> str:
        """JSON of the points of each study's curves of what its teacher is worth."""
        return canonical_json({study: worth_points(self.given, study) for study in self.config.run})

    def of_learning_curve(self, name: str) -> Callable[[Wildcards], list[str]]:
        """Function that gives one file of each experiment that a learning curve is drawn through."""
        return lambda w: [f"<results>/{study}_{method}/{name}" for study, method in self.learning_curve(w.study)]

    def shares(self, w: Wildcards) -> list[float]:
        """Shares of a learning curve."""
        return self.study(w.study).learning_curve

    def fidelity_files(self, w: Wildcards) -> list[str]:
        """Facts about the caches of all studies that have one."""
        compared = [study for study in self.config.run if not self.study(study).distributions.over_classes]
        return [f"<results>/teachers/{study}/fidelity.json" for study in compared if self.compared_readers(study)]

    def report_code(self, script: str) -> Callable[[Wildcards], str]:
        """Function that gives the digest of the code of a job that reports on a study, or on all that are run."""

        def code(w: Wildcards) -> str:
            tasks = [self.task(study) for study in ([w.study] if hasattr(w, "study") else self.config.run)]
            halves = {half_name(task.answers, stage) for task in tasks for stage in ("score", "show")}
            return code_digest(script, *sorted(halves), *sorted({task.module for task in tasks}))

        return code

    def method_entries(self, w: Wildcards) -> str:
        """JSON of what the report says of all methods, in their order."""
        return canonical_json(
            [[name, each.title, each.summary, each.trains, each.model, each.teacher] for name, each in METHODS.items()]
        )

    def challenge_files(self, w: Wildcards) -> str:
        """JSON of the sources of a challenge's documents."""
        documents = self.study(w.study).submission.documents
        return canonical_json({name: file.model_dump(exclude_none=True) for name, file in documents.items()})

    def challenge_identity(self, w: Wildcards) -> list[str]:
        """Digest of each local file of a challenge."""
        documents = self.study(w.study).submission.documents.values()
        return local_digests(Path(file.path) for file in documents if file.path is not None)

    def submitted_records(self, w: Wildcards) -> str:
        """Records of the documents that are submitted: those of a challenge, or the test records of the task."""
        challenge = self.study(w.study).submission.documents
        return f"<results>/data/{w.study}/challenge.jsonl" if challenge else self.cropped(w)

    def submitted_predictions(self, w: Wildcards) -> str:
        """Predictions for the documents that are submitted."""
        challenge = self.study(w.study).submission.documents
        return f"<results>/{w.study}_{w.method}/{'challenge' if challenge else 'predictions'}"

    def team(self, w: Wildcards) -> str:
        """Name of the team that submits."""
        return self.study(w.study).submission.team
