"""Tables of studies that rank labels: calibrations, and precision and recall by label."""

from typing import Any

from pipestill.reporting.study import Experiment

CALIBRATION_METRICS = ("macro_f1", "accuracy", "nll", "brier", "ece")


def calibration_rows(experiment: Experiment, primary: str) -> list[dict[str, Any]]:
    """Test metrics under every calibration, averaged over the runs, and how many runs chose it on validation."""
    contents = experiment.evaluation["runs"]
    rows = []
    for name in contents[0]["calibrations"]:
        validation = [run.calibration.validation.get(name, {}).get(primary) for run in experiment.runs.values()]
        known = [value for value in validation if value is not None]
        rows.append(
            {
                "name": name,
                "chosen": sum(content["calibration"] == name for content in contents),
                "runs": len(contents),
                "validation": sum(known) / len(known) if known else None,
                "metrics": [
                    sum(content["calibrations"][name][metric] for content in contents) / len(contents)
                    for metric in CALIBRATION_METRICS
                ],
            }
        )
    return rows


def per_class_rows(experiment: Experiment) -> list[dict[str, Any]]:
    """Precision, recall and F1 by label, averaged over the runs."""
    tables = [content["per_class"] for content in experiment.evaluation["runs"]]
    return [
        {
            "label": label,
            "support": tables[0][label]["support"],
            **{key: sum(table[label][key] for table in tables) / len(tables) for key in ("precision", "recall", "f1")},
        }
        for label in tables[0]
    ]
