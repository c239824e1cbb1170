"""How near the students come to their teacher, and how exactly a cache holds what the teacher says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

from pipestill.errors import UserError
from pipestill.evaluation.formats import listing
from pipestill.io.files import read_json
from pipestill.methods import METHODS
from pipestill.reporting.study import Study

LARGE_ANGLE = 20  # degrees between the cached gradient and the exact one


def closeness_rows(study: Study) -> list[dict[str, Any]]:
    """KL to the teacher, token agreement and NLL of the gold answer by method: mean, and sd over the runs."""
    rows = []
    for experiment in study.experiments:
        measured = experiment.closeness
        if measured and experiment.method != "teacher":
            cells = {}
            for key in ("kl", "agreement", "student_nll"):
                values = measured[key]["per_seed"]
                cells[key] = {"mean": measured[key]["mean"], "sd": stdev(values) if len(values) > 1 else None}
            rows.append({"experiment": experiment, **cells})
    return rows


def measured_on(study: Study) -> dict[str, Any] | None:
    """The teacher's NLL of the same answers, how many tokens they have, and with which of its distributions."""
    measured = next((each.closeness for each in study.experiments if each.closeness), None)
    return measured and {"nll": measured["teacher_nll"]["mean"], **measured}


def read_fidelity(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """What was measured of each study's cache, by study.

    Raises:
        UserError: a file is missing or is not what ``distribution_fidelity`` writes.
    """
    by_study = {}
    for path in paths:
        content = read_json(path)
        if not isinstance(content, dict) or not {"study", "codec", "bytes_per_token", "tokens", "kinds"} <= set(
            content
        ):
            raise UserError(f"{path} does not say how exact a cache is: make it again")
        by_study[content["study"]] = content
    return by_study


def titles_by_kind(kinds: Sequence[str]) -> dict[str, str]:
    """What tables call the method of each divergence."""
    return {method.divergence: method.title for method in METHODS.values() if method.divergence in kinds}


def fidelity_warning(fidelity: Mapping[str, Any]) -> str | None:
    """Which methods learn something else from the cache than they would from the teacher."""
    titles = titles_by_kind(fidelity["kinds"])
    large = {titles[kind]: row["angle"] for kind, row in fidelity["kinds"].items() if row["angle"] > LARGE_ANGLE}
    if not large:
        return None
    named = listing([f"{title} ({angle:.0f}°)" for title, angle in large.items()])
    return (
        f"From the cache of the teacher's distributions, gradients of {named} point more than {LARGE_ANGLE}° away from "
        "the exact ones: these methods optimise something else here. Raise distributions.k, take codec: full, or train "
        "with teacher: online."
    )


def fidelity_rows(fidelity: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Method, tail, angle in degrees and norm ratio between the cached and the exact gradient, and if it is large."""
    titles = titles_by_kind(fidelity["kinds"])
    return [
        {"title": titles[kind], "large": row["angle"] > LARGE_ANGLE, **row} for kind, row in fidelity["kinds"].items()
    ]


def fidelity_sentence(fidelity: Mapping[str, Any]) -> str:
    """What was compared, and how to read it."""
    return (
        f"The teacher's distributions are stored with codec {fidelity['codec']}, "
        f"{fidelity['bytes_per_token']:.0f} bytes per token. On {fidelity['tokens']:,} tokens of validation answers "
        "they were compared with the teacher itself, by the gradient that each gives the untrained student's head. "
        "The angle between the two says how far the direction of learning is off (0°: not at all), the length how "
        "strong the stored signal is (1: as strong)."
    )
