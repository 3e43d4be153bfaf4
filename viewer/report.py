"""One HTML file of a run, an evaluation or a training: figures, plots and a sample of journeys, and no network.

Styles and the one script stand in the file; a policy inside it allows these two by their digests and nothing else, so
that what a model wrote is as inert there as in the viewer.
"""

import base64
import hashlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

from settings import UserError
from viewer.collection import Collection, Looked
from viewer.filters import Filters
from viewer.folders import Source, find_sources
from viewer.judgements import Judgements
from viewer.pages.overview import evaluation_context, run_context, training_context
from viewer.queries import listed
from viewer.reading import read_texts
from viewer.samples import sample_at
from viewer.site import Site
from viewer.story import read_story
from viewer.templating import HERE, render

SAMPLED: dict[str, tuple[tuple[str, Filters], ...]] = {
    "run": (
        (
            "Right, after a step that was proven wrong was taken back",
            Filters(outcome=("solved",), flag=("error-removed",)),
        ),
        ("Right, without going back", Filters(outcome=("solved",), backtracks_max=0)),
        ("Wrong in the end", Filters(outcome=("wrong",))),
        ("A budget ran out", Filters(outcome=("exhausted",))),
        ("Right by luck", Filters(flag=("lucky",))),
        ("Right, and the thought failed the gate", Filters(outcome=("solved",), flag=("gate-failed",))),
        ("No answer that could be read", Filters(outcome=("unparsed",))),
    ),
    "evaluation": (
        ("Right", Filters(outcome=("solved",))),
        ("Wrong", Filters(outcome=("wrong",))),
        ("No answer that could be read", Filters(outcome=("unparsed",))),
    ),
}
"""What is sampled, so that a reader sees every way to end and not only the usual one."""
READ_AT_MOST = 20_000
"""Journeys whose texts are read before the sample is drawn; of a larger run the gate's word is known for these."""


def write_report(place: Path, *, out: Path | None = None, journeys: int = 12) -> Path:
    """Write the report of the folder at `place`. Returns the file.

    Raises:
        UserError: there is nothing to report on, or the file cannot be written.
    """
    source = find_sources([place])[0]
    if source.path != place.resolve():
        raise UserError(f"{place}: holds several; name one of them, such as {place / source.key}")
    text = told(source, journeys=journeys)
    file = out or source.path / "report.html"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}; name another file with --out") from None
    return file


def told(source: Source, *, journeys: int) -> str:
    """The report as HTML."""
    collection = Collection([source.path])
    site = Site(collection)
    style, script = _own("style.css"), _own("report.js")
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    context: dict[str, Any] = {"source": source, "style": style, "script": script, "policy": policy, "groups": []}
    if source.kind == "training":
        return render(site.templates, "report.html", context | training_context(source))
    try:
        with collection.look(source) as looked:
            for _ in range(0, READ_AT_MOST, 256):
                if not read_texts(looked.db, source, limit=256):
                    break
            made = run_context if source.kind == "run" else evaluation_context
            context |= made(source, looked)
            context["groups"] = _sample(source, looked, journeys)
    finally:
        collection.close()
    return render(site.templates, "report.html", context)


def _sample(source: Source, looked: Looked, wanted: int) -> list[dict[str, Any]]:
    """Journeys of each way to end, in turn, until there are as many as were asked for."""
    rows = [(title, listed(looked.db, filters, limit=wanted)) for title, filters in SAMPLED[source.kind]]
    chosen: dict[str, list[dict[str, Any]]] = {title: [] for title, _ in rows}
    taken: set[str] = set()
    for place in range(wanted):
        for title, found in rows:
            row = found[place] if place < len(found) else None
            if row and row["id"] not in taken and len(taken) < wanted and (one := _told(source, row)):
                taken.add(row["id"])
                chosen[title].append(one)
    return [{"title": title, "journeys": told} for title, told in chosen.items() if told]


def _told(source: Source, row: dict[str, Any]) -> dict[str, Any] | None:
    """A journey in full; None where it is damaged."""
    try:
        if source.kind == "evaluation":
            return {"row": row, "sample": sample_at(source, row["offset"]), "story": None, "judgements": {}}
        judgements = {str(turn): one for turn, one in Judgements(source.path).of(row["id"]).items()}
        story = read_story(source, row["id"])
        return {"row": row, "story": story, "judgements": judgements} if story else None
    except (UserError, ValueError):
        return None


def _own(name: str) -> Markup:
    return Markup((HERE / "static" / name).read_text("utf-8"))


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
