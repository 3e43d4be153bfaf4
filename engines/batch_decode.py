"""Continuous batching for one transformers model: requests join and leave between two tokens.

Each `step` gives every running request its next token and reads the prompts of those that join, in one forward pass.
What a prompt shares with anything read before is copied from the prefix cache, or, where many rows share it, kept once
and attended to together. Single-threaded and knows no asyncio: the engine owns the thread.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

from engines.batch_attention import Joining, RowBuffers, Step, Trunk
from engines.batch_row import Endings, Request, Row
from engines.draw import draw, token_logprobs
from engines.prefix_cache import PrefixCache, common_length

JOIN_TOKENS = 1024
"""New prompt tokens read in one step, at most; the running rows wait for them."""
WORTH_WAITING = 48
"""A request waits a step if another one, joining now, reads at least this many tokens that it needs too."""
TRUNK_USES, TRUNK_TOKENS, MAX_TRUNKS = 6, 64, 4
"""A prefix met this often and this long is kept once for all its rows; more than a few trunks would split the batch."""


class Batch:
    """The running batch.

    Args:
        model: a causal language model opened with `attn_implementation=batch_attention.NAME`.
        tokenizer: its tokenizer.
        max_rows: requests decoded together.
        row_bytes, cached_bytes: memory for running rows and for the prefix cache.
    """

    def __init__(self, model: Any, tokenizer: Any, *, max_rows: int, row_bytes: int, cached_bytes: int) -> None:
        config = model.config.get_text_config()
        heads = config.num_attention_heads
        self.model = model
        self.tokenizer = tokenizer
        self.max_rows = max_rows
        self.row_bytes = row_bytes
        self.buffers = RowBuffers(
            layers=config.num_hidden_layers,
            heads=getattr(config, "num_key_value_heads", None) or heads,
            head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
            dtype=model.dtype,
            device=model.device,
        )
        self.prefixes = PrefixCache(max_tokens=cached_bytes // self.buffers.token_bytes())
        self.windowed = bool(getattr(config, "sliding_window", None))
        self.endings = Endings(model, tokenizer)
        self.waiting: deque[Request] = deque()
        self.rows: list[Row] = []
        self.trunks: list[Trunk] = []
        self.prompt_tokens_read = 0
        self._clock = 0

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.rows)

    def add(self, request: Request) -> None:
        self.waiting.append(request)

    def step(self) -> None:
        """One more token for every running request; finished ones are told and leave."""
        self._clock += 1
        for number in reversed(range(len(self.rows))):
            if self.rows[number].request.cancelled:
                self._remove(number)
        decoding = len(self.rows)
        self._admit()
        if not self.rows:
            return
        logits = self._forward(decoding)
        self._mask(logits)
        tokens = draw(logits, [row.request.sampling for row in self.rows], [row.random for row in self.rows])
        for number in range(decoding, len(self.rows)):  # a prompt read now serves the siblings that wait for it
            self._remember(number)
        for number in reversed(range(len(self.rows))):
            row = self.rows[number]
            if row.request.logprobs:
                row.logprobs.append(token_logprobs(logits[number], tokens[number], self.tokenizer))
            if (finished := self.endings.push(row, tokens[number])) is not None:
                self._remember(number)
                self._remove(number)
                row.request.done(finished)

    # Joining

    def _admit(self) -> None:
        """Let waiting requests in, in order, while there is room and their prompts do not hold up the rest."""
        joining: list[Row] = []
        postponed: list[Request] = []
        fresh = 0
        while self.waiting and len(self.rows) < self.max_rows:
            request = self.waiting.popleft()
            if request.cancelled:
                continue
            known = min(self.prefixes.known(request.ids), len(request.ids) - 1)
            if any(common_length(row.request.ids, request.ids) >= known + WORTH_WAITING for row in joining):
                postponed.append(request)
                continue
            fresh += len(request.ids) - known
            if (joining and fresh > JOIN_TOKENS) or not self._fits(len(request.ids)):
                self.waiting.appendleft(request)
                break
            row = Row(request, random.Random(request.seed))
            self.rows.append(row)
            joining.append(row)
            self._fetch(len(self.rows) - 1)
        self.waiting.extendleft(reversed(postponed))

    def _fits(self, tokens: int) -> bool:
        longest = max([tokens, *(row.length for row in self.rows)])
        return not self.rows or (len(self.rows) + 1) * longest * self.buffers.token_bytes() <= self.row_bytes

    def _fetch(self, number: int) -> None:
        """Give a joining row what is known of its prompt: a trunk to look at, and copied keys and values."""
        row = self.rows[number]
        usable = len(row.request.ids) - 1  # the last token is always read: its logits choose the first new one
        path = self.prefixes.match(row.request.ids)
        if not self.windowed:
            row.trunk = self._trunk(row.request.ids, path)
        if row.trunk is not None:
            row.trunk.rows += 1
            row.trunk.last_used = self._clock
            row.base = len(row.trunk.ids)
        known = max(min(sum(len(node.ids) for node in path), usable), row.base)
        self._reserve(known - row.base + 1)
        at = 0
        for node in path:
            begin, end = max(row.base, at), min(known, at + len(node.ids))
            if begin < end:
                target = self.buffers.kv[:, :, number, :, begin - row.base : end - row.base]
                target.copy_(node.kv[:, :, :, begin - at : end - at])
            at += len(node.ids)
        row.length = known - row.base
        row.cached = known

    def _trunk(self, ids: list[int], path: list[Any]) -> Trunk | None:
        """The longest trunk these ids may lean on; made when a prefix has become popular."""
        import torch

        leaning = [trunk for trunk in self.trunks if len(trunk.ids) < len(ids) and trunk.ids == ids[: len(trunk.ids)]]
        best = max(leaning, key=lambda trunk: len(trunk.ids), default=None)
        depth, popular = 0, 0
        for node in path:
            depth += len(node.ids)
            if node.uses >= TRUNK_USES and depth < len(ids):
                popular = depth
        if popular < (len(best.ids) if best else 0) + TRUNK_TOKENS:
            return best
        if len(self.trunks) == MAX_TRUNKS:
            idle = [trunk for trunk in self.trunks if not trunk.rows and self._clock - trunk.last_used > 50]
            if not idle:
                return best
            self.trunks.remove(min(idle, key=lambda trunk: trunk.last_used))
        parts = []
        depth = 0
        for node in path:
            if depth < popular:
                parts.append(node.kv)
                depth += len(node.ids)
        made = Trunk(ids[:popular], torch.cat(parts, 3))
        self.trunks.append(made)
        return made

    def _reserve(self, tokens: int) -> None:
        """Room for every row and `tokens` in each, in round sizes so that growth is rare."""
        expected = len(self.rows) + len(self.waiting)
        rows = min(self.max_rows, 1 << (expected - 1).bit_length())
        self.buffers.reserve(rows, -(-tokens // 256) * 256)

    # One forward pass

    def _forward(self, decoding: int) -> Any:
        """Logits (float32) of each row's last token."""
        import torch

        device = self.model.device
        self._reserve(max(len(row.ids) - row.base for row in self.rows))
        ids: list[int] = []
        rows: list[int] = []
        places: list[int] = []
        positions: list[int] = []
        last: list[int] = []
        joins: list[Joining] = []
        for number, row in enumerate(self.rows):
            fresh = [row.out[-1]] if number < decoding else row.request.ids[row.base + row.length :]
            if number >= decoding:
                joins.append(Joining(number, len(ids), row.length, len(fresh), row.trunk))
                self.prompt_tokens_read += len(fresh)
            ids += fresh
            rows += [number] * len(fresh)
            places += range(row.length, row.length + len(fresh))
            positions += range(row.base + row.length, row.base + row.length + len(fresh))
            row.length += len(fresh)
            last.append(len(ids) - 1)

        def tensor(values: list[int]) -> Any:
            return torch.tensor(values, device=device)

        lengths = [row.length for row in self.rows[:decoding]]
        self.buffers.step = packed = Step(
            rows=tensor(rows),
            places=tensor(places),
            positions=tensor(positions)[None],
            decoding=decoding,
            width=max(lengths, default=0),
            lengths=tensor(lengths),
            groups=[
                (trunk, tensor(members))
                for trunk in self.trunks
                if (members := [n for n, row in enumerate(self.rows[:decoding]) if row.trunk is trunk])
            ],
            joining=joins,
        )
        output = self.model(
            input_ids=tensor(ids)[None],
            position_ids=packed.positions,
            past_key_values=self.buffers,
            use_cache=True,
            logits_to_keep=tensor(last),
            packed=packed,
        )
        return output.logits[0].float()

    def _mask(self, logits: Any) -> None:
        """Forbid what the grammar of a row does not allow next."""
        held = [number for number, row in enumerate(self.rows) if row.request.grammar is not None]
        if not held:
            return
        import xgrammar

        bitmask = xgrammar.allocate_token_bitmask(len(self.rows), logits.shape[-1])
        for number in held:
            self.rows[number].request.grammar.fill_next_token_bitmask(bitmask, number)
        xgrammar.apply_token_bitmask_inplace(logits, bitmask.to(logits.device), indices=held)

    # Leaving

    def _remember(self, number: int) -> None:
        """Keep the row's keys and values for requests that begin alike."""
        import torch

        row = self.rows[number]

        def kv_of(start: int, stop: int) -> Any:
            own = self.buffers.kv[:, :, number, :, max(start - row.base, 0) : stop - row.base]
            if start >= row.base or row.trunk is None:
                return own.clone()
            return torch.cat([row.trunk.kv[:, :, :, start:], own], 3)

        self.prefixes.insert(row.ids[: row.base + row.length], kv_of)

    def _remove(self, number: int) -> None:
        """Take a row out; the last row moves into the gap so that decoding rows stay side by side."""
        row, moved = self.rows[number], self.rows[-1]
        if row.trunk is not None:
            row.trunk.rows -= 1
        if moved is not row:
            self.buffers.kv[:, :, number, :, : moved.length] = self.buffers.kv[
                :, :, len(self.rows) - 1, :, : moved.length
            ]
            self.rows[number] = moved
        self.rows.pop()

    def drop_all(self) -> list[Request]:
        """Forget everything that runs or waits, and return it; used when the model itself failed."""
        dropped = [*(row.request for row in self.rows), *self.waiting]
        self.rows.clear()
        self.waiting.clear()
        for trunk in self.trunks:
            trunk.rows = 0
        return dropped
