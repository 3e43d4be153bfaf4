"""Watch: a run as it grows, a training's curves, an evaluation's figures with their intervals."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from journeys.database import connect
from settings import UserError, read_yaml
from viewer.charts import Bar, Series, bin_width, curves, histogram, intervals
from viewer.collection import Looked
from viewer.filters import Filters
from viewer.folders import Source
from viewer.pages.browse import questions_of
from viewer.queries import count, extent, listed, means, spread
from viewer.site import Site

LATELY = 20
"""Seconds after the last write within which something is taken to be in progress."""
PANELS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Loss", ("loss",)),
    ("Reward margin", ("rewards/margins",)),
    ("Log-probability", ("logps/chosen", "logps/rejected")),
    ("Reward", ("rewards/chosen", "rewards/rejected")),
    ("Accuracy of the implicit reward", ("rewards/accuracies",)),
    ("Token accuracy", ("mean_token_accuracy",)),
    ("Entropy", ("entropy",)),
    ("Gradient norm", ("grad_norm",)),
    ("Learning rate", ("learning_rate",)),
    ("Tokens a second", ("tokens_per_second",)),
)
SPREADS = {"turns": "Turns", "backtracks": "Backtracks", "tokens": "Tokens", "chars": "Thought, characters"}


def overview(site: Site, request: Request) -> Response:
    source = site.source(request)
    if source.kind == "training":
        return site.page("training.html", source=source, here="overview", **training_context(source))
    with site.collection.look(source) as looked:
        if source.kind == "evaluation":
            return site.page("evaluation.html", source=source, here="overview", **evaluation_context(source, looked))
        return site.page("watch.html", source=source, here="overview", **run_context(source, looked))


def run_context(source: Source, looked: Looked) -> dict[str, Any]:
    """What the page about a run shows."""
    counted = count(looked.db, Filters())
    growing = listed(looked.db, Filters(outcome=("growing",)), limit=40)
    newest = listed(looked.db, Filters(sort="newest"), limit=20)
    newest = [row for row in newest if row["status"] != "growing"][:10]
    wrote = _seconds_ago([source.store, source.store.with_name("journeys.db-wal")])
    planned = _planned(source)
    return {
        "counted": counted,
        "outcomes": counted.facets["outcome"],
        "growing": growing,
        "turns_made": _turns_made(source, [row["id"] for row in growing]),
        "newest": newest,
        "questions": questions_of(source, [*growing, *newest]),
        "averages": means(looked.db, Filters()),
        "planned": planned,
        "wrote": wrote,
        "live": bool(growing) and wrote is not None and wrote < LATELY,
        "plots": run_plots(looked),
        "probed": _probed(source),
        "damage": looked.damage,
        "unread": looked.unread,
        "behind": looked.behind,
    }


def run_plots(looked: Looked) -> list[Markup]:
    """How lengths are spread in a run."""
    filters = Filters()
    plots = []
    for name, title in SPREADS.items():
        reach = extent(looked.db, filters, name)
        if reach is None or reach[0] == reach[1]:
            continue
        width = bin_width(*reach)
        start = reach[0] // width * width
        plots.append(
            histogram(
                [spread(looked.db, filters, name, width=width, start=start)],
                width=width,
                start=start,
                names=["share of journeys"],
                title=title,
            )
        )
    return plots


def _turns_made(source: Source, ids: Sequence[str]) -> dict[str, int]:
    marks = ", ".join("?" * len(ids))
    try:
        with closing(connect(source.store, read_only=True)) as store:
            query = f"SELECT journey_id, COUNT(*) FROM turns WHERE journey_id IN ({marks}) GROUP BY 1"
            return dict(store.execute(query, list(ids)))
    except UserError:
        return {}


def _probed(source: Source) -> dict[str, Any] | None:
    """What `run.py probe` found out about the run's backtracks; None where nobody asked."""
    try:
        found: Any = json.loads((source.path / "probe.json").read_text("utf-8"))["backtracks"]
        return {name: found[name] for name in ("precision", "passed_fails", "recall")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _planned(source: Source) -> int | None:
    """How many journeys the run is to have; None where its recipe does not say."""
    try:
        recipe = read_yaml(source.path / "config.yaml")
        with closing(connect(source.store, read_only=True)) as store:
            (problems,) = store.execute("SELECT COUNT(*) FROM problems").fetchone()
        return int(problems) * int(recipe.get("journeys_per_problem", 1))
    except (UserError, ValueError, TypeError):
        return None


def evaluation_context(source: Source, looked: Looked) -> dict[str, Any]:
    """What the page about an evaluation shows."""
    result = _json(source.path / "evaluation.json")
    counted = count(looked.db, Filters())
    models = result.get("models", [])
    return {
        "result": result,
        "models": models,
        "counted": counted,
        "damage": looked.damage,
        "accuracy": intervals([_bar(model, "accuracy") for model in models], title="Accuracy") if models else "",
        "no_answer": intervals([_bar(model, "no_answer_rate") for model in models], title="No answer")
        if models
        else "",
        "passes": _passes(models),
        "comparisons": result.get("comparisons", []),
        "live": not result and (_seconds_ago([source.samples]) or LATELY) < LATELY,
    }


def _bar(model: Mapping[str, Any], name: str) -> Bar:
    found = model["scores"][name]
    note = f"{found['value']:.1%}, {found['low']:.1%} to {found['high']:.1%} ({found['method']})"
    return Bar(name=str(model["model"]), value=found["value"], low=found["low"], high=found["high"], note=note)


def _passes(models: Sequence[Mapping[str, Any]]) -> Markup:
    """pass@k over k, where more than one sample was drawn."""
    series = []
    for model in models:
        found = sorted(((int(k), each) for k, each in model["scores"]["pass_at"].items()), key=lambda one: one[0])
        if len(found) > 1:
            series.append(
                Series(
                    name=str(model["model"]),
                    points=[(k, each["value"]) for k, each in found],
                    low=[each["low"] for _, each in found],
                    high=[each["high"] for _, each in found],
                )
            )
    return curves(series, title="pass@k", percent=True, x_name="k")


def training_context(source: Source) -> dict[str, Any]:
    """What the page about a training shows."""
    report = _json(source.path / "training.json")
    history = report.get("history") or _history_so_far(source.path)
    plots = []
    for title, keys in PANELS:
        series = [
            Series(name=key, points=[(point["step"], point[key]) for point in history if _is_number(point.get(key))])
            for key in keys
        ]
        series = [one for one in series if one.points]
        if series:
            plots.append(curves(series, title=title, x_name="step"))
    wrote = _seconds_ago([source.path / "training.json", *source.path.glob("checkpoint-*/trainer_state.json")])
    return {
        "report": report,
        "plots": plots,
        "points": len(history),
        "live": not report.get("finished") and wrote is not None,
        "damage": "" if report else f"{source.path / 'training.json'}: cannot be read",
    }


def _history_so_far(folder: Path) -> list[dict[str, Any]]:
    """A training in progress keeps its history in its newest checkpoint."""
    states = sorted(folder.glob("checkpoint-*/trainer_state.json"), key=lambda path: path.stat().st_mtime)
    points = _json(states[-1]).get("log_history", []) if states else []
    return [point for point in points if isinstance(point, dict) and "loss" in point and "step" in point]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and value == value and abs(value) != float("inf")


def _json(path: Path) -> dict[str, Any]:
    """A file's mapping; empty while there is none, or while it cannot be read."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _seconds_ago(files: Sequence[Path]) -> float | None:
    """Since one of the files was last written."""
    times = [path.stat().st_mtime for path in files if path.exists()]
    return max(0.0, time.time() - max(times)) if times else None
