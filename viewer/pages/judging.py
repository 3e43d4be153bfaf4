"""Judge: take a mark or a note in, show all of them, write them out as training rows."""

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from settings import UserError
from viewer.judged_rows import export_judged
from viewer.judgements import Judgement, Judgements
from viewer.queries import row_of
from viewer.site import Site

LARGEST = 32_000
"""Bytes of a judgement with its note."""


def put(site: Site, request: Request, body: bytes) -> Response:
    """Keep one judgement, sent as JSON."""
    source = site.source(request, kinds=("run",))
    try:
        judgement = Judgement.model_validate_json(body[: LARGEST + 1])
    except ValidationError as error:
        return JSONResponse({"error": error.errors()[0]["msg"]}, status_code=422)
    with site.collection.look(source) as looked:
        row = row_of(looked.db, judgement.journey_id)
    if row is None:
        return JSONResponse({"error": "no such journey"}, status_code=404)
    try:
        kept = Judgements(source.path).put(judgement)
    except UserError as error:
        return JSONResponse({"error": str(error)}, status_code=422)
    return JSONResponse(kept.model_dump())


def judgements(site: Site, request: Request) -> Response:
    source = site.source(request, kinds=("run",))
    return site.page(
        "judgements.html", source=source, here="judgements", judgements=Judgements(source.path).all(), written=None
    )


def write(site: Site, request: Request, body: bytes) -> Response:
    """Write the judged rows into the run's exports."""
    source = site.source(request, kinds=("run",))
    written = export_judged(source)
    return site.page(
        "judgements.html",
        source=source,
        here="judgements",
        judgements=Judgements(source.path).all(),
        written={str(path): rows for path, rows in written.items()},
    )
