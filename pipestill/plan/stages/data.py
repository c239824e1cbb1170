"""Base models, checkpoints, and data up to training files."""

from collections.abc import Callable, Iterable
from pathlib import Path

from pipestill.io.digests import FETCHING, canonical_json, code_digest, listing_digest
from pipestill.io.files import SHA256SUMS, sha256
from pipestill.methods import method_of
from pipestill.objectives.base import CONTEXT_OUTPUTS, OUTPUTS, OWN_OUTPUTS, RATIONALES, SFT
from pipestill.plan.jobs import layout_module, told
from pipestill.plan.shares import origin
from pipestill.plan.stages.places import Files, Places, Wildcards


class DataStages(Places):
    """Rules in `models.smk` and `data.smk`."""

    def model_source(self, w: Wildcards) -> str:
        """JSON of the source of a base model."""
        return canonical_json(self.config.models[w.model].model_dump(mode="json"))

    def model_identity(self, w: Wildcards) -> str | None:
        """Digest of a local base model's list of checksums, or else of names, sizes and times of its files, so that a
        changed model is taken again."""
        directory = self.config.models[w.model].locate(self.root)
        if directory is None:
            return None
        listing = directory / SHA256SUMS
        return sha256(listing) if listing.is_file() else listing_digest(directory)

    def checkpoint_path(self, w: Wildcards) -> str:
        """Directory of a checkpoint on disk."""
        return self.study(w.study).checkpoints[w.checkpoint].path

    def checkpoint_identity(self, w: Wildcards) -> str:
        """Digest of names, sizes and times of a checkpoint's files, so that a changed checkpoint is taken again."""
        return listing_digest(Path(self.checkpoint_path(w)))

    def raw_data(self, w: Wildcards) -> str:
        """JSON of the options that decide a task's raw data."""
        return canonical_json(self.config.task(w.task).layout.raw_options(self.config.tasks[w.task].data))

    def raw_identity(self, w: Wildcards) -> str:
        """JSON of what these options name: digests of local files, so that an edited one is read again, and facts that
        the project has about published data."""
        layout, options = self.config.task(w.task).layout, self.config.tasks[w.task].data
        return canonical_json([local_digests(layout.local_files(options).values()), layout.published(options)])

    def raw_code(self, w: Wildcards) -> str:
        """Digest of the code of `download`; only synthetic data are made by a task's own code."""
        synthetic, task = self.config.tasks[w.task].data.source == "synthetic", self.config.task(w.task)
        return code_digest("download", layout_module(task), *FETCHING, *([task.module] if synthetic else []))

    def division(self, w: Wildcards) -> str:
        """JSON of the options that decide a task's records."""
        return canonical_json(self.config.task(w.task).layout.record_options(self.config.tasks[w.task].data))

    def cropping(self, w: Wildcards) -> str:
        """JSON of the options that decide how inputs are cropped."""
        task = self.task_of(w)
        return canonical_json(self.config.task(task).layout.crop_options(self.config.tasks[task].data))

    def task_prompt(self, w: Wildcards) -> str:
        """JSON of the prompt of a task."""
        task = self.task_of(w)
        return told(self.prompts(task)[self.config.tasks[task].prompt])

    def task_code(self, script: str, *modules: str) -> Callable[[Wildcards], str]:
        """Function that gives the digest of the code of ``script``, which works on a task's data."""

        def code(w: Wildcards) -> str:
            task = self.config.task(self.task_of(w))
            return code_digest(script, task.module, layout_module(task), *modules)

        return code

    def declaration(self, w: Wildcards) -> list[str]:
        """Option with the JSON of a task that the configuration declares; none for the project's own."""
        declared = self.config.tasks[self.task_of(w)].declared
        return ["--declared", told(declared)] if declared else []

    def file_outputs(self, w: Wildcards) -> Files:
        """What a teacher or a student says, for the training files that are made of it."""
        made_of = self.sources(w.study, self.maker(w.study, w.file))
        if CONTEXT_OUTPUTS in made_of:
            return f"<results>/teachers/{w.study}/context_outputs.jsonl"
        if OWN_OUTPUTS in made_of:
            return f"{self.asked_run(w)}/outputs.jsonl"
        return f"{self.teacher_directory(w)}/outputs.jsonl" if OUTPUTS in made_of else []

    def unlabelled_labels(self, w: Wildcards) -> Files:
        """Training rows with gold outputs, where others of their split are taken without theirs."""
        return f"<results>/data/{w.study}/{SFT.name}.jsonl" if self.study(w.study).unlabelled.file is None else []

    def unlabelled_identity(self, w: Wildcards) -> list[str]:
        """Digest of the file of inputs, if there is one."""
        file = self.study(w.study).unlabelled.file
        return local_digests([Path(file)] if file else [])

    def file_unlabelled(self, w: Wildcards) -> Files:
        """Records without gold outputs, for the training files that have rows of them."""
        return self.unlabelled_records(w) if self._is_unlabelled(w) else []

    def unlabelled_records(self, w: Wildcards) -> str:
        """Records without gold outputs of a study; of one at a share of its rows, those of the whole one."""
        return f"<results>/data/{origin(w.study)}/unlabelled/records.jsonl"

    def file_unlabelled_outputs(self, w: Wildcards) -> Files:
        """What the teacher says to them, or a teacher with a context; nothing where the annotation answers them."""
        if not self._is_unlabelled(w):
            return []
        source = self.unlabelled_source(w.study, self.maker(w.study, w.file))
        if source == CONTEXT_OUTPUTS:
            return f"<results>/teachers/{w.study}/unlabelled_context_outputs.jsonl"
        return f"{self.teacher_directory(w)}/unlabelled_outputs.jsonl" if source == OUTPUTS else []

    def _is_unlabelled(self, w: Wildcards) -> bool:
        maker = self.maker(w.study, w.file)
        return self.learns_unlabelled(w.study, maker) and self.file(w.study, maker).name == w.file

    def file_rationales(self, w: Wildcards) -> Files:
        """The annotation's answers, for the training files that are made of them."""
        made_of = RATIONALES in self.sources(w.study, self.maker(w.study, w.file))
        return f"<results>/data/{self.task_of(w)}/rationales.jsonl" if made_of else []

    def learner(self, w: Wildcards) -> str:
        """Base model that is trained on a training file."""
        return self.base_directory(w, self.maker(w.study, w.file))

    def file_tokenizer(self, w: Wildcards) -> Files:
        """Base model whose tokens are counted where rationales are cropped."""
        return self.crop_tokenizer(w) if self.file_rationales(w) else []

    def file_code(self, w: Wildcards) -> str:
        """Digest of the code of a job that writes a training file."""
        objective, task = method_of(self.maker(w.study, w.file)).objective, self.task(w.study)
        modules = task.module, layout_module(task), type(objective).__module__, *task.answers.teaching
        return code_digest("training_file", *modules)


def local_digests(paths: Iterable[Path]) -> list[str]:
    """sha256 of each file that is there; of a folder, a digest of what can be told without reading it."""
    return [listing_digest(path) if path.is_dir() else sha256(path) for path in paths if path.exists()]
