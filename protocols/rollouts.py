"""What searches by rollouts share: visits, rewards, UCT, and rollouts of one problem side by side.

They go down under a virtual loss and in lockstep: what is chosen depends on the order of the rollouts and never on
which reply came first.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from journeys.tree import Node


@dataclass
class Rollout:
    """One way down. Its steps carry its virtual loss until it is backed up."""

    number: int
    path: list[int] = field(default_factory=list)

    @property
    def head(self) -> int | None:
        return self.path[-1] if self.path else None


class Rollouts(ABC):
    """The tree while rollouts go through it."""

    def __init__(self, *, c: float, virtual_loss: float) -> None:
        self.c = c
        self.virtual_loss = virtual_loss
        self.nodes: list[Node] = []
        self.children: dict[int | None, list[int]] = {}
        self.under_way: dict[int, int] = {}
        """Rollouts that have gone through a step and not come back."""
        self.rollouts = self.right = 0

    @abstractmethod
    def _descend(self, rollout: Rollout) -> None:
        """Go down as far as the tree goes."""

    @abstractmethod
    def _ended(self, rollout: Rollout) -> bool:
        """Whether a rollout has come to its end."""

    @abstractmethod
    async def _go_on(self, going: Sequence[Rollout]) -> None:
        """Write what the rollouts need to go on."""

    @abstractmethod
    def _reward(self, rollout: Rollout) -> float:
        """What an ended rollout is worth, from -1 to 1."""

    def _prior(self, node: Node) -> float | None:
        """What counts as a step's first reward, if anything."""
        return None

    async def side_by_side(self, count: int) -> None:
        """Some rollouts to their ends: all go down as far as they can, then all leaves are expanded at once."""
        begun = [Rollout(self.rollouts + place) for place in range(count)]
        going = begun
        while going:
            for rollout in going:
                self._descend(rollout)
            going = [rollout for rollout in going if not self._ended(rollout)]
            await self._go_on(going)
        for rollout in begun:
            self._back_up(rollout)

    def enter(self, rollout: Rollout, place: int) -> None:
        rollout.path.append(place)
        self.under_way[place] = self.under_way.get(place, 0) + 1

    def place(self, node: Node) -> int:
        """Put a written step into the tree; its id is its place."""
        placed = node.model_copy(update={"id": len(self.nodes)})
        self.nodes.append(placed)
        self.children.setdefault(placed.parent, []).append(placed.id)
        return placed.id

    def best(self, below: Sequence[int], parent: int | None) -> int:
        """The child that UCT would try; of equals the first written."""
        return max(below, key=lambda place: (self.uct(self.nodes[place], parent), -place))

    def uct(self, node: Node, parent: int | None) -> float:
        """Q + c sqrt(ln N / n); a rollout under way counts as a visit that was lost. Unvisited: first of all."""
        prior, losses = self._prior(node), self.under_way.get(node.id, 0)
        visits = self._visits(node)
        if not visits:
            return math.inf
        value = node.value - self.virtual_loss * losses + (prior or 0.0)
        of_parent = sum(self._visits(self.nodes[place]) for place in self.children[parent])
        return value / visits + self.c * math.sqrt(math.log(max(1, of_parent)) / visits)

    def _visits(self, node: Node) -> int:
        return node.visits + self.under_way.get(node.id, 0) + (self._prior(node) is not None)

    def _back_up(self, rollout: Rollout) -> None:
        reward = self._reward(rollout)
        self.rollouts += 1
        self.right += rollout.head is not None and self.nodes[rollout.head].right
        for place in rollout.path:
            self.under_way[place] -= 1
            node = self.nodes[place]
            self.nodes[place] = node.model_copy(update={"visits": node.visits + 1, "value": node.value + reward})
