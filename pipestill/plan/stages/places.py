"""Places of what several stages read."""

from typing import Any

from pipestill.methods import SFT, TEACHER_NAME
from pipestill.plan.jobs import Jobs
from pipestill.plan.shares import origin
from pipestill.settings.models import SERVING, HardwareConfig

Wildcards = Any  # Snakemake's, whose attributes are those of the rule
Files = list[str] | str
TRAINING_MB = 4000
ASKING_MB, SERVER_MB = 4000, 32_000  # a server of large models reads their weights by way of main memory


class Places(Jobs):
    """Where files and models of a task, a study or a run lie."""

    def task_of(self, w: Wildcards) -> str:
        """Name of the task of a job."""
        return getattr(w, "task", None) or self.study(w.study).task

    def cropped(self, w: Wildcards) -> str:
        """Cropped records of a task."""
        return f"<results>/data/{self.task_of(w)}/cropped.jsonl"

    def crop_tokenizer(self, w: Wildcards) -> Files:
        """Base model whose tokens are counted where texts are cropped, if tokens are."""
        tokenizer = self.config.tasks[self.task_of(w)].data.tokenizer
        return f"<results>/models/{tokenizer}" if tokenizer else []

    def splitter(self, w: Wildcards) -> str:
        """Splitter of sentences of a task."""
        return self.config.tasks[self.task_of(w)].splitter

    def base_directory(self, w: Wildcards, method: str | None = None) -> str:
        """Directory of the base model of an experiment."""
        method = method or getattr(w, "method", None) or getattr(w, "checkpoint", TEACHER_NAME)
        return f"<results>/models/{self.base_model(w.study, method)}"

    def teacher_base(self, w: Wildcards) -> str:
        """Directory of the base model of a study's teacher."""
        return self.base_directory(w, TEACHER_NAME)

    def teacher_directory(self, w: Wildcards) -> str:
        """Directory of what belongs to a study's teacher; a study at a share of its rows has that of the whole one."""
        return f"<results>/teachers/{origin(w.study)}"

    def teacher_model(self, w: Wildcards) -> list[str]:
        """Model directory of a study's teacher; none where it is taken as it is."""
        trained = self.entry(w.study, TEACHER_NAME).trains
        return [f"{self.teacher_directory(w)}/model"] if trained else []

    def asked_run(self, w: Wildcards) -> str:
        """Directory of the run of SFT whose student says what preference pairs are made of: the first."""
        return f"<results>/{w.study}_{SFT}/seed_{self.seeds(w.study, SFT)[0]}"

    def run_models(self, w: Wildcards) -> list[str]:
        """Model directories of the runs of an experiment; none where one of `models` is taken as it is."""
        method = self.row(w.study, w.method).method
        if method == TEACHER_NAME:
            return self.teacher_model(w)
        if method in self.study(w.study).checkpoints:
            own = self.study(w.study).checkpoints[method].model is None
            return [f"<results>/{w.study}_{method}/model"] if own else []
        if not self.entry(w.study, w.method).trains:
            return []
        return [f"<results>/{w.study}_{method}/seed_{seed}/model" for seed in self.run_seeds(w)]

    def run_seeds(self, w: Wildcards) -> list[int]:
        """Seeds of the runs of an experiment."""
        return self.seeds(w.study, w.method)

    def shared(self, w: Wildcards) -> HardwareConfig:
        """The hardware of a training."""
        study = getattr(w, "study", None)
        return self.hardware(study) if study else self.config.hardware

    def python(self, w: Wildcards) -> list[str]:
        """What runs the script of a training: Python, or for several devices what starts a process for each."""
        shared = self.shared(w)
        if shared.processes == 1:
            return ["python"]
        return ["python", "-m", "pipestill.job.launch", f"--nodes={shared.nodes}", f"--devices={shared.devices}"]

    def strategy(self, w: Wildcards) -> str:
        """What the devices do with the weights."""
        return self.shared(w).strategy

    def nodes(self, w: Wildcards) -> int:
        """Machines that share a training."""
        return self.shared(w).nodes

    def training_threads(self, w: Wildcards) -> int:
        """Threads of a training on each machine: one for each device at least."""
        return max(self.config.threads, self.shared(w).devices)

    def training_memory(self, w: Wildcards) -> int:
        """Main memory that a training asks for on each machine, in MB: as much for each device."""
        return TRAINING_MB * self.shared(w).devices

    def training_gpus(self, w: Wildcards) -> int:
        """GPUs that a training on one machine asks for."""
        shared = self.shared(w)
        return self.gpu * shared.devices if shared.nodes == 1 else 0

    def training_gres(self, w: Wildcards) -> str:
        """GPUs that a training asks for on each of several machines, in Slurm's words; empty for none.

        ``gpu`` would be their sum, which Snakemake's plugin also asks of the first machine alone.
        """
        shared = self.shared(w)
        return f"gpu:{shared.devices}" if self.gpu and shared.nodes > 1 else ""

    def asking_devices(self, w: Wildcards) -> int:
        """Devices that a job divides the model among that it asks."""
        return self.shared(w).devices if self.study(w.study).engine in SERVING else 1

    def asking_gpus(self, w: Wildcards) -> int:
        """GPUs that such a job asks for."""
        return self.gpu * self.asking_devices(w)

    def asking_memory(self, w: Wildcards) -> int:
        """Main memory that such a job asks for, in MB."""
        return SERVER_MB * self.asking_devices(w) if self.study(w.study).engine in SERVING else ASKING_MB

    @property
    def gpu(self) -> int:
        """GPUs that a job which runs a model asks for."""
        return int(self.config.hardware.device in ("cuda", "xpu"))
