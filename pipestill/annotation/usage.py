"""The cost of a task's rationales: calls, tokens, money, time, and who answered."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def usage(
    asked: Iterable[str],
    answers: Mapping[str, Mapping[str, Any]],
    calls: Iterable[Mapping[str, Any]],
    records: int,
    annotated: int,
    wall_s: float,
) -> dict[str, Any]:
    """The content of ``usage.json`` for the requests ``asked``, over all runs that worked on them.

    Args:
        asked: keys of the requests that the rationales are made of.
        answers: the ledger.
        calls: the journal, one row for each call.
        records: how many there are to annotate.
        annotated: how many are annotated.
        wall_s: seconds of this run only.
    """
    asked = set(asked)
    kept = [answers[key] for key in asked & answers.keys()]
    own = [call for call in calls if call["request"] in asked]
    ended = [call for call in own if "outcome" in call]
    failed = Counter(call["outcome"] for call in ended if call["outcome"] != "ok")
    latencies = sorted(row["latency_s"] for row in kept)
    return {
        "records": records,
        "annotated": annotated,
        "requests": len(asked),
        "calls": {
            "total": len(own),
            "ok": len(ended) - failed.total(),
            "failed": dict(sorted(failed.items())),
            "unfinished": len(own) - len(ended),
        },
        "tokens": {kind: sum(call.get(f"{kind}_tokens") or 0 for call in ended) for kind in ("input", "output")},
        "cost": _cost(own, annotated),
        "latency_s": {"p50": _percentile(latencies, 0.5), "p95": _percentile(latencies, 0.95)},
        "finish_reasons": _histogram(kept, "finish_reason"),
        "served_models": _histogram(kept, "model"),
        "served_providers": _histogram(kept, "provider"),
        "wall_s": round(wall_s, 2),
    }


def _cost(calls: list[Mapping[str, Any]], annotated: int) -> dict[str, Any]:
    """Dollars, and calls by the source of their cost; null if the cost of a call is unknown."""
    sources = Counter(call.get("cost_source", "reserved") for call in calls)
    known = "unknown" not in sources
    dollars = round(sum(call.get("cost", call["reserved"]) for call in calls), 8) if known else None
    per_record = round(dollars / annotated, 8) if known and annotated else None
    return {"dollars": dollars, "per_record": per_record, "sources": dict(sorted(sources.items()))}


def _histogram(rows: list[Mapping[str, Any]], field: str) -> dict[str, int]:
    return dict(sorted(Counter(row[field] for row in rows if row[field] is not None).items()))


def _percentile(ordered: list[float], share: float) -> float | None:
    """The smallest value that ``share`` of all values do not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
