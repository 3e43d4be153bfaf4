"""What a training shows while it works: step, loss, tokens/s, time left. On stderr; results are elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

PLAIN_EVERY = 10.0
"""Seconds between lines where stderr is no terminal."""


class TrainingView:
    """A live bar on a terminal, a plain line now and then elsewhere; nothing in processes that are not the main one."""

    def __init__(self, *, total: int, shown: bool = True, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, quiet=not shown)
        self._total, self._step, self._begun_with = total, 0, 0
        self._loss: float | None = None
        self._speed = 0.0
        self._started = self._last_plain = time.monotonic()
        live = self._console.is_terminal and not self._console.is_dumb_terminal and shown
        self._bar = Progress(
            TextColumn("[bold]steps"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[told]}"),
            console=self._console,
            transient=True,
            disable=not live,
        )
        self._task = self._bar.add_task("steps", total=total, told="loading the model")
        self._live = live

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if not self._live and kind is None:
            self.note(self._line())

    def begin(self, *, step: int) -> None:
        """The model is loaded and the first step of this session begins."""
        self._step = self._begun_with = step
        self._started = time.monotonic()
        self._bar.update(self._task, completed=step, told="")

    def step(self, step: int) -> None:
        self._step = step
        self._bar.update(self._task, completed=step, told=self._told())
        now = time.monotonic()
        if not self._live and now - self._last_plain > PLAIN_EVERY:
            self._last_plain = now
            self.note(self._line())

    def point(self, *, loss: float, tokens_per_second: float) -> None:
        self._loss, self._speed = loss, tokens_per_second
        self._bar.update(self._task, told=self._told())

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _told(self) -> str:
        loss = "?" if self._loss is None else f"{self._loss:.3f}"
        return f"loss {loss} · {self._speed:.0f} tokens/s · left {self._left()}"

    def _left(self) -> str:
        here = self._step - self._begun_with
        if not here:
            return "?"
        seconds = (time.monotonic() - self._started) / here * (self._total - self._step)
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"

    def _line(self) -> str:
        return f"{self._step}/{self._total} steps · {self._told()}"
