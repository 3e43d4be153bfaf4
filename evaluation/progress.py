"""What an evaluation shows while it samples: on stderr; results are elsewhere."""

import time
from collections import Counter, deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from evaluation.samples import Sample

PLAIN_EVERY = 10.0
"""Seconds between lines where stderr is no terminal."""
SPEED_WINDOW = 20.0
"""Seconds over which tokens/s are averaged."""


class ProgressView:
    """A live bar on a terminal, a plain line now and then elsewhere. An `evaluation.sampling.Watcher`."""

    def __init__(self, label: str, *, total: int, done: int, console: Console | None = None) -> None:
        self._label = "".join(mark if mark.isprintable() else " " for mark in label)
        self._total, self._done, self._begun_with = total, done, done
        self._console = console or Console(stderr=True)
        self._statuses: Counter[str] = Counter()
        self._tokens: deque[tuple[float, int]] = deque()
        self._tokens_in_window = 0
        self._started = self._last_plain = time.monotonic()
        self._bar = Progress(
            TextColumn("[bold]samples"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=self._console,
        )
        self._task = self._bar.add_task("samples", total=total, completed=done, left="?")
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(get_renderable=self._view, console=self._console, transient=True, refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.refresh()
            self._live.stop()
        else:
            self._print_line()

    def sample(self, sample: Sample) -> None:
        self._done += 1
        self._statuses[sample.status] += 1
        now = time.monotonic()
        self._tokens.append((now, sample.tokens))
        self._tokens_in_window += sample.tokens
        while now - self._tokens[0][0] > SPEED_WINDOW:
            self._tokens_in_window -= self._tokens.popleft()[1]
        self._bar.update(self._task, completed=self._done, left=self._left())
        if not self._live and now - self._last_plain > PLAIN_EVERY:
            self._last_plain = now
            self._print_line()

    def _view(self) -> Group:
        below = Text(f"  {self._label} · {self._counts()}")
        below.truncate(self._console.width, overflow="ellipsis")
        return Group(self._bar, below)

    def _counts(self) -> str:
        """Of the samples drawn by this process."""
        named = " · ".join(f"{status} {self._statuses[status]}" for status in ("right", "wrong", "unparsed"))
        return f"{named} · {self._speed():.0f} tokens/s"

    def _speed(self) -> float:
        if not self._tokens:
            return 0.0
        now = time.monotonic()
        return self._tokens_in_window / max(now - max(now - SPEED_WINDOW, self._started), 1.0)

    def _left(self) -> str:
        """Time left at the pace since this process began."""
        here = self._done - self._begun_with
        if not here:
            return "?"
        seconds = (time.monotonic() - self._started) / here * (self._total - self._done)
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"

    def _print_line(self) -> None:
        line = f"{self._label}: {self._done}/{self._total} samples · {self._counts()} · left {self._left()}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)
