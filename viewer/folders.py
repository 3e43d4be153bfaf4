"""What there is to look at: run folders, evaluations and trainings, found by the files that are in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from settings import UserError

Kind = Literal["run", "evaluation", "training"]
SIGNS: tuple[tuple[str, Kind], ...] = (
    ("journeys.db", "run"),
    ("samples.jsonl", "evaluation"),
    ("training.json", "training"),
)
"""A file in a folder, and what the folder then is."""
USUAL_PLACES = (Path("runs"), Path("outputs"))


@dataclass(frozen=True)
class Source:
    """One folder to look at."""

    key: str
    """Its name in links: the folder's own, with a number where two have the same."""
    kind: Kind
    path: Path

    @property
    def store(self) -> Path:
        return self.path / "journeys.db"

    @property
    def samples(self) -> Path:
        return self.path / "samples.jsonl"

    @property
    def holds_answers(self) -> bool:
        """Whether there are journeys or samples in it to browse."""
        return self.kind != "training"


def find_sources(places: Sequence[Path]) -> list[Source]:
    """Every folder at or right below `places`; without places, below `runs/` and `outputs/`.

    Raises:
        UserError: a place that was named is not there, or nothing in it can be looked at.
    """
    found: dict[Path, Kind] = {}
    for place in places or [usual for usual in USUAL_PLACES if usual.is_dir()]:
        here = dict(_at(place.resolve()))
        if places and not here:
            what = "nothing to look at in it" if place.exists() else "no such folder"
            raise UserError(f"{place}: {what}; name a folder that generate, evaluate or train has written")
        found |= here
    if not found and not places:
        raise UserError("runs/, outputs/: nothing to look at yet; `python run.py generate` makes a run")
    return list(_named(found.items()))


def _at(place: Path) -> Iterable[tuple[Path, Kind]]:
    if kind := _kind(place):
        yield place, kind
    elif place.is_dir():
        for folder in sorted(place.iterdir()):
            if kind := _kind(folder):
                yield folder, kind


def _kind(folder: Path) -> Kind | None:
    return next((kind for sign, kind in SIGNS if (folder / sign).is_file()), None)


def _named(folders: Iterable[tuple[Path, Kind]]) -> Iterable[Source]:
    taken: set[str] = set()
    for path, kind in folders:
        key, number = path.name, 2
        while key in taken:
            key, number = f"{path.name}-{number}", number + 1
        taken.add(key)
        yield Source(key=key, kind=kind, path=path)
