"""The page a thought is written on: text as it grows, and where each piece of it comes from."""

from dataclasses import dataclass, field
from typing import Literal

from journeys.record import Record

Layout = Literal["prose", "lines"]
"""Sentences in paragraphs, or a line for each step as the policy wrote it."""
Part = Literal["step", "doubt", "bridge", "reflection", "answer"]


class Span(Record):
    """Where a piece of a thought comes from."""

    start: int
    end: int
    turn: int
    """The turn it belongs to."""
    also: tuple[int, ...] = ()
    """Further turns told by the same words: "I get 22 again" for three tries that gave 22."""
    part: Part


@dataclass
class Page:
    """Text as it grows, with the span of every piece; between two spans there is only whitespace."""

    layout: Layout = "prose"
    pieces: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    length: int = 0
    paragraph: int = 0
    """Characters since the last blank line."""

    @property
    def ends_with_display(self) -> bool:
        return bool(self.pieces) and self.pieces[-1].endswith(("\\]", "$$", "|"))

    def add(self, text: str, turn: int, part: Part, *, gap: str = " ", also: tuple[int, ...] = ()) -> None:
        text = text.strip()
        if not text:
            return
        if self.layout == "lines":
            gap = gap.replace("\n\n", "\n")
        gap = ("\n" if gap == " " and self.ends_with_display else gap) if self.pieces else ""
        self.paragraph = len(text) if "\n\n" in gap else self.paragraph + len(text)
        start = self.length + len(gap)
        self.pieces += (gap, text)
        self.length = start + len(text)
        self.spans.append(Span(start=start, end=self.length, turn=turn, also=also, part=part))

    def shared_with(self, turn: int) -> None:
        """The newest piece tells `turn` too."""
        last = self.spans[-1]
        self.spans[-1] = last.model_copy(update={"also": (*last.also, turn)})
