"""What long work shows while it goes on: how much is done, how fast, what is left. On stderr; results are elsewhere."""

import time
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

PLAIN_EVERY = 10.0
"""Seconds between lines where stderr is no terminal."""
SPEED_WINDOW = 20.0
"""Seconds over which tokens/s are averaged."""
SPEED_GRAIN = 0.5
"""Seconds whose tokens are kept as one number."""


class LiveView:
    """A bar with lines below it on a terminal, a plain line now and then elsewhere. Subclasses say what is counted.

    Args:
        noun: what is counted, in the plural.
        total, done: of all sessions; time left is told from the pace of this one.
        label: what the plain lines begin with.
        shown: False shows nothing: for processes that are not the main one.
    """

    def __init__(
        self,
        noun: str,
        *,
        total: int,
        done: int = 0,
        label: str = "",
        console: Console | None = None,
        shown: bool = True,
    ) -> None:
        self.console = console or Console(stderr=True, quiet=not shown)
        self.total, self.done = total, done
        self.label = label
        self._noun = noun
        self._begun_with = done
        self._started = self._last_plain = time.monotonic()
        self._bar = Progress(
            TextColumn(f"[bold]{noun}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=self.console,
        )
        self._task = self._bar.add_task(noun, total=total, completed=done, left="?")
        self._shown = shown
        self._live: Live | None = None

    def counts(self) -> str:
        """What there is to say besides how much is done, in one line."""
        raise NotImplementedError

    def below(self) -> Sequence[Text]:
        """The lines below the bar."""
        return (Text(self.counts()),)

    def __enter__(self) -> Self:
        if (
            self.console.is_terminal and not self.console.is_dumb_terminal and self._shown
        ):  # `dumb` has no cursor to move
            self._live = Live(get_renderable=self._view, console=self.console, transient=True, refresh_per_second=8)
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.refresh()  # short work may end before the view was ever drawn with its last counts
            self._live.stop()
        elif kind is None or self.done > self._begun_with:
            self.note(self._line())

    def begin(self, *, done: int) -> None:
        """What came before, such as loading, is over; the pace is counted from here."""
        self.done = self._begun_with = done
        self._started = time.monotonic()
        self._bar.update(self._task, completed=done)

    def reach(self, done: int) -> None:
        """So much is done."""
        self.done = done
        self._bar.update(self._task, completed=done, left=self._left())
        self.tick()

    def tick(self) -> None:
        """Something happened; where there is no terminal, perhaps it is time for a line."""
        now = time.monotonic()
        if not self._live and now - self._last_plain > PLAIN_EVERY:
            self._last_plain = now
            self.note(self._line())

    def note(self, text: str) -> None:
        """A line above the bar."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _view(self) -> Group:
        """The bar and what is below it, cut where the terminal ends."""
        lines = [Text("  ").append(line) for line in self.below()]
        for line in lines:
            line.truncate(self.console.width, overflow="ellipsis")
        return Group(self._bar, *lines)

    def _left(self) -> str:
        """Time left at the pace since this session began."""
        here = self.done - self._begun_with
        if not here:
            return "?"
        seconds = (time.monotonic() - self._started) / here * (self.total - self.done)
        return "{}:{:02}".format(*divmod(round(seconds), 60))

    def _line(self) -> str:
        head = f"{self.label}: " if self.label else ""
        return f"{head}{self.done}/{self.total} {self._noun} · {self.counts()} · left {self._left()}"


class Speed:
    """Tokens a second over the last `SPEED_WINDOW` seconds."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._grains: deque[tuple[float, int]] = deque()
        self._sum = 0

    def add(self, tokens: int) -> None:
        now = time.monotonic()
        if not self._grains or now - self._grains[-1][0] > SPEED_GRAIN:
            self._grains.append((now, 0))
        began, before = self._grains.pop()
        self._grains.append((began, before + tokens))
        self._sum += tokens
        while now - self._grains[0][0] > SPEED_WINDOW:
            self._sum -= self._grains.popleft()[1]

    @property
    def value(self) -> float:
        return self._sum / max(1.0, min(SPEED_WINDOW, time.monotonic() - self._began))
