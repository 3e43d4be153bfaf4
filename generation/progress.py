"""What a run shows while it works: counts, speed, the move just made, time left."""

from collections import Counter

from rich.console import Console
from rich.text import Text

from journeys.record import Journey, Move, Turn
from journeys.tables import Counts
from terminal.live import LiveView, Speed
from terminal.printing import one_line

ARROWS = {
    Move.CONTINUE: "[green]→ continue[/]",
    Move.BACKTRACK: "[yellow]↶ backtrack[/]",
    Move.REFLECT: "[cyan]? reflect[/]",
    Move.TERMINATE: "[bold green]■ terminate[/]",
}


class ProgressView(LiveView):
    """A `generation.run.Watcher`."""

    def __init__(self, *, total: int, counts: Counts, console: Console | None = None) -> None:
        super().__init__("journeys", total=total, done=counts.finished, console=console)
        self._outcomes = Counter(
            solved=counts.solved - counts.lucky,
            lucky=counts.lucky,
            wrong=counts.wrong,
            unparsed=counts.unparsed,
            exhausted=counts.exhausted,
        )
        self._turns = 0
        self._speed = Speed()
        self._newest: tuple[str, Turn] | None = None

    def turn(self, journey_id: str, turn: Turn) -> None:
        self._turns += 1
        self._speed.add(turn.policy_cost.completion_tokens + turn.critic_cost.completion_tokens)
        self._newest = journey_id, turn
        self.tick()

    def journey(self, journey: Journey) -> None:
        self._outcomes["lucky" if journey.solved and journey.lucky else journey.outcome] += 1
        self.reach(self.done + 1)

    def counts(self) -> str:
        named = [f"{name} {self._outcomes[name]}" for name in ("solved", "wrong", "lucky", "exhausted")]
        rare = [f"{name} {self._outcomes[name]}" for name in ("unparsed", "engine_error") if self._outcomes[name]]
        return " · ".join([*named, *rare, f"turns {self._turns}", f"{self._speed.value:.0f} tokens/s"])

    def below(self) -> tuple[Text, Text]:
        """The counts, and the move just made."""
        if self._newest is None:
            return Text(self.counts()), Text()
        journey_id, turn = self._newest
        arrow = Text.from_markup(ARROWS[turn.verdict.move])
        return Text(self.counts()), Text.assemble(arrow, (f" {journey_id}: ", "dim"), one_line(turn.step))
