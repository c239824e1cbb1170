"""How near a model comes to the teacher on answers that neither was trained on, token by token."""

import sys
from itertools import accumulate
from pathlib import Path

from torch.nn.functional import cross_entropy

from pipestill.errors import UserError
from pipestill.inference.answer_logits import AnswerLogits, batches, check_lengths
from pipestill.inference.devices import input_device
from pipestill.inference.loaded import Loaded
from pipestill.io.records import Json
from pipestill.job.progress import Progress
from pipestill.losses import IGNORED
from pipestill.losses.classes import likeliest
from pipestill.models.kinds import CLASSIFIER, kind_of, reading
from pipestill.models.rows import Row, read_answers, supervised
from pipestill.teacher.distributions.store import DistributionStore

COMPARED = ("kl", "agreement")  # means over the tokens that distributions are stored of


class Agreement:
    """Compares models with stored distributions of a teacher.

    Args:
        manifest: of the distributions.
        answers: file of rows ``{"id", "input", "output"}`` that are stored there: the validation rows.

    Raises:
        UserError: the distributions are missing or damaged.
    """

    def __init__(self, manifest: Path, answers: Path):
        self.store, self.answers = DistributionStore(manifest), answers

    def __call__(self, loaded: Loaded) -> Json | None:
        """As :meth:`measure`; none, with a line that says why, where the model reads other tokens."""
        try:
            return self.measure(loaded)
        except UserError as error:
            print(f"agreement with the teacher is not measured: {error}", file=sys.stderr, flush=True)
            return None

    def measure(self, loaded: Loaded) -> Json:
        """Compare a model with the teacher on every token of the answers.

        Returns:
            ``kl``: forward divergence KL(teacher, model) in nats per token, both at the ``temperature`` of the store;
            ``agreement``: share of tokens at which both find the same one likeliest; ``teacher_nll`` and
            ``student_nll``: nats per token of the answers, without a temperature; ``tokens`` that were compared;
            ``codec``; ``tail``: what ``kl`` is over where that is less than the whole vocabulary, ``bucket`` where all
            tokens that are not stored count as one, ``labels`` or ``labels and rest`` at the first tokens of answers.

        Raises:
            UserError: the model is a classifier, or the tokenizer or the tokens of an answer are not those of the
                distributions.
        """
        model, tokenizer = loaded.model, loaded.tokenizer
        if kind_of(model.config) == CLASSIFIER:
            raise UserError("a classifier tells labels apart, and says nothing of tokens")
        self.store.check(tokenizer=tokenizer)
        encoder = self.store.encoder(tokenizer, reading(model.config))
        keys = [self.store.key(row) for row in read_answers(self.answers, encoder)]
        encoder.prompts.context = loaded.context
        rows = [row | {"key": key} for row, key in zip(read_answers(self.answers, encoder), keys, strict=True)]
        check_lengths(model, rows)
        sums = dict.fromkeys(("kl", "agreement", "teacher_nll", "student_nll"), 0.0)
        tokens = compared = 0
        forward = AnswerLogits(model, tokenizer.pad_token_id, self.store.vocab_size)
        progress = Progress(len(rows), "answers", "agreement with the teacher")
        for batch in batches(rows, input_device(model).type):
            found = self._add(sums, forward, batch)
            tokens, compared = tokens + found[0], compared + found[1]
            progress.update(len(batch))
        return {
            **{name: value / (compared if name in COMPARED else tokens) for name, value in sums.items()},
            "tokens": compared,
            "temperature": self.store.temperature,
            "codec": self.store.codec.description["name"],
            "tail": self.store.codec.outcomes,
        }

    def _add(self, sums: dict[str, float], forward: AnswerLogits, batch: list[Row]) -> tuple[int, int]:
        """Add the sums over the answers of ``batch``; returns how many tokens these have, and how many of them are
        compared."""
        keys, device = [row["key"] for row in batch], input_device(forward.model)
        target = self.store.target(keys, "bucket", device)
        best, over = self.store.top_ids(keys).to(device), self.store.codec.over
        gold = [[row["labels"][position] for position in supervised(row["labels"])] for row in batch]
        ends = list(accumulate(map(len, gold), initial=0))
        sums["teacher_nll"] -= float(self.store.gold_log_probs(keys).double().sum())
        for index, first, logits in forward(batch):
            place = slice(ends[index] + first, ends[index] + first + len(logits))
            answer = best.new_tensor(gold[index][first : first + len(logits)])
            sums["agreement"] += int((likeliest(logits, over) == best[place]).sum())
            sums["student_nll"] += float(cross_entropy(logits, answer, reduction="sum"))
            values, _ = target.loss_and_gradient("fkl", logits, place, temperature=self.store.temperature)
            sums["kl"] += float(values.sum())
        return ends[-1], int((best != IGNORED).sum())
