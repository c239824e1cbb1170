"""Training jobs as their rules call them, to be killed and called again, on rows of unequal length in all schemas."""

import json
import random
import time
from pathlib import Path

from torch.distributed import TCPStore

from pipestill.methods import METHODS
from pipestill.settings.training import TrainingConfig
from support.scripts import Script, script_of

LABELS = ("Good", "Standard", "Bad")
CHECKPOINTS = 5


def write_training_files(directory):
    """Files of rows of all objectives, ``<split>_<file>.jsonl``."""
    draw = random.Random(1)
    for split, n in (("train", 45), ("validation", 7)):
        rows = {"sft": [], "dpo": [], "stepwise": [], "cd": []}
        for _ in range(n):
            prompt = f"Age: {draw.randint(18, 80)}.0, Outstanding Debt: {'9' * draw.randint(1, 20)}"
            chosen, rejected = draw.sample(LABELS, 2)
            rows["sft"].append({"input": prompt, "output": chosen})
            explained = {"rationale_prompt": f"Why? {prompt}", "rationale": f"{rejected} {chosen}"}
            rows["stepwise"].append({"input": prompt, "output": chosen, **explained})
            rows["dpo"].append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
            ids = [f"{split} {number}" for number in range(len(rows["cd"]))]
            read = {"question": f"{prompt}?", "answer": chosen, "demonstrations": ids[-2:]}
            rows["cd"].append({"id": f"{split} {len(ids)}", "input": prompt, "output": chosen, **read})
        for name, lines in rows.items():
            text = "".join(f"{json.dumps(row)}\n" for row in lines)
            (directory / f"{split}_{name}.jsonl").write_text(text)
    return directory


class Scripts:
    """Scripts at work together."""

    def __init__(self, scripts):
        self.scripts = scripts

    def poll(self):
        """How they ended, 0 only if all did well; none while one is at work."""
        codes = [script.poll() for script in self.scripts]
        return None if None in codes else next(filter(None, codes), 0)

    def send_signal(self, number):
        """Send a signal to all."""
        for script in self.scripts:
            script.send_signal(number)

    def wait(self, seconds=600):
        """Wait until all have ended; see :meth:`poll`."""
        for script in self.scripts:
            script.wait(seconds)
        return self.poll()

    def said(self):
        """What the first one wrote to stderr, and then the others."""
        return "".join(script.said() for script in self.scripts)


class Together(Scripts):
    """Scripts that are told what torchrun tells its processes; as there, the store where they meet is not theirs."""

    def __init__(self, size, name, *arguments):
        self._store = meeting()
        common = {"TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_USE_AGENT_STORE": "True"}
        common |= {"TORCHELASTIC_RESTART_COUNT": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(self._store.port)}
        common |= {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "LOCAL_RANK": "0"}
        super().__init__([Script(name, *arguments, environment=common | {"RANK": str(rank)}) for rank in range(size)])


def meeting():
    """A place on this machine, with a ``port``, where processes meet as long as it is held."""
    return TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def finish_all(jobs, processes, place):
    """Run jobs to the end, one after the other in the same processes, with the list of them in the file ``place``."""
    meetings = [meeting() for _ in jobs]
    listed = zip(meetings, jobs, strict=True)
    place.write_text(json.dumps([(at.port, str(script_of(job.script)), *map(str, job.command)) for at, job in listed]))
    program = Path(__file__).with_name("one_after_another.py")
    process = Together(processes, program, place) if processes > 1 else Script(program, place)
    assert process.wait() == 0, process.said()


class Called:
    """One training job in ``directory``: the rule's command.

    Args:
        directory: of what it makes.
        settings: of the job, as JSON.
        base: directory of the base model.
        data: file of training rows.
        validation: file of validation rows.
        script: of the job.

    Attributes:
        processes: that do it together.
    """

    processes = 1

    def __init__(self, directory, settings, base, data, validation, script="train"):
        self.script = script
        self.output, self.state, self.cost = directory / "model", directory / "model.state", directory / "cost.json"
        self.memory = directory / "memory.jsonl"
        self.command = ["--settings", settings, "--base", base, "--seed", "1", "--data", data]
        self.command += ["--validation", validation, "--output", self.output, "--state", self.state]
        self.command += ["--cost", self.cost, "--memory", self.memory]

    def start(self):
        if self.processes > 1:
            return Together(self.processes, self.script, *self.command)
        return Script(self.script, *self.command)

    def finish(self):
        """Run to the end; what it said."""
        process = self.start()
        assert process.wait() == 0, process.said()
        return process.said()

    def steps(self):
        return sorted(int(path.name) for path in self.state.glob("checkpoints/*") if path.name.isdigit())

    def interrupt(self, after, delay, how):
        """Send a signal ``delay`` seconds after a checkpoint newer than step ``after`` appears; the exit code."""
        process = self.start()
        while process.poll() is None and not (self.steps() and self.steps()[-1] > after):
            time.sleep(0.001)
        time.sleep(delay)
        process.send_signal(how)
        return process.wait()

    def spend(self, seconds):
        """Add processor time to what the attempts so far have noted; the sum."""
        ledger = self.state / "cost.json"
        noted = json.loads(ledger.read_text())
        assert noted["cpu_s"] > 0
        noted["cpu_s"] += seconds
        ledger.write_text(json.dumps(noted))
        return noted["cpu_s"]

    def history(self):
        """Rows of ``history.jsonl``."""
        return list(map(json.loads, (self.output / "history.jsonl").read_text().splitlines()))

    def digests(self):
        """The output, file by file."""
        return (self.output / "SHA256SUMS").read_text()


class Job(Called):
    """One training job on rows of :func:`write_training_files` in the directory ``data``."""

    def __init__(self, directory, base, data, method, adaptation, more=None, compression=None, **training):
        # 3 epochs of 12 batches in 18 steps: resumes fall inside epochs, inside accumulation groups of unequal size
        defaults = dict(epochs=3, batch_size=4, accumulation_steps=2, learning_rate=5e-3, evaluations=4)
        training = TrainingConfig(adaptation=adaptation, saves=CHECKPOINTS, **(defaults | training))
        settings = {"method": method, "training": training.model_dump(), "hardware": {}, **(more or {})}
        if method == "vanilla":
            settings["labels"] = {label: label for label in LABELS}
        settings = {**compression, "trains": True, "training": settings} if compression else settings
        files = (data / f"{split}_{METHODS[method].objective.file.name}.jsonl" for split in ("train", "validation"))
        super().__init__(directory, json.dumps(settings), base, *files, "compress" if compression else "train")
