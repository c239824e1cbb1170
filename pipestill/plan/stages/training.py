"""The teacher, what it says, and the students."""

from pipestill.io.digests import canonical_json
from pipestill.methods import TEACHER_NAME
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

    def shards(self, w: Wildcards) -> list[str]:
        """Files of the shards of a study's teacher distributions."""
        directory = f"{self.teacher_directory(w)}/distributions"
        return [f"{directory}/shard_{shard}.safetensors" for shard in range(self.shard_count(w))]

    def shard_facts(self, w: Wildcards) -> list[str]:
        """Facts about each shard."""
        return [shard.replace(".safetensors", ".json") for shard in self.shards(w)]

    def stored_manifest(self, w: Wildcards) -> Files:
        """Manifest of a study's teacher distributions, if any of its methods reads them."""
        return f"{self.teacher_directory(w)}/distributions/manifest.json" if self.readers(w.study) else []

    def stored_shards(self, w: Wildcards) -> list[str]:
        """The shards that it lists."""
        return self.shards(w) if self.readers(w.study) else []

    def read_manifest(self, w: Wildcards) -> Files:
        """Manifest of the teacher's distributions, for a method that reads them."""
        return self.stored_manifest(w) if w.method in self.readers(w.study) else []

    def read_shards(self, w: Wildcards) -> list[str]:
        """The shards that it lists."""
        return self.shards(w) if w.method in self.readers(w.study) else []

    def training_data(self, w: Wildcards) -> str:
        """Training file of an experiment."""
        return f"<results>/data/{w.study}/{self.entry(w.study, w.method).objective.file.name}.jsonl"

    def validation_data(self, w: Wildcards) -> str:
        """Validation rows in the schema of the training file."""
        return f"<results>/data/{w.study}/validation/{self.entry(w.study, w.method).objective.file.name}.jsonl"

    def start(self, w: Wildcards) -> Files:
        """Model directory that training starts from, where that is the SFT student."""
        from_sft = self.training(w.study, w.method).training.init == "sft"
        return f"<results>/{w.study}_sft/seed_{w.seed}/model" if from_sft else []

    def online_base(self, w: Wildcards) -> Files:
        """Base model of a teacher that runs beside the student; nothing for other methods."""
        return self.teacher_base(w) if self._is_online(w) else []

    def online_model(self, w: Wildcards) -> list[str]:
        """Fine-tuned model of such a teacher, if it was fine-tuned."""
        return self.teacher_model(w) if self._is_online(w) else []

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
