"""What a run shows while it works: counts, speed, the move just made, time left. On stderr; results are elsewhere."""

import time
from collections import Counter, deque
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

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
        self._started = self._last_plain = time.monotonic()
        self._live = self._console.is_terminal
        self._bar = Progress(
            TextColumn("[bold]journeys"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
            TextColumn("\n  {task.fields[counts]}\n  {task.fields[move]}"),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._bar.add_task("journeys", total=total, completed=done, counts="", move="", left="?")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
        if not self._live:
            self._console.print(self._line(), highlight=False, markup=False, soft_wrap=True)

    def turn(self, journey_id: str, turn: Turn) -> None:
        self._turns += 1
        now = time.monotonic()
        self._tokens.append((now, turn.policy_cost.completion_tokens + turn.critic_cost.completion_tokens))
        while self._tokens and now - self._tokens[0][0] > SPEED_WINDOW:
            self._tokens.popleft()
        if self._live:
            step = " ".join(turn.step.split())[:70]
            move = f"{ARROWS[turn.verdict.move]} [dim]{escape(journey_id)}:[/] {escape(step)}"
            self._bar.update(self._task, counts=escape(self._counts()), move=move, left=self._left())
        elif now - self._last_plain > PLAIN_EVERY:
            self._last_plain = now
            self._console.print(self._line(), highlight=False, markup=False, soft_wrap=True)

    def journey(self, journey: Journey) -> None:
        self._done += 1
        self._outcomes["lucky" if journey.solved and journey.lucky else journey.outcome] += 1
        self._bar.update(self._task, completed=self._done, counts=escape(self._counts()), left=self._left())

    def note(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _counts(self) -> str:
        named = [f"{name} {self._outcomes[name]}" for name in ("solved", "wrong", "lucky", "exhausted")]
        rare = [f"{name} {self._outcomes[name]}" for name in ("unparsed", "engine_error") if self._outcomes[name]]
        return " · ".join([*named, *rare, f"turns {self._turns}", f"{self._speed():.0f} tokens/s"])

    def _speed(self) -> float:
        if not self._tokens:
            return 0.0
        seconds = max(time.monotonic() - max(self._tokens[0][0], self._started), 1.0)
        return sum(count for _, count in self._tokens) / seconds

    def _left(self) -> str:
        """Time left at the pace since this process began."""
        here = self._done - self._begun_with
        if not here:
            return "?"
        seconds = (time.monotonic() - self._started) / here * (self._total - self._done)
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"

    def _line(self) -> str:
        return f"{self._done}/{self._total} journeys · {self._counts()} · left {self._left()}"
