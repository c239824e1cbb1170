"""What a study's numbers say, in plain words."""

from collections.abc import Sequence

from pipestill.evaluation.formats import (
    bracket,
    decimals,
    listing,
    metric_title,
    number,
    percent,
    plural,
    seconds,
)  # fmt: skip
from pipestill.reporting.comparisons import Comparison, find
from pipestill.reporting.gap import GapClosed, gap_closed
from pipestill.reporting.rationales import rationale_conclusion
from pipestill.reporting.study import Experiment, Study

VERDICTS = ("better", "worse", "open")
MANY = 3  # methods, beyond which a sentence gives a range instead of naming each


def _mean(study: Study, experiment: Experiment) -> str:
    """``0.734 [0.701, 0.766]``."""
    metric, places = experiment.metric(study.primary), decimals(study.primary)
    return f"{number(metric['mean'], places)} {bracket(metric['ci95'], places)}"


def _leads(study: Study, others: Sequence[Experiment]) -> str:
    """``SFT (0.005) and DPO (0.008)``, or ``the 9 others (0.12 to 1.80)``."""
    best, places = study.ranked[0].mean(study.primary), decimals(study.primary)
    leads = [number(abs(best - other.mean(study.primary)), places) for other in others]
    if len(others) > MANY:
        return f"the {len(others)} others ({leads[0]} to {leads[-1]})"
    return listing([f"{other.title} ({lead})" for other, lead in zip(others, leads, strict=True)])


def _ranking(study: Study, comparisons: Sequence[Comparison]) -> str:
    """Who is best, and whether that is more than chance; a tie is said before its leader."""
    best, *others = study.ranked
    title, where = metric_title(study.primary), f"{_mean(study, best)} over {plural(len(best.runs), 'seed')}"
    if not others:
        return f"{best.title} reaches a {title} of {where}; with one method there is nothing to compare."
    beaten = [other for other in others if find(comparisons, best, other).significant]
    tied = [other for other in others if other not in beaten]
    behind = f"significantly better than {listing([other.title for other in beaten])}" if beaten else ""
    reference = "the untrained student" if best.method == "base" else f"{best.title}, which needs no model"
    opening = f"No trained method is ahead of {reference}. " if best.is_reference else ""
    if not tied:
        return f"{opening}{best.title} is best on {title}: {where}, {behind}."
    names = listing([each.title for each in study.ranked if each not in beaten])
    return (
        f"{opening}{names} share the first place on {title}: {best.title} has the best mean, {where}, but with "
        f"{plural(best.evaluation['n_test'], 'test example')} its lead over {_leads(study, tied)} is not significant."
        + (f" {best.title} is {behind}." if beaten else "")
    )


def _share(shares: Sequence[GapClosed], experiment: Experiment) -> str | None:
    closed = next((each for each in shares if each.experiment is experiment), None)
    return closed and f"{percent(closed.share)} [{percent(closed.ci95[0])}, {percent(closed.ci95[1])}]"


def _gap(study: Study) -> str | None:
    """How much of the way to the teacher the best student has gone, from the untrained student and from SFT."""
    teacher, best = study.get("teacher"), study.ranked[0]
    if teacher is None:
        return None
    from_base, from_sft = (_share(gap_closed(study, floor), best) for floor in ("base", "sft"))
    parts = [f"The teacher reaches {_mean(study, teacher)}"]
    if from_base:
        parts.append(f"{best.title} closes {from_base} of the gap between the untrained student and it")
        if from_sft:
            parts[-1] += f", and {from_sft} of that between SFT and it"
    elif from_sft:
        parts.append(f"{best.title} closes {from_sft} of the gap between SFT and it")
    return "; ".join(parts) + "."


def _train_seconds(study: Study) -> tuple[str, dict[str, float]]:
    """Seconds of training per seed by method: of processor time if that is known of all, else of wall time."""
    trained = {experiment.method: experiment.evaluation["cost"]["train"] for experiment in study.experiments}
    trained = {method: train for method, train in trained.items() if train}
    for words, key in (("of processor time ", "cpu_s"), ("", "wall_s")):
        if all(train[key] is not None for train in trained.values()):
            return words, {method: train[key] for method, train in trained.items()}
    return "", {}


def _costs(study: Study) -> str | None:
    best = study.ranked[0]
    words, costs = _train_seconds(study)
    if best.method not in costs:
        return None
    sentence = f"Training {best.title} took {seconds(costs[best.method])} {words}per seed"
    ratios = [
        (costs[each.method] / costs[best.method], each.title) for each in study.ranked[1:] if each.method in costs
    ]
    if len(ratios) > MANY:
        (least, quick), (most, slow) = min(ratios), max(ratios)
        sentence += f"; the others took between {least:.1f} ({quick}) and {most:.1f} times ({slow}) as long."
    else:
        relative = [f"{title} {ratio:.1f} times as long" for ratio, title in ratios]
        sentence += f"; {listing(relative)}." if relative else "."
    taught = [each.title for each in study.ranked if each.learns_from_teacher]
    if taught and "teacher" in costs:
        who = listing(taught) if len(taught) <= MANY else f"The {len(taught)} methods that learn from the teacher"
        verb = "needs" if len(taught) == 1 else "need"
        it = "the teacher" if len(taught) <= MANY else "it"
        sentence += f" {who} also {verb} {it}, whose training took {seconds(costs['teacher'])}."
    return sentence


def conclusion(study: Study, comparisons: Sequence[Comparison]) -> str:
    """One paragraph: which method is best, whether significantly so, and what it costs beside the others."""
    return " ".join(
        filter(None, [_ranking(study, comparisons), _gap(study), _costs(study), rationale_conclusion(study)])
    )


def over_sft(comparison: Comparison) -> str:
    """What one method adds over SFT, whichever way it goes; where nothing shows, what would have shown."""
    if comparison.significant:
        return comparison.sentence()
    enough = number(comparison.detectable, decimals(comparison.metric))
    return f"{comparison.sentence()} A true difference of {enough} would have shown four times in five."


def over_sft_summary(study: Study, comparisons: Sequence[Comparison]) -> str | None:
    """How many methods differ from SFT, and how small a difference the tests could have shown."""
    if not comparisons:
        return None
    titles = {verdict: [each.a.title for each in comparisons if each.verdict == verdict] for verdict in VERDICTS}
    parts = [
        f"{listing(titles[verdict])} {'is' if len(titles[verdict]) == 1 else 'are'} significantly {verdict} than SFT"
        for verdict in ("better", "worse")
        if titles[verdict]
    ]
    if not parts:
        parts = [f"No method differs significantly from SFT in {metric_title(study.primary)}"]
    elif titles["open"]:
        few = len(titles["open"]) <= MANY
        others = listing(titles["open"]) if few else f"the {len(titles['open'])} others"
        parts.append(f"{others} {'does' if len(titles['open']) == 1 else 'do'} not differ significantly from it")
    places = decimals(study.primary)
    smallest = sorted(each.detectable for each in comparisons)
    least, most = number(smallest[0], places), number(smallest[-1], places)
    reach = least if least == most else f"{least} to {most}, depending on the method,"
    return (
        f"{'; '.join(parts)}. These tests would have shown a true difference of {reach} four times in five (before "
        "correction)."
    )
