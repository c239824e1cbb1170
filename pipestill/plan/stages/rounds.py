"""Rounds of own answers: what a student says before each part of its training, and what the teacher finds of it."""

from types import SimpleNamespace

from pipestill.plan.rounds import Round, number_of
from pipestill.plan.stages.places import Files, Wildcards
from pipestill.plan.stages.training import TrainingStages


class RoundStages(TrainingStages):
    """Inputs of the rules `own_answers` and `train` that are of rounds; nothing for trainings without."""

    def round_of(self, w: Wildcards) -> Round:
        """The round of a job: that in its path, or the last one, for the job that ends a training."""
        number = int(getattr(w, "round", 0)) or number_of(getattr(w, "part", ""))
        return Round(w.method, int(w.seed), number or self.rounds(w.study, w.method))

    def round_answers(self, w: Wildcards) -> Files:
        """What the student says before the part of its training that a job does."""
        own = self.round_of(w)
        return f"{self._run(w)}/round_{own.number}/answers.jsonl" if own.number else []

    def round_manifest(self, w: Wildcards) -> Files:
        """Manifest of what the teacher finds likely in that."""
        own = self.round_of(w)
        return f"{self.store_directory(w, own.store)}/manifest.json" if own.number else []

    def round_shards(self, w: Wildcards) -> list[str]:
        """The shards that it lists."""
        own = self.round_of(w)
        return self.shards(w, own.store) if own.number else []

    def round_before(self, w: Wildcards) -> Files:
        """What the job of the round before left."""
        number = self.round_of(w).number
        return f"{self._run(w)}/round_{number - 1}/model" if number > 1 else []

    def costs_of_run(self, study: str, method: str, seed: int) -> list[str]:
        """Costs of the jobs that a run of a method is trained by, the teacher's in its rounds included."""
        w = SimpleNamespace(study=study, method=method, seed=seed)
        run, rounds = self._run(w), range(1, self.rounds(study, method) + 1)
        costs = [f"{run}/round_{number}/answers_cost.json" for number in rounds]
        for number in rounds:
            shards = self.shards(w, Round(method, seed, number).store)
            costs += [shard.replace(".safetensors", "_cost.json") for shard in shards]
        return [*costs, *(f"{run}/round_{number}/cost.json" for number in rounds[:-1]), f"{run}/cost.json"]

    def _run(self, w: Wildcards) -> str:
        return f"<results>/{w.study}_{w.method}/seed_{w.seed}"
