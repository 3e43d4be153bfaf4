"""What a training shows while it works: step, loss, tokens/s, time left."""

from rich.console import Console
from rich.text import Text

from terminal.live import LiveView


class TrainingView(LiveView):
    """Nothing is shown in processes that are not the main one."""

    def __init__(self, *, total: int, shown: bool = True, console: Console | None = None) -> None:
        super().__init__("steps", total=total, shown=shown, console=console)
        self._loss: float | None = None
        self._tokens_per_second = 0.0
        self._loaded = False

    def begin(self, *, done: int) -> None:
        """The model is loaded and the first step of this session begins."""
        self._loaded = True
        super().begin(done=done)

    def point(self, *, loss: float, tokens_per_second: float) -> None:
        self._loss, self._tokens_per_second = loss, tokens_per_second

    def counts(self) -> str:
        loss = "?" if self._loss is None else f"{self._loss:.3f}"
        return f"loss {loss} · {self._tokens_per_second:.0f} tokens/s"

    def below(self) -> tuple[Text]:
        return (Text(self.counts() if self._loaded else "loading the model"),)
