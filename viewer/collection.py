"""The folders being looked at, and the thread that reads their texts into the index while somebody looks."""

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from settings import UserError
from viewer.folders import Source, find_sources
from viewer.index import Replaced, discard, open_index
from viewer.reading import read_texts, take_columns, unread

logger = logging.getLogger(__name__)

SECONDS_A_LOOK = 0.6
"""How long a page waits for new rows of a run; what is not in by then comes with the next look."""
IDLE_SECONDS = 0.5
BREATH = 0.004
"""Between two batches of texts, so that pages are not kept waiting."""


@dataclass(frozen=True)
class Looked:
    """An index that has just been brought up to its source, as far as there was time."""

    db: sqlite3.Connection
    damage: str
    """What stood in the way of some rows, in one line, or ''."""
    unread: int
    """Journeys whose texts are still to be read: searching words does not find them yet."""
    behind: int
    """Journeys that are in the store and not in the index yet."""


class Collection:
    """Finds sources by their key, opens their index, reads on in the background."""

    def __init__(self, places: Sequence[Path]) -> None:
        self.places = list(places)
        self._sources = {source.key: source for source in find_sources(places)}
        self._wanted: set[str] = set()
        self._busy = 0
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._reader: threading.Thread | None = None

    def sources(self) -> list[Source]:
        """Every folder there is now; new ones are found."""
        try:
            self._sources = {source.key: source for source in find_sources(self.places)}
        except UserError:
            self._sources = {}
        return list(self._sources.values())

    def source(self, key: str) -> Source | None:
        if key not in self._sources:
            self.sources()
        return self._sources.get(key)

    @contextmanager
    def look(self, source: Source) -> Iterator[Looked]:
        """The source's index, brought up to date; its texts are read on in the background from now on.

        Raises:
            UserError: the source or the cache folder cannot be opened.
        """
        self._busy += 1
        try:
            for last_try in (False, True):
                with open_index(source) as db:
                    try:
                        damage, behind = take_columns(db, source, seconds=SECONDS_A_LOOK)
                    except Replaced:
                        if last_try:
                            raise UserError(f"{source.path}: changes while it is read; reload") from None
                        discard(source)
                        continue
                    self._want(source)
                    yield Looked(db=db, damage=damage, unread=unread(db), behind=behind)
                    return
        finally:
            self._busy -= 1

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._wake.set()
        if self._reader:
            self._reader.join(timeout=10)

    def _want(self, source: Source) -> None:
        if source.kind == "run" and source.key not in self._wanted:
            self._wanted.add(source.key)
            if self._reader is None:
                self._reader = threading.Thread(target=self._read_on, name="viewer-reader", daemon=True)
                self._reader.start()
        self._wake.set()

    def _read_on(self) -> None:
        while not self._stop.is_set():
            more = [self._read_some(key) for key in sorted(self._wanted)]
            if not any(more):
                self._wake.wait(IDLE_SECONDS)
                self._wake.clear()

    def _read_some(self, key: str) -> bool:
        """Read for a moment. Returns whether there is more."""
        source = self._sources.get(key)
        if source is None:
            return False
        try:
            with open_index(source) as db:
                for _ in range(20):
                    while self._busy and not self._stop.is_set():
                        time.sleep(BREATH)
                    if self._stop.is_set() or not read_texts(db, source):
                        return False
                    time.sleep(BREATH)
            return True
        except (UserError, sqlite3.Error) as error:
            logger.info("texts of %s are not read on: %s", key, error)
            return False
