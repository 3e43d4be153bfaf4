"""Browse: every journey of a run that meets the filters, with what each further choice would leave."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from journeys.database import connect
from settings import UserError
from viewer.filters import Filters, described, read_filters
from viewer.folders import Source
from viewer.judgements import Judgements
from viewer.queries import count, listed, means
from viewer.samples import sample_at
from viewer.site import Site

PAGE = 50
SORT_WORDS = {
    "order": "problem order",
    "newest": "newest first",
    "-turns": "most turns",
    "turns": "fewest turns",
    "-backtracks": "most backtracks",
    "-tokens": "most tokens",
    "tokens": "fewest tokens",
    "-thought": "longest thought",
    "thought": "shortest thought",
    "-seconds": "slowest",
}
FLAG_WORDS = {
    "lucky": "right by luck",
    "not-lucky": "not by luck",
    "hinted": "hinted",
    "error-removed": "took back a proven error",
    "parse-failure": "verdict not readable",
    "gate-passed": "gate passed",
    "gate-failed": "gate failed",
    "damaged": "damaged",
}


def browse(site: Site, request: Request) -> Response:
    source = site.source(request, kinds=("run", "evaluation"))
    filters = read_filters(request.query_params.multi_items())
    number = max(1, int(page)) if (page := request.query_params.get("page", "1")).isdecimal() else 1
    judged = Judgements(source.path).judged()
    with site.collection.look(source) as looked:
        counted = count(looked.db, filters, judged=judged)
        number = min(number, max(1, -(-counted.total // PAGE)))
        rows = listed(looked.db, filters, judged=judged, limit=PAGE, offset=(number - 1) * PAGE)
        averages = means(looked.db, filters, judged=judged)
        state: dict[str, Any] = {"damage": looked.damage, "unread": looked.unread, "behind": looked.behind}
    questions = questions_of(source, rows)
    return site.page(
        "browse.html",
        source=source,
        here="browse",
        filters=filters,
        described=described(filters),
        counted=counted,
        rows=rows,
        questions=questions,
        averages=averages,
        judged=judged,
        page=number,
        pages=max(1, -(-counted.total // PAGE)),
        first=(number - 1) * PAGE,
        sort_words=SORT_WORDS,
        flag_words=FLAG_WORDS,
        **state,
    )


def questions_of(source: Source, rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The beginning of each row's question, by problem id."""
    wanted = list({row["problem_id"] for row in rows})
    if source.kind == "evaluation":
        return {row["problem_id"]: _sampled_question(source, row) for row in rows}
    marks = ", ".join("?" * len(wanted))
    query = f"SELECT id, SUBSTR(json_extract(json, '$.question'), 1, 400) FROM problems WHERE id IN ({marks})"
    try:
        with closing(connect(source.store, read_only=True)) as store:
            return dict.fromkeys(wanted, "") | dict(store.execute(query, wanted))
    except Exception as error:
        if isinstance(error, UserError) or "sqlite" in type(error).__module__:
            return dict.fromkeys(wanted, "")
        raise


def _sampled_question(source: Source, row: dict[str, Any]) -> str:
    try:
        return str(json.loads(json.dumps(sample_at(source, row["offset"])["question"])))
    except (OSError, ValueError, KeyError):
        return ""


def filters_of(request: Request) -> Filters:
    return read_filters(request.query_params.multi_items())
