"""Keys and values of token prefixes seen before, shared between requests: a radix tree over token ids.

On a CPU reading the prompt costs more than writing the answer, and the prompts of a journey are append-only: all share
the persona's text, and each turn repeats the turns before it. Every token is therefore read once and kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

Tensor = Any
"""`[2, layers, heads, tokens, head size]`: keys, then values."""


class Node:
    """A run of tokens that follows its parent's, with its keys and values."""

    __slots__ = ("children", "ids", "kv", "last_used", "parent", "uses")

    def __init__(self, ids: list[int], kv: Tensor, parent: Node | None) -> None:
        self.ids = ids
        self.kv = kv
        self.parent = parent
        self.children: dict[int, Node] = {}
        self.uses = 0
        """How many requests went through it to its end."""
        self.last_used = 0


class PrefixCache:
    """A bounded radix tree; the least recently used leaves go first.

    Args:
        max_tokens: tokens kept in all.
    """

    def __init__(self, *, max_tokens: int) -> None:
        self.root = Node([], None, None)
        self.max_tokens = max_tokens
        self.tokens = 0
        self._clock = 0

    def match(self, ids: Sequence[int]) -> list[Node]:
        """The nodes that together spell the longest known prefix of `ids`; marks them used."""
        self._clock += 1
        path: list[Node] = []
        node, at = self.root, 0
        while at < len(ids) and (child := node.children.get(ids[at])) is not None:
            common = common_length(child.ids, ids, at)
            if common < len(child.ids):
                child = self._split(child, common)
            child.uses += 1
            child.last_used = self._clock
            path.append(child)
            node, at = child, at + common
        return path

    def known(self, ids: Sequence[int]) -> int:
        """How many leading tokens of `ids` are here; changes nothing."""
        node, at = self.root, 0
        while at < len(ids) and (child := node.children.get(ids[at])) is not None:
            common = common_length(child.ids, ids, at)
            at += common
            if common < len(child.ids):
                break
            node = child
        return at

    def insert(self, ids: Sequence[int], kv_of: Callable[[int, int], Tensor]) -> None:
        """Add `ids`; `kv_of(start, stop)` gives a copy of the keys and values of those tokens."""
        path = self.match(ids)
        for node in path:
            node.uses -= 1
        at = sum(len(node.ids) for node in path)
        if at == len(ids):
            return
        parent = path[-1] if path else self.root
        child = Node(list(ids[at:]), kv_of(at, len(ids)), parent)
        child.last_used = self._clock
        parent.children[child.ids[0]] = child
        self.tokens += len(child.ids)
        if self.tokens > self.max_tokens:
            self._evict()

    def _split(self, node: Node, at: int) -> Node:
        """Cut a node in two; returns the upper part, which keeps its place in the tree."""
        upper = Node(node.ids[:at], node.kv[:, :, :, :at].clone(), node.parent)
        upper.uses, upper.last_used = node.uses, node.last_used
        assert node.parent is not None
        node.parent.children[upper.ids[0]] = upper
        node.ids, node.kv, node.parent = node.ids[at:], node.kv[:, :, :, at:].clone(), upper
        upper.children[node.ids[0]] = node
        return upper

    def _evict(self) -> None:
        """Drop old leaves until a tenth is free, so that eviction is rare rather than constant."""
        while self.tokens > 0.9 * self.max_tokens:
            leaves = sorted((node for node in self._nodes() if not node.children), key=lambda node: node.last_used)
            for leaf in leaves[: max(1, len(leaves) // 4)]:
                assert leaf.parent is not None
                del leaf.parent.children[leaf.ids[0]]
                self.tokens -= len(leaf.ids)

    def _nodes(self) -> Iterator[Node]:
        pending = list(self.root.children.values())
        while pending:
            node = pending.pop()
            pending.extend(node.children.values())
            yield node


def common_length(left: Sequence[int], right: Sequence[int], start: int = 0) -> int:
    """How many tokens of `left` stand in `right` from `start` on."""
    length = min(len(left), len(right) - start)
    if left[:length] == right[start : start + length]:
        return length
    return next(i for i in range(length) if left[i] != right[start + i])
