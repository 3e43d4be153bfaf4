"""What an evaluation shows while it samples."""

from collections import Counter

from rich.console import Console
from rich.text import Text

from evaluation.samples import Sample
from terminal.live import LiveView, Speed
from terminal.printing import one_line


class ProgressView(LiveView):
    """An `evaluation.sampling.Watcher`; `label` names the model."""

    def __init__(self, label: str, *, total: int, done: int, console: Console | None = None) -> None:
        super().__init__("samples", total=total, done=done, label=one_line(label), console=console)
        self._statuses: Counter[str] = Counter()
        self._speed = Speed()

    def sample(self, sample: Sample) -> None:
        self._statuses[sample.status] += 1
        self._speed.add(sample.tokens)
        self.reach(self.done + 1)

    def counts(self) -> str:
        """Of the samples drawn by this process."""
        named = " · ".join(f"{status} {self._statuses[status]}" for status in ("right", "wrong", "unparsed"))
        return f"{named} · {self._speed.value:.0f} tokens/s"

    def below(self) -> tuple[Text]:
        return (Text(f"{self.label} · {self.counts()}"),)
