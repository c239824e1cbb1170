"""Annotation."""

from pipestill.io.digests import code_digest
from pipestill.job.engines import engine_name
from pipestill.plan.resolve import resolve_annotator
from pipestill.plan.shares import origin
from pipestill.plan.stages.places import Files, Places, Wildcards
from pipestill.settings.models import SERVING


class AnnotationStages(Places):
    """Rules in `annotate.smk`."""

    def _is_local(self, w: Wildcards) -> bool:
        return self.config.tasks[w.task].annotation.provider == "local"

    def unlabelled_files(self, w: Wildcards) -> list[str]:
        """Records that are annotated beside the task's own: inputs of files that studies learn without gold outputs."""
        asking = [name for name, study in self.config.studies.items() if study.task == w.task and origin(name) == name]
        files = [name for name in asking if self.study(name).unlabelled.file and self.annotates_unlabelled(name)]
        return [f"<results>/data/{name}/unlabelled/records.jsonl" for name in files]

    def annotator_base(self, w: Wildcards) -> Files:
        """Base model of a task's local annotator; nothing for other providers."""
        return f"<results>/models/{self.config.tasks[w.task].annotation.model}" if self._is_local(w) else []

    def annotator_model(self, w: Wildcards) -> Files:
        """Model of a task's local annotator; nothing for other providers."""
        return f"<results>/annotators/{w.task}/model" if self._is_local(w) else []

    def annotator_seed(self, w: Wildcards) -> int:
        """Seed of its training."""
        return min(self.config.seeds)

    def annotator_saves(self, w: Wildcards) -> int:
        """Saves of the state of its training."""
        return resolve_annotator(self.config.training, self.config.tasks[w.task]).training.saves

    def annotator_gpu(self, w: Wildcards) -> int:
        """GPUs of an annotation job: those that serve a local annotator."""
        return self.gpu if self._is_local(w) else 0

    def annotation_code(self, w: Wildcards) -> str:
        """Digest of the code of an annotation, with that of the engine of a local annotator."""
        engine = self.config.tasks[w.task].annotation.engine
        return code_digest("annotate", *([engine_name(engine)] if engine in SERVING else []))

    def annotated_with(self, w: Wildcards) -> list[str]:
        """Options that name the device of a local annotator, and say that a task's documents were generated."""
        device = ["--device", self.config.hardware.device] if self._is_local(w) else []
        return [*device, *(["--synthetic"] if self.config.tasks[w.task].data.source == "synthetic" else [])]
