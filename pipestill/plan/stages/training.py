"""The teacher, what it says, and the students."""

from pipestill.io.digests import canonical_json
from pipestill.methods import BASE, TEACHER_NAME
from pipestill.objectives.base import DISTRIBUTIONS
from pipestill.objectives.context import CONTEXT
from pipestill.plan.rounds import Round
from pipestill.plan.stages.places import Files, Places, Wildcards


class TrainingStages(Places):
    """Rules in `teacher.smk` and `train.smk`."""

    def teacher_seed(self, w: Wildcards) -> int:
        """Seed of the teacher."""
        return self.seeds(w.study, TEACHER_NAME)[0]

    def student_base(self, w: Wildcards) -> str:
        """Directory of the base model of a study's students."""
        return f"<results>/models/{self.study(w.study).student}"

    def pair(self, w: Wildcards) -> str:
        """JSON of who is the student and who the teacher, which the set of a job's files does not tell."""
        return canonical_json(self.study(w.study).model_dump(include={"student", "teacher"}))

    def shard_count(self, w: Wildcards) -> int:
        """Jobs that the work of capturing distributions is divided among."""
        return self.study(w.study).distributions.shards

    def store_directory(self, w: Wildcards, store: str) -> str:
        """Directory of stored distributions: those of the teacher are the same for a study at a share of its rows,
        those of a context and of rounds are its own."""
        where = self.teacher_directory(w) if store == DISTRIBUTIONS else f"<results>/teachers/{w.study}"
        return f"{where}/{store}"

    def shards(self, w: Wildcards, store: str | None = None) -> list[str]:
        """Files of the shards of stored distributions: of the job's, or of ``store``."""
        directory = self.store_directory(w, store or getattr(w, "store", DISTRIBUTIONS))
        return [f"{directory}/shard_{shard}.safetensors" for shard in range(self.shard_count(w))]

    def context_shards(self, w: Wildcards) -> list[str]:
        """Files of the shards of what a teacher answers with a context."""
        return self.shards(w, CONTEXT)

    def shard_facts(self, w: Wildcards) -> list[str]:
        """Facts about each shard."""
        return [shard.replace(".safetensors", ".json") for shard in self.shards(w)]

    def stored_data(self, w: Wildcards) -> list[str]:
        """Training and validation rows that distributions are stored for, or the answers of a round."""
        if own := Round.of_store(w.store):
            return [f"<results>/{w.study}_{own.method}/seed_{own.seed}/round_{own.number}/answers.jsonl"]
        file = self.file(w.study, self.reader(w.study, w.store)).name
        return [f"<results>/data/{w.study}/{file}.jsonl", f"<results>/data/{w.study}/validation/{file}.jsonl"]

    def stored_base(self, w: Wildcards) -> str:
        """Base model of the teacher whose distributions are stored."""
        return self.teacher_base(w) if self._asks_teacher(w) else self.student_base(w)

    def stored_model(self, w: Wildcards) -> list[str]:
        """Fine-tuned model of that teacher, if it was fine-tuned."""
        return self.teacher_model(w) if self._asks_teacher(w) else []

    def context_base(self, w: Wildcards) -> str:
        """Base model of the teacher that reads a context."""
        return self.teacher_base(w) if self._asks_teacher(w, CONTEXT) else self.student_base(w)

    def context_model(self, w: Wildcards) -> list[str]:
        """Fine-tuned model of that teacher, if it was fine-tuned."""
        return self.teacher_model(w) if self._asks_teacher(w, CONTEXT) else []

    def _asks_teacher(self, w: Wildcards, store: str | None = None) -> bool:
        return self.learns_from_teacher(w.study, self.reader(w.study, store or w.store))

    def stored_manifest(self, w: Wildcards) -> Files:
        """Manifest of a study's teacher distributions, if any of its methods reads them."""
        return f"{self.teacher_directory(w)}/distributions/manifest.json" if self.readers(w.study) else []

    def stored_shards(self, w: Wildcards) -> list[str]:
        """The shards that it lists."""
        return self.shards(w) if self.readers(w.study) else []

    def read_manifest(self, w: Wildcards) -> Files:
        """Manifest of the stored distributions that a method reads, if it reads some."""
        store = self.store_of(w.study, w.method)
        return f"{self.store_directory(w, store)}/manifest.json" if store else []

    def read_shards(self, w: Wildcards) -> list[str]:
        """The shards that it lists."""
        store = self.store_of(w.study, w.method)
        return self.shards(w, store) if store else []

    def training_data(self, w: Wildcards) -> str:
        """Training file of an experiment."""
        return f"<results>/data/{w.study}/{self.file(w.study, w.method).name}.jsonl"

    def validation_data(self, w: Wildcards) -> str:
        """Validation rows in the schema of the training file."""
        return f"<results>/data/{w.study}/validation/{self.file(w.study, w.method).name}.jsonl"

    def start(self, w: Wildcards) -> Files:
        """Model directory that training starts from: the SFT student, or the one that is compressed."""
        if compressed := self.compression(w.study, w.method):
            return self._parent_model(w) if compressed.parent != BASE else []
        from_sft = self.training(w.study, w.method).training.init == "sft"
        return f"<results>/{w.study}_sft/seed_{w.seed}/model" if from_sft else []

    def _parent_model(self, w: Wildcards) -> str:
        return f"<results>/{w.study}_{self.compression(w.study, w.method).parent}/seed_{w.seed}/model"

    def online_base(self, w: Wildcards) -> Files:
        """Base model of a teacher that runs beside the student; nothing for other methods."""
        if not self._is_online(w):
            return []
        return self.teacher_base(w) if self.learns_from_teacher(w.study, w.method) else self.student_base(w)

    def online_model(self, w: Wildcards) -> Files:
        """Fine-tuned model of such a teacher, if it was fine-tuned; of a compressed student that learns from itself,
        the student as it was."""
        if not self._is_online(w):
            return []
        return self.teacher_model(w) if self.learns_from_teacher(w.study, w.method) else self._parent_model(w)

    def online_pair(self, w: Wildcards) -> str | None:
        """:meth:`pair`, where the teacher runs beside the student."""
        return self.pair(w) if self._is_online(w) else None

    def _is_online(self, w: Wildcards) -> bool:
        return self.entry(w.study, w.method).objective.online(self.training(w.study, w.method).options)

    def student_saves(self, w: Wildcards) -> int:
        """Saves of the training state of a student."""
        return self.training(w.study, w.method).training.saves

    def teacher_saves(self, w: Wildcards) -> int:
        """Saves of the training state of the teacher."""
        return self.training(w.study, TEACHER_NAME).training.saves
