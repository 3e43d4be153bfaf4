"""Compare: two runs, or two protocols, personas or models of one, on the problems that both were given."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from viewer.charts import bin_width, histogram
from viewer.collection import Looked
from viewer.comparison import CHANGES
from viewer.comparison import compare as lay_beside
from viewer.filters import Filters, described, read_filters
from viewer.folders import Source
from viewer.pages.browse import questions_of
from viewer.queries import extent, kinds, listed, spread
from viewer.samples import sample_at
from viewer.site import Missing, Site
from viewer.story import Piece, read_story

PAGE = 40
SLICES = ("model", "protocol", "persona", "critic", "family")
RANGE_WORDS = {
    "turns": "Turns",
    "backtracks": "Backtracks",
    "tokens": "Tokens",
    "chars": "Length of the thought, characters",
}
CHANGE_WORDS = {"gained": "wrong → right", "lost": "right → wrong", "kept": "right in both", "missed": "wrong in both"}
ATTEMPTS = 3
"""Attempts at one problem that are laid beside each other."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison as the link names it."""

    letter: str
    source: Source
    filters: Filters
    looked: Looked

    @property
    def name(self) -> str:
        words = ", ".join(words.partition(": ")[2] for words in described(self.filters).values())
        return f"{self.source.key}: {words}" if words else self.source.key

    @property
    def query(self) -> str:
        return f"{self.letter}={self.source.key}&{self.filters.link_as(self.letter + '.')}".rstrip("&")

    @property
    def choices(self) -> dict[str, list[str]]:
        """What a side can be narrowed to: every value of a slice that has several."""
        known = kinds(self.looked.db).values()
        found = {name: sorted({str(kind[name]) for kind in known}) for name in SLICES}
        return {name: values for name, values in found.items() if len(values) > 1}


def compare(site: Site, request: Request) -> Response:
    change = request.query_params.get("change", "")
    change = change if change in CHANGES else ""
    number = max(1, int(page)) if (page := request.query_params.get("page", "1")).isdecimal() else 1
    sources = [source for source in site.collection.sources() if source.holds_answers]
    with ExitStack() as opened:
        sides = _sides(site, request, sources, opened)
        a, b = sides
        found = lay_beside(
            a.looked.db, b.looked.db, (a.filters, b.filters), change=change, limit=PAGE, offset=(number - 1) * PAGE
        )
        plots = _plots(sides)
        questions = questions_of(
            a.source, [{"problem_id": r["problem_id"], "offset": _offset(a, r)} for r in found.rows]
        )
        total = found.changes[change] if change else found.problems
        return site.page(
            "compare.html",
            here="compare",
            sources=sources,
            sides=sides,
            found=found,
            plots=plots,
            change=change,
            change_words=CHANGE_WORDS,
            questions=questions,
            page=number,
            pages=max(1, -(-total // PAGE)),
            query="&".join(side.query for side in sides),
        )


def problem(site: Site, request: Request) -> Response:
    """Two sides' answers to one problem."""
    problem_id = request.query_params.get("problem", "")
    sources = [source for source in site.collection.sources() if source.holds_answers]
    with ExitStack() as opened:
        sides = _sides(site, request, sources, opened)
        columns = []
        for side in sides:
            rows = listed(side.looked.db, side.filters.model_copy(update={"problem": problem_id}), limit=ATTEMPTS)
            columns.append([_answer(side.source, row) for row in rows])
        if not any(columns):
            raise Missing(f"Neither side has a problem {problem_id!r}.")
        query = "&".join(side.query for side in sides)
    question = next(answer["question"] for column in columns for answer in column)
    return site.page(
        "compare_problem.html",
        here="compare",
        sides=sides,
        columns=columns,
        question=question,
        query=query,
        problem_id=problem_id,
    )


def _sides(site: Site, request: Request, sources: list[Source], opened: ExitStack) -> tuple[Side, Side]:
    """Both sides that the link names; left open, the second is another folder of the kind, or another model."""
    by_key = {source.key: source for source in sources}
    pairs = request.query_params.multi_items()
    given = {letter: request.query_params.get(letter, "") for letter in ("a", "b")}
    for key in given.values():
        if key and key not in by_key:
            raise Missing(f"There is no run or evaluation called {key!r} here.")
    if not sources:
        raise Missing("There is nothing to compare yet.")
    first = by_key[given["a"] or sources[0].key]
    others = [source for source in sources if source.kind == first.kind and source.key != first.key]
    second = by_key.get(given["b"]) or (others[0] if others and first.kind == "run" else first)
    filters = {letter: read_filters(pairs, prefix=f"{letter}.") for letter in ("a", "b")}
    looked = [opened.enter_context(site.collection.look(source)) for source in (first, second)]
    if first == second and filters["a"] == filters["b"]:
        models = sorted({str(kind["model"]) for kind in kinds(looked[0].db).values()})
        if len(models) > 1:
            filters = {letter: Filters(model=(model,)) for letter, model in zip("ab", models, strict=False)}
    return (
        Side("a", first, filters["a"], looked[0]),
        Side("b", second, filters["b"], looked[1]),
    )


def _plots(sides: tuple[Side, Side]) -> list[Markup]:
    """How lengths are spread on both sides, over the same bins."""
    plots = []
    for name, title in RANGE_WORDS.items():
        reach = [extent(side.looked.db, side.filters, name) for side in sides]
        known = [one for one in reach if one]
        if len(known) < 2 or (all(low == high for low, high in known) and known[0] == known[1]):
            continue
        low, high = min(one[0] for one in known), max(one[1] for one in known)
        width = bin_width(low, high)
        start = low // width * width
        counts = [spread(side.looked.db, side.filters, name, width=width, start=start) for side in sides]
        plots.append(histogram(counts, width=width, start=start, names=[side.name for side in sides], title=title))
    return plots


def _offset(side: Side, row: dict[str, Any]) -> int | None:
    if side.source.kind != "evaluation":
        return None
    found = side.looked.db.execute("SELECT offset FROM journeys WHERE id = ?", (row["first_id"],)).fetchone()
    return found[0] if found else None


def _answer(source: Source, row: dict[str, Any]) -> dict[str, Any]:
    """One attempt, as far as it is read here: its thought."""
    answer = {"row": row, "source": source, "question": "", "pieces": (), "given": None}
    if source.kind == "evaluation":
        sample = sample_at(source, row["offset"])
        pieces: tuple[Piece, ...] = (Piece(text=str(sample["text"]), turns=(), part="gap"),)
        return answer | {"question": sample["question"], "pieces": pieces, "given": sample["answer"]}
    story = read_story(source, row["id"])
    if story is None:
        return answer
    said = story.journey.verification
    return answer | {
        "question": story.journey.problem.question,
        "pieces": story.pieces,
        "given": said.given if said else None,
    }
