"""What a run shows while it works: counts, speed, the move just made, time left. On stderr; results are elsewhere."""

import time
from collections import Counter, deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from journeys.record import Journey, Move, Turn
from journeys.tables import Counts

ARROWS = {
    Move.CONTINUE: "[green]→ continue[/]",
    Move.BACKTRACK: "[yellow]↶ backtrack[/]",
    Move.REFLECT: "[cyan]? reflect[/]",
    Move.TERMINATE: "[bold green]■ terminate[/]",
}
PLAIN_EVERY = 10.0
"""Seconds between lines where stderr is no terminal."""
SPEED_WINDOW = 20.0
"""Seconds over which tokens/s are averaged."""
SPEED_GRAIN = 0.5
"""Seconds whose tokens are kept as one number."""


def printable(text: str) -> str:
    """A text on one line, without what could command a terminal: model text is hostile."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())


class ProgressView:
    """A live bar on a terminal, a plain line now and then elsewhere. A `generation.run.Watcher`."""

    def __init__(self, *, total: int, counts: Counts, console: Console | None = None) -> None:
        done = counts.finished
        self._console = console or Console(stderr=True)
        self._total, self._done, self._begun_with = total, done, done
        self._outcomes = Counter(
            solved=counts.solved - counts.lucky,
            lucky=counts.lucky,
            wrong=counts.wrong,
            unparsed=counts.unparsed,
            exhausted=counts.exhausted,
        )
        self._turns = 0
        self._tokens: deque[tuple[float, int]] = deque()
        self._tokens_in_window = 0
        self._started = self._last_plain = time.monotonic()
        self._bar = Progress(
            TextColumn("[bold]journeys"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            console=self._console,
        )
        self._task = self._bar.add_task("journeys", total=total, completed=done, left="?")
        self._move = Text()
        self._live: Live | None = None
        if self._console.is_terminal and not self._console.is_dumb_terminal:  # TERM=dumb cannot move its cursor
            self._live = Live(get_renderable=self._view, console=self._console, transient=True, refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.refresh()  # a short run may end before the view was ever drawn with its last counts
            self._live.stop()
        else:
            self._console.print(self._line(), highlight=False, markup=False, soft_wrap=True)

    def turn(self, journey_id: str, turn: Turn) -> None:
        self._turns += 1
        now = time.monotonic()
        generated = turn.policy_cost.completion_tokens + turn.critic_cost.completion_tokens
        if not self._tokens or now - self._tokens[-1][0] > SPEED_GRAIN:
            self._tokens.append((now, 0))
        began, before = self._tokens.pop()
        self._tokens.append((began, before + generated))
        self._tokens_in_window += generated
        while now - self._tokens[0][0] > SPEED_WINDOW:
            self._tokens_in_window -= self._tokens.popleft()[1]
        if self._live:
            self._move = Text.assemble(
                Text.from_markup(ARROWS[turn.verdict.move]), (f" {journey_id}: ", "dim"), printable(turn.step)
            )
        elif now - self._last_plain > PLAIN_EVERY:
            self._last_plain = now
            self._console.print(self._line(), highlight=False, markup=False, soft_wrap=True)

    def journey(self, journey: Journey) -> None:
        self._done += 1
        self._outcomes["lucky" if journey.solved and journey.lucky else journey.outcome] += 1
        self._bar.update(self._task, completed=self._done, left=self._left())

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _view(self) -> Group:
        """The bar, and below it a line of counts and a line with the move just made, cut where the terminal ends."""
        lines = (Text("  ").append(self._counts()), Text("  ").append(self._move))
        for line in lines:
            line.truncate(self._console.width, overflow="ellipsis")
        return Group(self._bar, *lines)

    def _counts(self) -> str:
        named = [f"{name} {self._outcomes[name]}" for name in ("solved", "wrong", "lucky", "exhausted")]
        rare = [f"{name} {self._outcomes[name]}" for name in ("unparsed", "engine_error") if self._outcomes[name]]
        return " · ".join([*named, *rare, f"turns {self._turns}", f"{self._speed():.0f} tokens/s"])

    def _speed(self) -> float:
        if not self._tokens:
            return 0.0
        seconds = max(time.monotonic() - max(self._tokens[0][0], self._started), 1.0)
        return self._tokens_in_window / seconds

    def _left(self) -> str:
        """Time left at the pace since this process began."""
        here = self._done - self._begun_with
        if not here:
            return "?"
        seconds = (time.monotonic() - self._started) / here * (self._total - self._done)
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"

    def _line(self) -> str:
        return f"{self._done}/{self._total} journeys · {self._counts()} · left {self._left()}"
