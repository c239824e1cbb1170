"""Labels: ranked by scores that survive a kill, then calibrated on validation rows."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np

from pipestill.answers.base import Said
from pipestill.answers.labels import LabelOptions, Ranked
from pipestill.answers.labels.calibration import calibrate, calibration_record, log_posterior, mean_score
from pipestill.answers.labels.null_prompts import null_prompts
from pipestill.errors import UserError
from pipestill.inference.answers import answer_prompts
from pipestill.inference.label_scores import LabelScores
from pipestill.inference.loaded import Loaded
from pipestill.inference.prefix import KeptPrefix
from pipestill.inference.queries import Queries, query, timed
from pipestill.inference.question import Listen, Question
from pipestill.inference.rankers import rank, rank_all
from pipestill.inference.work import PART, Work
from pipestill.io.files import read_json, write_json
from pipestill.io.records import Json, Record, write_jsonl
from pipestill.io.sequences import Chosen
from pipestill.job.progress import Progress
from pipestill.models.kinds import kind_of
from pipestill.models.prompts import word_ids
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import Asking
from pipestill.settings.models import WRITERS
from pipestill.tasks import Task
from pipestill.tasks.base import UNCONDITIONED

PREDICTED_SPLITS = ("validation", "test")


def predict(task: Task, loaded: Loaded, asking: Asking, records: Sequence[Record], work: Work, directory: Path) -> None:
    """Write ``predictions.jsonl``, ``calibration.json`` and ``queries.json`` of one run to ``directory``.

    Records of ``PREDICTED_SPLITS`` are predicted, in their order.
    """
    labels, options = list(task.answers.labels), task.answers.options(asking.answers)
    wanted = Chosen(records, np.flatnonzero([record.split in PREDICTED_SPLITS for record in records]))
    nulls = _null_prompts(task, asking, options, records)
    null_keys = {f"{name} {number}": text for name, texts in nulls.items() for number, text in enumerate(texts)}
    of_nulls = _rank(task, loaded, asking, null_keys, replace(work, label=f"{work.label}: content-free prompts"))

    took, held_out, gold = Queries(), array("b"), array("i")
    raw_scores, label_mass, greedy = array("d"), array("d"), array("b")
    for own, part in work.parts(wanted):
        scored = _rank(task, loaded, asking, {record.id: asking.prompt.fill(record.inputs) for record in part}, own)
        for record in part:
            found = scored[record.id]
            raw_scores.extend(found["raw"])
            label_mass.append(found["label_mass"])
            greedy.extend(place in found["greedy"] for place in range(len(labels)))
            held_out.append(record.split == "validation")
            if held_out[-1]:
                gold.append(labels.index(record.target))
            else:
                took.add(found)
    raw = np.frombuffer(raw_scores).reshape(-1, len(labels))
    fitted = calibration_record(
        labels,
        raw[np.frombuffer(held_out, bool)],
        gold,
        {name: np.stack([of_nulls[f"{name} {i}"]["raw"] for i in range(len(texts))]) for name, texts in nulls.items()},
        options.calibration,
    )
    prior = fitted["priors"][fitted["chosen"]]
    said = np.frombuffer(greedy, bool).reshape(raw.shape)

    def rows() -> Iterator[Ranked]:
        for start in range(0, len(wanted), PART):
            part = slice(start, start + PART)
            calibrated = calibrate(raw[part], np.array(list(prior.values())))
            for place, record in enumerate(wanted[part]):
                yield Ranked.to(
                    record,
                    labels[calibrated.predictions[place]],
                    raw_scores=_by_label(labels, raw[start + place]),
                    prior=prior,
                    scores=_by_label(labels, calibrated.scores[place]),
                    probabilities=_by_label(labels, calibrated.probabilities[place]),
                    top2_margin=float(calibrated.margins[place]),
                    label_mass=label_mass[start + place],
                    greedy=[labels[index] for index in np.flatnonzero(said[start + place])],
                )

    write_jsonl(directory / "predictions.jsonl", rows())
    write_json(directory / "calibration.json", fitted)
    write_json(directory / "queries.json", took.means(loaded.model))


def say(task: Task, loaded: Loaded, asking: Asking, prompts: Mapping[str, str], work: Work) -> dict[str, Said]:
    """Answer ``prompts`` by key: a greedy output, and the labels' scores without calibration.

    The output of a model that writes no text is the word of the likeliest label.
    """
    scores = _rank(task, loaded, asking, prompts, replace(work, label=f"{work.label}: ranking labels"))
    labels = task.answers.labels
    by_label = {key: dict(zip(labels, scores[key]["raw"], strict=True)) for key in prompts}
    if kind_of(loaded.model.config) in WRITERS:
        generating = replace(work, label=f"{work.label}: generating")
        texts = answer_prompts(loaded, asking, GenerationConfig(), prompts, generating)
        outputs = {key: texts[key]["text"] for key in prompts}
    else:
        outputs = {key: asking.prompt.word(max(found, key=found.get)) for key, found in by_label.items()}
    return {key: Said(key, [outputs[key]], by_label[key]) for key in prompts}


def draw(
    task: Task, loaded: Loaded, asking: Asking, decoding: GenerationConfig, prompts: Mapping[str, str], work: Work
) -> dict[str, list[str]]:
    """Words of labels for ``prompts`` by key, one a seed of ``decoding``, drawn by how likely the model finds them."""
    scores = _rank(task, loaded, asking, prompts, replace(work, label=f"{work.label}: ranking labels"))
    lengths = np.array([len(ids) for ids in _words(task, loaded, asking, next(iter(prompts.values()))).values()])
    words = [asking.prompt.word(label) for label in task.answers.labels]
    found = {}
    for key in prompts:
        likely = np.exp(log_posterior((np.array(scores[key]["raw"]) * lengths / decoding.temperature)[None]))[0]
        found[key] = [Random(f"{seed}/{key}").choices(words, likely)[0] for seed in decoding.seeds()]
    return found


def replies(
    task: Task,
    loaded: Loaded,
    asking: Asking,
    questions: Sequence[Question],
    run: Path | None,
    listen: Listen | None = None,
) -> Iterator[tuple[int, Json]]:
    """Rank the labels behind each prompt, and say whether it was cut (``cropped``); nothing is there to listen to.

    The prior is that of ``run``, the directory of an experiment's predictions, or else it is measured, once for all
    replies of ``loaded``.

    Raises:
        UserError: there is no such calibration.
    """
    labels, encoder = list(task.answers.labels), loaded.encoder(asking.prompt)
    prompts = [question.prompt for question in questions]
    label_ids = _words(task, loaded, asking, *prompts)

    def score(prompts: Sequence[str]) -> np.ndarray:
        encoded = [encoder(text, asking.max_prompt_tokens) for text in prompts]
        return rank_all(loaded, encoded, label_ids).mean_log_prob

    name, prior = loaded.once(("prior", run, asking.model_dump_json()), lambda: _prior(task, asking, run, score))
    read = [question.read(encoder, asking.max_prompt_tokens) for question in questions]
    kept = loaded.once(("prefix", asking.prompt.model_dump_json()), KeptPrefix)
    raw = rank_all(loaded, [tokens for tokens, _ in read], label_ids, kept).mean_log_prob
    result = calibrate(raw, prior)
    for place, (tokens, cut) in enumerate(read):
        yield (
            place,
            {
                "prediction": labels[result.predictions[place]],
                "scores": _by_label(labels, result.scores[place]),
                "raw_scores": _by_label(labels, raw[place]),
                "prior": _by_label(labels, prior),
                "probabilities": _by_label(labels, result.probabilities[place]),
                "top2_margin": float(result.margins[place]),
                "calibration": name,
                "cropped": cut,
                "prompt_tokens": len(tokens),
                "written_tokens": 0,
            },
        )


def lines(reply: Json) -> list[str]:
    """A reply for people: the label, and how likely each one is."""
    run = "" if reply["seed"] is None else f"seed {reply['seed']}, "
    likeliest_first = sorted(reply["probabilities"].items(), key=lambda item: -item[1])
    width = max(map(len, reply["probabilities"]))
    return [
        f"{reply['prediction']}  ({run}margin {reply['top2_margin']:.2f}, calibration {reply['calibration']})",
        *(f"  {label:<{width}} {probability:.3f}" for label, probability in likeliest_first),
    ]


def _rank(task: Task, loaded: Loaded, asking: Asking, prompts: Mapping[str, str], work: Work) -> dict[str, Json]:
    """Rows ``{"raw", "label_mass", "greedy", "query"}`` by key; those that the log ``scores`` of the work holds are not
    read again. ``greedy`` are indices of labels."""
    keys, log, encoder = list(prompts), work.log("scores"), loaded.encoder(asking.prompt)
    encoded = [encoder(prompts[key], asking.max_prompt_tokens) for key in keys]
    encoder.report(work.label)
    label_ids = _words(task, loaded, asking, prompts[keys[0]])
    done = {index for index, key in enumerate(keys) if key in log.rows}
    progress = Progress(len(keys), "prompts", work.label, done=len(done))

    def row(scores: LabelScores, place: int, length: int, ms: float) -> Json:
        return {
            "raw": scores.mean_log_prob[place].tolist(),
            "label_mass": float(scores.label_mass[place]),
            "greedy": np.flatnonzero(scores.greedy[place]).tolist(),
            **query(length, length - scores.shared + scores.shared / len(keys), ms),
        }

    for (indices, scores), ms in timed(rank(loaded, encoded, label_ids, done)):
        log.append(
            (keys[index], row(scores, place, len(encoded[index]), ms / len(indices)))
            for place, index in enumerate(indices)
        )
        work.cost.tokens += sum(len(encoded[index]) for index in indices)
        work.cost.save()
        progress.update(len(indices))
    return log.rows


def _words(task: Task, loaded: Loaded, asking: Asking, *questions: str) -> dict[str, list[int]]:
    """Tokens of what stands for each label behind questions."""
    answers = [asking.prompt.answer(label) for label in task.answers.labels]
    ids = word_ids(loaded.tokenizer, asking.prompt.form, answers, *questions)
    return dict(zip(task.answers.labels, ids, strict=True))


def _prior(
    task: Task, asking: Asking, run: Path | None, score: Callable[[Sequence[str]], np.ndarray]
) -> tuple[str, np.ndarray]:
    """Name and prior ``[labels]`` of the calibration of replies."""
    options = task.answers.options(asking.answers)
    fitted = read_json(run / "calibration.json") if run else {"chosen": "none", "priors": {}}
    name = fitted["chosen"] if options.calibration == "auto" else options.calibration
    nulls = _null_prompts(task, asking, options)
    if name in fitted["priors"]:
        return name, np.array([fitted["priors"][name][label] for label in task.answers.labels])
    if name in nulls:
        return name, mean_score(score(nulls[name]))
    if name != "none":
        raise UserError(f"there is no calibration `{name}` here; there are: {', '.join(('none', *nulls))}")
    return name, np.zeros(len(task.answers.labels))


def _null_prompts(
    task: Task, asking: Asking, options: LabelOptions, records: Sequence[Record] = ()
) -> dict[str, list[str]]:
    texts = options.null_inputs or task.answers.null_inputs
    return null_prompts(asking.prompt, task.prompts.get(UNCONDITIONED), texts, records)


def _by_label(labels: list[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(labels, map(float, values), strict=True))
