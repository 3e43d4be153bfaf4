"""How a question and a thought are written down for a trainer: as chat messages or plain text, in tags."""

import json
from collections.abc import Set
from typing import Any, Literal

from pydantic import Field, field_validator

from journeys.record import Problem
from journeys.stitching.page import Layout
from journeys.stitching.thought import Thought
from journeys.tree_pairs import TreePairSettings
from settings import Settings


class Tags(Settings):
    """What stands around a thought and around the answer after it."""

    open: str
    close: str
    answer_open: str = ""
    answer_close: str = ""


TAG_STYLES = {
    "think": Tags(open="<think>\n", close="\n</think>\n\n"),
    "begin_of_thought": Tags(  # STILL-2 (methods 2)
        open="<|begin_of_thought|>\n\n",
        close="\n\n<|end_of_thought|>\n\n",
        answer_open="<|begin_of_solution|>\n\n",
        answer_close="\n\n<|end_of_solution|>",
    ),
    "thought_output": Tags(  # Marco-o1, Open-O1 (methods 5, 8)
        open="<Thought>\n", close="\n</Thought>\n\n", answer_open="<Output>\n", answer_close="\n</Output>"
    ),
}


class ExportSettings(Settings):
    """What the exported rows look like and which journeys may become one."""

    format: Literal["conversational", "standard"] = "conversational"
    """Messages with roles, or plain strings (TRL's two dataset formats)."""
    tags: Literal["think", "begin_of_thought", "thought_output"] | Tags = "think"
    """`<think>`, STILL's `<|begin_of_thought|>`, Marco's `<Thought>`, or a pair of your own."""
    layout: Layout = "prose"
    """How the template tells a thought: sentences in paragraphs, or `lines`, each step on its own as the policy wrote
    it: for policies that think a line at a time, such as the embedded one."""
    answer_line: str = "Answer: $answer"
    """What follows the thought."""
    system: str | None = None
    """A system message (format standard: a first paragraph) before every question."""
    allow_hinted: bool = False
    """Accept journeys whose policy was once told that its answer does not hold."""
    max_tries: int = Field(6, ge=1)
    """Failed tries at one place, in a row, up to which a journey is accepted: a step found after more was guessed."""
    max_pairs_per_problem: int = Field(5, ge=0)
    """Outcome pairs; step pairs come on top."""
    tree_pairs: TreePairSettings = TreePairSettings()
    """Which steps of a search (protocol mcts) become pairs, in `ppm` and among the step pairs of `preferences`."""
    shortcuts: Literal["told", "all"] = "told"
    """`told`: the way on which a journey ended, so that both SFT sets ask each question equally often and a comparison
    is fair; `all`: every other right way of its search tree too (O1 Journey's several shortcuts a tree)."""
    max_shortcuts: int = Field(8, ge=1)
    """shortcuts all: rows of one journey at most, the told way first, then the shortest others."""
    license: str = "other"
    """The licence named on the dataset card, as a Hugging Face licence id; questions and models have a say in it."""

    @field_validator("answer_line")
    @classmethod
    def _holds_the_answer(cls, line: str) -> str:
        if "$answer" not in line:
            raise ValueError("the answer line needs the slot $answer")
        return line

    @property
    def around(self) -> Tags:
        return TAG_STYLES[self.tags] if isinstance(self.tags, str) else self.tags


def prompt(problem: Problem, settings: ExportSettings, *, begun: str = "") -> Any:
    """The question as a trainer's prompt; `begun` is what the assistant has already written, to be continued.

    `begun` becomes an unfinished last message (`continue_final_message`), or the end of the text.
    """
    if settings.format == "standard":
        parts = (settings.system, problem.question, begun)
        return "\n\n".join(part for part in parts if part) + ("" if begun else "\n\n")
    messages = [("system", settings.system), ("user", problem.question), ("assistant", begun)]
    return [{"role": role, "content": content} for role, content in messages if content]


def completion(text: str, settings: ExportSettings) -> Any:
    """What the assistant writes, as a trainer's completion."""
    return text if settings.format == "standard" else [{"role": "assistant", "content": text}]


def written_out(thought: Thought, settings: ExportSettings) -> str:
    """A thought in its tags with the answer line; without an answer the text ends where the thought does."""
    tags = settings.around
    told = f"{tags.open}{thought.text}{tags.close}"
    if thought.answer is None:
        return told.rstrip()
    return f"{told}{tags.answer_open}{settings.answer_line.replace('$answer', thought.answer)}{tags.answer_close}"


def spans_json(thought: Thought, settings: ExportSettings, *, standing: Set[int]) -> str:
    """Which characters of the completion come from which turn, as JSON; steps that no longer stand are `gone`."""
    shift = len(settings.around.open)
    return json.dumps(
        [
            {"start": s.start + shift, "end": s.end + shift, "turn": s.turn, "part": s.part}
            | ({"also": s.also} if s.also else {})
            | ({"gone": True} if s.part == "step" and s.turn not in standing else {})
            for s in thought.spans
        ]
    )


def breaks_tags(text: str, settings: ExportSettings) -> bool:
    """Whether a text holds one of the tags itself, so that a reader would see its end too early."""
    tags = settings.around
    marks = (tags.open, tags.close, tags.answer_open, tags.answer_close)
    return any(mark.strip() and mark.strip() in text for mark in marks)
