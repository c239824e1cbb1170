"""How near a model comes to the teacher on answers that neither was trained on, token by token."""

import sys
from itertools import accumulate
from pathlib import Path

from torch.nn.functional import cross_entropy

from pipestill.errors import UserError
from pipestill.inference.answer_logits import AnswerLogits, batches
from pipestill.inference.devices import input_device
from pipestill.inference.loaded import Loaded
from pipestill.io.records import Json
from pipestill.job.progress import Progress
from pipestill.models.kinds import CLASSIFIER, kind_of, start_token
from pipestill.models.rows import Row, read_answers, supervised
from pipestill.teacher.distributions.store import DistributionStore


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
            ``student_nll``: nats per token of the answers, without a temperature; ``tokens``; ``codec``; ``tail``:
            ``bucket`` where ``kl`` treats all tokens that are not stored as one, and so is less than over the whole
            vocabulary.

        Raises:
            UserError: the model is a classifier, or the tokenizer or the tokens of an answer are not those of the
                distributions.
        """
        model, tokenizer = loaded.model, loaded.tokenizer
        if kind_of(model.config) == CLASSIFIER:
            raise UserError("a classifier tells labels apart, and says nothing of tokens")
        self.store.check(tokenizer=tokenizer)
        rows = read_answers(self.answers, self.store.encoder(tokenizer, start_token(model.config)))
        sums = dict.fromkeys(("kl", "agreement", "teacher_nll", "student_nll"), 0.0)
        tokens, forward = 0, AnswerLogits(model, tokenizer.pad_token_id, self.store.vocab_size)
        progress = Progress(len(rows), "answers", "agreement with the teacher")
        for batch in batches(rows, input_device(model).type):
            tokens += self._add(sums, forward, batch)
            progress.update(len(batch))
        return {
            **{name: value / tokens for name, value in sums.items()},
            "tokens": tokens,
            "temperature": self.store.temperature,
            "codec": self.store.codec.description["name"],
            "tail": "bucket" if self.store.codec.has_tail else None,
        }

    def _add(self, sums: dict[str, float], forward: AnswerLogits, batch: list[Row]) -> int:
        """Add the sums over the answers of ``batch``; returns how many tokens these have."""
        keys, device = [self.store.key(row) for row in batch], input_device(forward.model)
        target = self.store.target(keys, "bucket", device)
        best = self.store.top_ids(keys).to(device)
        gold = [[row["labels"][position] for position in supervised(row["labels"])] for row in batch]
        ends = list(accumulate(map(len, gold), initial=0))
        sums["teacher_nll"] -= float(self.store.gold_log_probs(keys).double().sum())
        for index, first, logits in forward(batch):
            place = slice(ends[index] + first, ends[index] + first + len(logits))
            answer = best.new_tensor(gold[index][first : first + len(logits)])
            sums["agreement"] += int((logits.argmax(dim=-1) == best[place]).sum())
            sums["student_nll"] += float(cross_entropy(logits, answer, reduction="sum"))
            values, _ = target.loss_and_gradient("fkl", logits, place, temperature=self.store.temperature)
            sums["kl"] += float(values.sum())
        return ends[-1]
