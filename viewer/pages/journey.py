"""Read one journey: its problem, tree, conversation and thought, and what became of it."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from journeys.store import Store
from settings import UserError
from viewer.filters import read_filters
from viewer.folders import Source
from viewer.judgements import Judgements
from viewer.outline import outline
from viewer.queries import place_of, row_of, siblings
from viewer.samples import sample_at
from viewer.site import Missing, Site
from viewer.story import read_story, rows_of

MOST_WAYS, MOST_STEPS = 12, 30
"""Ways through the tree, and the last steps of each, that are shown of the step labels."""


def journey(site: Site, request: Request) -> Response:
    source = site.source(request, kinds=("run", "evaluation"))
    journey_id = request.path_params["id"]
    filters = read_filters(request.query_params.multi_items())
    judgements = Judgements(source.path)
    with site.collection.look(source) as looked:
        row = row_of(looked.db, journey_id)
        if row is None:
            raise Missing(f"{source.key} has no journey {journey_id!r}.")
        place = place_of(looked.db, filters, row["n"], judged=judgements.judged())
        others = [other for other in siblings(looked.db, row["problem_id"]) if other["id"] != journey_id]
    context: dict[str, Any] = {
        "source": source,
        "here": "browse",
        "row": row,
        "place": place,
        "others": others,
        "filters": filters,
        "judgements": {str(turn): one for turn, one in judgements.of(journey_id).items()},
        "damage": "",
    }
    if source.kind == "evaluation":
        return site.page("sample.html", sample=_sample(source, row), **context)
    try:
        story = read_story(source, journey_id)
    except (UserError, ValueError) as error:
        return site.page("damaged.html", status=422, **(context | {"damage": str(error)}))
    if story is None:
        raise Missing(f"{source.key} has no journey {journey_id!r}.")
    return site.page("journey.html", story=story, **context)


def rows(site: Site, request: Request) -> Response:
    """The rows that a journey became: asked for when somebody opens them, since a long journey has many."""
    source = site.source(request, kinds=("run",))
    found = rows_of(source, request.path_params["id"])
    return site.page("rows.html", source=source, rows=found, most_ways=MOST_WAYS, most_steps=MOST_STEPS)


def search(site: Site, request: Request) -> Response:
    """The tree that the journey was walked through."""
    source = site.source(request, kinds=("run",))
    journey_id = request.path_params["id"]
    with Store(source.store, read_only=True) as store:
        tree = store.tree(journey_id)
        draft = store.draft(journey_id) if tree else None
    if tree is None or draft is None:
        raise Missing(f"{source.key} keeps no search tree of a journey {journey_id!r}.")
    unfolded = "all" in request.query_params
    found = outline(tree, draft.turns, unfolded=unfolded)
    return site.page("search.html", source=source, draft=draft, outline=found, unfolded=unfolded, here="browse")


def _sample(source: Source, row: dict[str, Any]) -> dict[str, Any]:
    """A sample with its text in paragraphs."""
    try:
        return sample_at(source, row["offset"])
    except (OSError, ValueError) as error:
        raise UserError(f"{source.samples}: this sample cannot be read ({error}); the file was changed") from None
