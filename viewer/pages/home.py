"""The first page: every folder there is to look at."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from settings import UserError
from viewer.filters import Filters
from viewer.folders import Source
from viewer.queries import count
from viewer.site import Site


def home(site: Site, request: Request) -> Response:
    cards = [_card(site, source) for source in site.collection.sources()]
    return site.page("home.html", cards=cards)


def _card(site: Site, source: Source) -> dict[str, Any]:
    """What a folder comes to, in a line. A damaged one says so."""
    card: dict[str, Any] = {"source": source, "line": "", "outcomes": {}, "total": 0, "damage": ""}
    try:
        if source.kind == "training":
            report = json.loads((source.path / "training.json").read_text("utf-8"))
            card["line"] = (
                f"{report['method'].upper()}, {report['steps']:,} steps" if report.get("finished") else "in progress"
            )
            return card
        with site.collection.look(source) as looked:
            counted = count(looked.db, Filters())
            card |= {"total": counted.total, "damage": looked.damage}
            card["outcomes"] = counted.facets.get("outcome", {})
            what = "journeys" if source.kind == "run" else "samples"
            card["line"] = f"{counted.total + looked.behind:,} {what}"
    except (UserError, OSError, ValueError, KeyError) as error:
        card["damage"] = str(error)
    return card
