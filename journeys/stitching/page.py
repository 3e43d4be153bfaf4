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


CODE, END = "```python\n", "\n```"
"""How a block of code begins and ends."""


@dataclass
class Page:
    """Text as it grows, with the span of every piece; between two spans there is only whitespace."""

    layout: Layout = "prose"
    pieces: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    length: int = 0
    paragraph: int = 0
    """Characters since the last blank line."""
    in_code: bool = False
    """Whether the page ends with a block of code, which more code may go on."""

    @property
    def ends_with_display(self) -> bool:
        return bool(self.pieces) and self.pieces[-1].endswith(("\\]", "$$", "|", "```"))

    def add(self, text: str, turn: int, part: Part, *, gap: str = " ", also: tuple[int, ...] = ()) -> None:
        text = text.strip()
        if not text:
            return
        if self.layout == "lines":
            gap = gap.replace("\n\n", "\n")
        gap = (
            ("\n" if gap == " " and (self.ends_with_display or text.startswith("```")) else gap) if self.pieces else ""
        )
        if self.in_code and text.startswith(CODE):  # steps of one program are told as one
            text, gap = text[len(CODE) :], "\n"
            self._take_back(END)
        self.paragraph = len(text) if "\n\n" in gap else self.paragraph + len(text)
        start = self.length + len(gap)
        self.pieces += (gap, text)
        self.length = start + len(text)
        self.spans.append(Span(start=start, end=self.length, turn=turn, also=also, part=part))
        opened = text.rfind("```", 0, -len("```"))
        self.in_code = text.endswith(END) and (text.startswith(CODE, opened) if opened >= 0 else self.in_code)

    def _take_back(self, end: str) -> None:
        """Cut `end` off the newest piece."""
        self.pieces[-1] = self.pieces[-1].removesuffix(end)
        self.length -= len(end)
        self.spans[-1] = self.spans[-1].model_copy(update={"end": self.length})

    def shared_with(self, turn: int) -> None:
        """The newest piece tells `turn` too."""
        last = self.spans[-1]
        self.spans[-1] = last.model_copy(update={"also": (*last.also, turn)})
