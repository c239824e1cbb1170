"""Compare two results trees of one configuration: weights, training histories, predictions and metrics, bit for bit.

    python benchmarks/compare_results.py RESULTS OTHER_RESULTS

Prints, for each kind of file, how many are equal, and for those that are not the largest difference. Trees may be of
different versions of the project: fields are compared by what they mean. Exits with 1 where anything differs.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

Leaves = dict[str, Any]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers and texts of nested JSON, each with its path."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, f"{path}/{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}/{index}")
    else:
        yield path, value


def rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def weights(path: Path) -> Leaves:
    """Bytes of each tensor."""
    return {name: tensor.tobytes() for name, tensor in load_file(path).items()}


def history(path: Path) -> Leaves:
    """Values logged at each step."""
    return dict(leaves(rows(path)))


def predictions(path: Path) -> Leaves:
    """Answers and scores by record and sampling seed; a gold label is a reference."""
    found = {}
    for row in rows(path):
        row.setdefault("references", [row.pop("label", None)])
        key = f"{row['id']} {row.get('sampling_seed')}"
        found |= {f"{key}{name}": value for name, value in leaves(row) if value is not None}
    return found


def outputs(path: Path) -> Leaves:
    """The teacher's outputs for each prompt."""
    found = {}
    for row in rows(path):
        said = row.get("outputs") or [row["output"]]
        found |= dict(leaves({"outputs": said, "label_scores": row.get("label_scores")}, row["id"]))
    return found


def metrics(path: Path) -> Leaves:
    """Metrics with intervals, and those of each run."""
    content = json.loads(path.read_text(encoding="utf-8"))
    runs = {run["seed"]: run["metrics"] for run in content["runs"]}
    return {name: value for name, value in leaves({"metrics": content["metrics"], "runs": runs}) if value is not None}


def table(path: Path) -> Leaves:
    """Lines of a table without those parts that only describe."""
    return {str(number): line for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())}


KINDS: dict[str, tuple[str, Callable[[Path], Leaves]]] = {
    "weights": ("**/model/*.safetensors", weights),
    "training histories": ("**/model/history.jsonl", history),
    "teacher outputs": ("teachers/*/outputs.jsonl", outputs),
    "predictions": ("*/predictions/seed_*/predictions.jsonl", predictions),
    "metrics": ("*/eval.json", metrics),
    "comparisons": ("report/comparisons.csv", table),
}


def difference(a: Leaves, b: Leaves) -> str | None:
    """The first and the largest difference in words; none where all that both should have is equal."""
    unshared = sorted(set(a) ^ set(b))
    changed = [key for key in a if key in b and a[key] != b[key]]
    if not unshared and not changed:
        return None
    numbers = [
        abs(a[key] - b[key]) for key in changed if isinstance(a[key], int | float) and not isinstance(a[key], bool)
    ]
    largest = f", largest difference of numbers {max(filter(math.isfinite, numbers)):.3g}" if numbers else ""
    where = f", first at {changed[0]}" if changed else ""
    only = f", {len(unshared)} fields in one of them only (such as {unshared[0]})" if unshared else ""
    return f"{len(changed)} of {len(a)} values differ{largest}{where}{only}"


def main() -> None:
    """Compare, print and exit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("other", type=Path)
    args = parser.parse_args()
    differs = False
    for kind, (pattern, read) in KINDS.items():
        own, other = ({path.relative_to(root) for path in root.glob(pattern)} for root in (args.results, args.other))
        found = {path: difference(read(args.results / path), read(args.other / path)) for path in sorted(own & other)}
        unequal = {path: words for path, words in found.items() if words}
        print(f"{kind}: {len(found) - len(unequal)} of {len(found)} files equal, {len(own ^ other)} in one tree only")
        for path, words in unequal.items():
            print(f"  {path}: {words}")
        for path in sorted(own ^ other):
            print(f"  {path}: only in {args.results if path in own else args.other}")
        differs |= bool(unequal or own ^ other)
    sys.exit(differs)


if __name__ == "__main__":
    main()
