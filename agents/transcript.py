"""Each turn of a path rendered once. When the head moves back, the rendering is cut by a slice."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from journeys.record import Turn

T = TypeVar("T")


class Transcript(Generic[T]):
    """The rendered pieces of a path, kept in step with it.

    A memo and no state: a turn's id fixes all its ancestors, so comparing the last ids is enough to find what still
    holds, and a transcript that starts empty (after a resume) ends up the same. The renderer is passed in, not kept: a
    prompt that owned a transcript that owned the prompt would wait for the garbage collector.
    """

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._pieces: list[T] = []

    def of(self, path: Sequence[Turn], render: Callable[[Turn, int], T]) -> list[T]:
        """The pieces of `path`, in order; `render` gets a turn and its place on the path, from 1. Not to be changed."""
        ids, pieces = self._ids, self._pieces
        while ids and (len(ids) > len(path) or ids[-1] != path[len(ids) - 1].id):
            ids.pop()
            pieces.pop()
        for turn in path[len(ids) :]:
            ids.append(turn.id)
            pieces.append(render(turn, len(ids)))
        return pieces
