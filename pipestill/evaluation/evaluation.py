"""The content of ``eval.json``: the numbers of an experiment, what they cost and what they come from."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import Json
from pipestill.settings.evaluation import Annotator, Described, StatisticsConfig
from pipestill.settings.section import Section

Number = int | float


class Summary(Section):
    """A metric over the runs of an experiment."""

    mean: float
    """Mean over the runs."""
    sd: float | None
    """Sample standard deviation over the runs; none of one run."""
    ci95: tuple[float, float] | None
    """The 95 % interval, over runs and examples; none of too few examples to tell."""
    per_seed: list[float]
    """Value of each run."""
    training_sd: float | None = None
    """Share of training in its spread, as a standard deviation; none with too few runs or draws to tell."""
    sampling_sd: float | None = None
    """The same of sampling answers."""


class RunEntry(Section):
    """One run."""

    seed: int
    """Of the training."""
    n_test: int
    """Test examples."""
    metrics: dict[str, float]
    """Every metric."""
    details: Json
    """Further facts, by its kind of answers."""
    history: list[Json]
    """Its training log; empty where nothing was trained here."""


class JobCost(Section):
    """Cost of a job; none for what could not be measured."""

    wall_s: Number | None
    """Seconds of wall time."""
    cpu_s: Number | None
    """Seconds of processor time."""
    peak_memory_mb: Number | None
    """Largest memory, in MB (10^6 bytes)."""
    gpu_memory_mb: Number | None
    """Largest memory of the accelerator, in MB."""
    tokens: Number | None
    """Tokens that models read or wrote."""


class QueryCost(Section):
    """What one test question takes, mean over the questions and runs."""

    queries: int
    """Questions to each run; each sampled answer is one."""
    prompt_tokens: float
    """Length of the whole prompt."""
    read_tokens: float
    """Tokens that are read for one question, where questions share what their prompts begin with."""
    written_tokens: float
    """Length of a generated answer; 0 where labels are ranked."""
    ms: float
    """Milliseconds of the model's work, in batches; loading does not count."""
    cache_bytes: float
    """Keys and values that are kept of the whole prompt and the answer; 0 of a model that writes no text."""


class AnnotationCost(Annotator):
    """Who wrote the rationales that an experiment learnt from, and what they took, once for all runs and methods."""

    records: int
    """Records to be annotated."""
    annotated: int
    """Records that have a rationale."""
    calls: dict[str, Any]
    """Requests: `total`, `ok`, `failed` by reason, `unfinished`."""
    tokens: dict[str, int]
    """Of prompts (`input`) and answers (`output`)."""
    latency_s: dict[str, Number | None]
    """Seconds to an answer that was kept: `p50` and `p95`."""
    served_models: dict[str, int]
    """Answers by the model that wrote them."""
    served_providers: dict[str, int]
    """Answers by the company that served them."""
    dollars: Number | None
    """Their price; none where it is not known."""
    training: JobCost | None
    """Cost of training the annotator, where it was trained here."""


class Cost(Section):
    """Cost of an experiment."""

    train: JobCost | None
    """Mean over the training jobs of the runs, which compress where students are compressed; none where nothing was
    trained."""
    parent: JobCost | None = None
    """The same of the students that were compressed, if they were trained."""
    teacher: JobCost | None
    """The teacher's work for the students, once for all; none where they learn from none."""
    predict: JobCost
    """A run's share of the prediction job."""
    query: QueryCost | None
    """A test question's share of the prediction job; none without a model."""
    annotation: AnnotationCost | None
    """The rationales that it learnt from, if it did."""
    trainable_parameters: int | None
    """Parameters that were trained; none without a model."""
    total_parameters: int | None
    """All parameters; none without a model."""
    money_usd: Number | None
    """Dollars that were paid; none where a price is not known."""


class Mean(Section):
    """A number of each run."""

    mean: float
    """Mean over the runs."""
    per_seed: list[float]
    """Value of each run."""


class Closeness(Section):
    """Closeness of the runs to their teacher on validation answers, token by token."""

    kl: Mean
    """Divergence of the student's distributions from the teacher's, in nats per token."""
    agreement: Mean
    """Share of tokens that both find likeliest."""
    teacher_nll: Mean
    """The teacher's negative log-likelihood of the answers, in nats per token."""
    student_nll: Mean
    """The student's."""
    tokens: int
    """Tokens that were compared."""
    temperature: float
    """That logits were divided by."""
    codec: str | None
    """Format of the teacher's stored distributions."""
    tail: str | None
    """What the divergence is over, where that is less than the vocabulary: `bucket`, stored tokens and all others as
    one; `labels`; `labels and rest`."""


class Provenance(Section):
    """Origin of numbers."""

    git_commit: str | None
    """State of the code."""
    config_sha256: str
    """Digest of every setting."""
    data_sha256: dict[str, str]
    """Digests of data files, by path."""
    model_sha256: dict[str, str]
    """Digests of the checksums of models, by path."""
    versions: dict[str, str]
    """Versions of libraries in the prediction job."""
    hardware: Json
    """Its hardware plan."""


class Evaluation(Described):
    """The numbers of an experiment."""

    primary_metric: str
    """The metric that decides."""
    n_train: int | None
    """Training examples; none where they are not known."""
    n_test: int
    """Test examples."""
    test_sets: dict[str, int]
    """Examples of each test set, in order."""
    seeds: list[int]
    """Of its runs."""
    bootstrap: StatisticsConfig
    """Resampling of the intervals."""
    metrics: dict[str, Summary]
    """Every metric, and those of single test sets as `<metric>/<test set>`."""
    signatures: dict[str, Any]
    """Way of computing each metric that has several."""
    runs: list[RunEntry]
    """Each run."""
    agreement: Closeness | None
    """Closeness of the runs to the teacher, where it was measured."""
    sentences: int | None
    """Number of the input's sentences that are the answer, where no model answers."""
    cost: Cost
    """Its cost."""
    provenance: Provenance
    """Its origin."""


def read_evaluation(path: Path) -> Evaluation:
    """The content of ``eval.json``.

    Raises:
        UserError: the file is missing, or other code wrote it.
    """
    try:
        return Evaluation.model_validate(read_json(path))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{path} is not an evaluation ({where}): make it again") from None
