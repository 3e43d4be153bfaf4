"""The figures as tables: plain rows, which the terminal and table.md both show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sheet:
    """A titled table of texts; the first column names the row."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    @property
    def markdown(self) -> str:
        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

        rule = "|" + "|".join([" --- ", *(" ---: " for _ in self.columns[1:])]) + "|"
        body = "\n".join([line(self.columns), rule, *map(line, self.rows)])
        return f"## {self.title}\n\n{body}\n" + (f"\n{self.note}\n" if self.note else "")


def sheets(evaluation: Mapping[str, Any]) -> list[Sheet]:
    """Every table of an evaluation, in the order in which a person asks."""
    made = [_figures(evaluation), _reasoning(evaluation)]
    if len(evaluation["problems"]["families"]) > 1:
        made.append(_families(evaluation))
    if evaluation["comparisons"]:
        made.append(_comparisons(evaluation))
    return made


def _figures(evaluation: Mapping[str, Any]) -> Sheet:
    first = evaluation["models"][0]["scores"]
    ks = [k for k in first["pass_at"] if k != "1"]
    voted = [k for k in first.get("maj_at", {}) if k != "1"]
    scorers = [(name, max(by, key=int)) for name, by in first.get("best_of", {}).items()]
    heads = ["model", "accuracy", *(f"pass@{k}" for k in ks), *(f"maj@{k}" for k in voted[-1:])]
    heads += [f"best of {k} ({name})" for name, k in scorers]
    weighted = max(first.get("weighted_at", {}), key=int, default="")
    heads += [f"vote@{weighted} (reward)"] if weighted else []
    heads += ["no answer", "cut off", "tokens", "right", "wrong"]
    rows = []
    for model in evaluation["models"]:
        scores = model["scores"]
        best = scores.get("best_of", {})
        row = [model["model"], interval(scores["accuracy"])]
        row += [percent(scores["pass_at"][k]["value"]) for k in ks]
        row += [percent(scores["maj_at"][k]["value"]) for k in voted[-1:]]
        row += [percent(best[name][k]["value"]) if name in best else "-" for name, k in scorers]
        row += (
            [percent(scores["weighted_at"][weighted]["value"]) if "weighted_at" in scores else "-"] if weighted else []
        )
        row += [percent(scores["no_answer_rate"]["value"]), percent(scores["cut_off_rate"])]
        row += [number(scores["tokens"][kind]) for kind in ("mean", "right", "wrong")]
        rows.append(tuple(row))
    count, samples = evaluation["problems"]["count"], evaluation["samples"]
    level = f"{evaluation['confidence']:.0%}"
    how = first["accuracy"]["method"]
    each = "one sample" if samples == 1 else f"{samples} samples"
    note = f"{count} problems, {each} each; intervals of {level}: {how}."
    if voted:
        note += f" maj@{voted[-1]} over {first['maj_at'][voted[-1]]['over']}."
    for model in evaluation["models"]:
        if less := model["scores"].get("reward_less_majority"):
            note += f" {model['model']}: best of {less['k']} (reward) less maj@{less['k']} {points(less)} points."
    return Sheet("Accuracy", tuple(heads), tuple(rows), note)


def _reasoning(evaluation: Mapping[str, Any]) -> Sheet:
    heads = (
        *("model", "outcome eff.", "process eff.", "solutions", "markers/1000 tok", "doubt"),
        *("lines true", "repaired", "broken", "wrong→right", "right→wrong"),
    )
    rows = []
    for model in evaluation["models"]:
        scores = model["scores"]
        signs = scores["reflection"]
        lines, answers = signs["calculations"], signs["answers"]
        rows.append(
            (
                model["model"],
                percent(scores["outcome_efficiency"]),
                percent(scores["process_efficiency"]),
                number(scores["solutions"], places=2),
                number(signs["markers_per_1000_tokens"], places=1),
                percent(signs["samples_with_doubt"]),
                percent(lines["share_true"]),
                f"{lines['repaired']} of {lines['stated_false']}",
                str(lines["broken"]),
                str(answers["wrong_to_right"]),
                str(answers["right_to_wrong"]),
            )
        )
    note = (
        "Lines true: calculations that were true when first stated. Repaired: false when first stated, true when last "
        "stated; broken: the other way round. wrong→right, right→wrong: the first and the last of several answers."
    )
    return Sheet("Reasoning", heads, tuple(rows), note)


def _families(evaluation: Mapping[str, Any]) -> Sheet:
    families = evaluation["problems"]["families"]
    heads = ("family", "problems", *(model["model"] for model in evaluation["models"]))
    rows = [
        (family, str(count), *(interval(model["families"][family]["accuracy"]) for model in evaluation["models"]))
        for family, count in families.items()
    ]
    return Sheet("Accuracy by family", heads, tuple(rows))


def _comparisons(evaluation: Mapping[str, Any]) -> Sheet:
    heads = ("second less first", "accuracy, points", "p", "p (Holm)", "no answer, points", "test")
    rows = [
        (
            f"{one['second']} - {one['first']}",
            points(one["accuracy"]),
            probability(one["accuracy"]["p"]),
            probability(one["p_holm"]),
            points(one["no_answer_rate"]),
            one["accuracy"]["method"],
        )
        for one in evaluation["comparisons"]
    ]
    return Sheet("Paired comparisons", heads, tuple(rows), "Same problems on both sides; Holm: adjusted for all pairs.")


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def interval(estimate: Mapping[str, Any]) -> str:
    return f"{100 * estimate['value']:.1f}% [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def points(difference: Mapping[str, Any]) -> str:
    return f"{100 * difference['value']:+.1f} [{100 * difference['low']:+.1f}, {100 * difference['high']:+.1f}]"


def number(value: float | None, *, places: int = 0) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def probability(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
