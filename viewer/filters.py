"""What to show and in which order: a value that a link holds, so that a link reproduces the view."""

from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import urlencode

from pydantic import Field, ValidationError

from settings import Settings, UserError

Sort = Literal[
    "order",
    "turns",
    "-turns",
    "backtracks",
    "-backtracks",
    "tokens",
    "-tokens",
    "thought",
    "-thought",
    "seconds",
    "-seconds",
    "newest",
]
Flag = Literal[
    "lucky",
    "not-lucky",
    "hinted",
    "gate-failed",
    "gate-passed",
    "error-removed",
    "parse-failure",
    "judged",
    "good",
    "bad",
    "damaged",
]
LISTS = ("outcome", "protocol", "persona", "critic", "model", "family", "move", "flag")
RANGES = ("backtracks", "turns", "tokens", "chars")


class Filters(Settings):
    """Conditions that a journey has to meet, all of them; of the values within one list any."""

    outcome: tuple[str, ...] = ()
    """solved, wrong, unparsed, exhausted, engine_error; `growing` for those that have not ended."""
    protocol: tuple[str, ...] = ()
    persona: tuple[str, ...] = ()
    critic: tuple[str, ...] = ()
    """The critic's persona; `none` where nobody judged."""
    model: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    move: tuple[Literal["backtrack", "reflect", "terminate"], ...] = ()
    """Moves that were made at least once, each of them."""
    flag: tuple[Flag, ...] = ()
    backtracks_min: int | None = Field(None, ge=0)
    backtracks_max: int | None = Field(None, ge=0)
    turns_min: int | None = Field(None, ge=0)
    turns_max: int | None = Field(None, ge=0)
    tokens_min: int | None = Field(None, ge=0)
    tokens_max: int | None = Field(None, ge=0)
    chars_min: int | None = Field(None, ge=0)
    """Length of the thought."""
    chars_max: int | None = Field(None, ge=0)
    q: str = Field("", max_length=300)
    """Words anywhere: question, steps, verdicts, thought. "In quotes" they stand together; `wor*` finds its likes."""
    said: str = Field("", max_length=300)
    """Words of a verdict."""
    thought: str = Field("", max_length=300)
    """Words of the thought."""
    problem: str = Field("", max_length=500)
    """One problem's id."""
    sort: Sort = "order"

    @property
    def empty(self) -> bool:
        return self.model_dump(exclude={"sort"}) == Filters().model_dump(exclude={"sort"})

    def without(self, name: str) -> "Filters":
        """The same but for one condition."""
        return self.model_copy(update={name: type(self).model_fields[name].get_default(call_default_factory=True)})

    def link(self, **more: object) -> str:
        """As the query of a link, only what was asked for; `more` is laid over it."""
        kept = self.model_dump(exclude_defaults=True) | {key: value for key, value in more.items() if value}
        return urlencode(kept, doseq=True)

    def link_as(self, prefix: str) -> str:
        """As part of a query in which every name has a prefix."""
        return urlencode(
            {prefix + key: value for key, value in self.model_dump(exclude_defaults=True).items()}, doseq=True
        )

    def __getitem__(self, name: str) -> object:
        """A condition by its name, for templates."""
        return getattr(self, name)


def read_filters(pairs: Iterable[tuple[str, str]], *, prefix: str = "") -> Filters:
    """The filters in a link's query; what is not about filters, or empty, is passed over.

    Raises:
        UserError: a condition that cannot be met by anything, such as letters for a number.
    """
    given: dict[str, object] = {}
    for key, value in pairs:
        name = key.removeprefix(prefix)
        if not key.startswith(prefix) or name not in Filters.model_fields or not value.strip():
            continue
        if name in LISTS:
            known = given.setdefault(name, [])
            assert isinstance(known, list)
            if value not in known:
                known.append(value)
        else:
            given[name] = value.strip()
    try:
        return Filters.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"link: {prefix}{where}: {first['msg'][:120]}; take it out of the address") from None


def words_to_match(text: str) -> str:
    """What a person typed as an FTS5 query: every word, those in quotes together. Empty where there are no words."""
    terms = []
    for place, part in enumerate(text.split('"')):
        quoted = place % 2
        for term in [part] if quoted else part.split():
            if any(mark.isalnum() for mark in term):
                star = "*" if term.endswith("*") and not quoted else ""
                terms.append(f'"{term.rstrip("*") if star else term}"{star}')
    return " AND ".join(terms)


def described(filters: Filters) -> Mapping[str, str]:
    """Each condition that was set, in words, by its field."""
    shown: dict[str, str] = {}
    for name, value in filters.model_dump(exclude_defaults=True, exclude={"sort"}).items():
        plain = name.replace("_min", " at least").replace("_max", " at most")
        shown[name] = f"{plain}: {', '.join(value) if isinstance(value, tuple) else value}"
    return shown
