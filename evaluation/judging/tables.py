"""The figures of judges as tables."""

from collections.abc import Mapping
from typing import Any

from evaluation.tables import Sheet, number, percent, points, probability


def sheets(judging: Mapping[str, Any]) -> list[Sheet]:
    """Every table, in the order in which a person asks."""
    made = [_figures(judging), _solutions(judging)]
    return [*made, _comparisons(judging)] if judging["comparisons"] else made


def _figures(judging: Mapping[str, Any]) -> Sheet:
    scored = any(judge.get("auc") for judge in judging["judges"])
    rows = tuple(
        (
            judge["judge"],
            *(_estimate(judge[figure]) for figure in ("precision", "recall", "f1", "mcc")),
            *([_estimate(judge["auc"]) if judge.get("auc") else "-"] if scored else []),
            " ".join(str(judge["confusion"][cell]) for cell in ("tp", "fp", "fn", "tn")),
        )
        for judge in judging["judges"]
    )
    note = (
        f"{judging['steps']} labelled steps, {judging['wrong']} of them wrong; positive: it is taken back. "
        f"Intervals of {judging['confidence']:.0%}: bootstrap over {judging['questions']} questions."
    )
    heads = ("judge", "precision", "recall", "F1", "MCC", *(["AUC"] if scored else []), "tp fp fn tn")
    return Sheet("Judges", heads, rows, note)


def _solutions(judging: Mapping[str, Any]) -> Sheet:
    rows = tuple(
        (
            judge["judge"],
            *(_estimate(judge[kind]) if judge[kind] else "-" for kind in ("first_error", "right_passed")),
            percent(judge["reflects"]),
            percent(judge["unreadable"]),
            number(judge["prompt_tokens"]),
            number(judge["completion_tokens"], places=1),
            f"{judge['seconds']:.3f}",
        )
        for judge in judging["judges"]
    )
    heads = ("judge", "first error found", "right solutions passed", "reflects", "unreadable")
    note = "Tokens and seconds: means of a step; many are asked at once. Unreadable verdicts count as continue."
    return Sheet("Whole solutions, and cost", (*heads, "tokens read", "written", "seconds"), rows, note)


def _comparisons(judging: Mapping[str, Any]) -> Sheet:
    rows = tuple(
        (f"{one['second']} - {one['first']}", points(one["f1"]), probability(one["f1"]["p"]))
        for one in judging["comparisons"]
    )
    return Sheet("F1 against the first", ("second less first", "F1, points", "p"), rows, "Same steps on both sides.")


def _estimate(one: Mapping[str, float]) -> str:
    return f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"
