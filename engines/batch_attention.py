"""Attention for a packed batch: rows of different lengths, decoding and reading, over shared prefixes.

One forward pass carries all tokens of a step as a single packed sequence, so the linear layers waste nothing on
padding. Only attention knows about rows. Rows that share a long prefix (their *trunk*) read its keys once together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

NAME = "retrace_packed"


@dataclass(eq=False)
class Trunk:
    """A prefix shared by many rows, held once."""

    ids: list[int]
    kv: Any
    """`[2, layers, heads, tokens, head size]`"""
    rows: int = 0
    last_used: int = 0


@dataclass(frozen=True)
class Joining:
    """A row that reads `count` new tokens in this step."""

    row: int
    offset: int
    """Where its tokens start in the packed sequence."""
    start: int
    """Tokens of it already in the row buffer."""
    count: int
    trunk: Trunk | None


@dataclass
class Step:
    """Who is where in the packed sequence: one token for each of `decoding` rows, then the joining rows'."""

    rows: Any
    """Row of each packed token."""
    places: Any
    """Place of each packed token in its row buffer."""
    positions: Any
    """`[1, tokens]`: place in the whole text, trunk included."""
    decoding: int
    width: int
    """Columns of the row buffer that any decoding row uses."""
    lengths: Any
    """Per decoding row: columns in use, this step's token included."""
    groups: list[tuple[Trunk, Any]]
    """Trunks of decoding rows, with the row numbers that share each."""
    joining: list[Joining]
    biases: dict[int | None, Any] = field(default_factory=dict)

    def bias(self, window: int | None) -> Any:
        """0 where a decoding row may look, minus infinity elsewhere; made once per step and window."""
        import torch

        if window not in self.biases:
            columns = torch.arange(self.width, device=self.lengths.device)[None]
            hidden = columns >= self.lengths[:, None]
            if window is not None:
                hidden |= columns < (self.lengths - window)[:, None]
            bias = torch.zeros(hidden.shape, device=hidden.device).masked_fill_(hidden, -math.inf)
            self.biases[window] = bias[:, None, None]
        return self.biases[window]


class RowBuffers:
    """The keys and values of every row, one slab; passed to the model where it expects a cache."""

    is_compileable = False

    def __init__(self, *, layers: int, heads: int, head_size: int, dtype: Any, device: Any) -> None:
        self.shape = (2, layers, 0, heads, 0, head_size)
        self.dtype = dtype
        self.device = device
        self.kv: Any = None
        self.step: Step | None = None

    def token_bytes(self) -> int:
        """Bytes of one token of one row."""
        _, layers, _, heads, _, size = self.shape
        return 2 * layers * heads * size * int(self.dtype.itemsize)

    def reserve(self, rows: int, tokens: int) -> None:
        """Make room, keeping what is there."""
        import torch

        two, layers, old_rows, heads, old_tokens, size = self.shape
        if rows <= old_rows and tokens <= old_tokens:
            return
        self.shape = (two, layers, max(rows, old_rows), heads, max(tokens, old_tokens), size)
        grown = torch.zeros(self.shape, dtype=self.dtype, device=self.device)
        if self.kv is not None:
            grown[:, :, :old_rows, :, :old_tokens] = self.kv
        self.kv = grown

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    def update(self, keys: Any, values: Any, layer_idx: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Called by each attention layer: store the step's tokens, hand back the layer's slab."""
        step = self.step
        assert step is not None
        slab = self.kv[:, layer_idx]
        slab[0][step.rows, :, step.places] = keys[0].transpose(0, 1)
        slab[1][step.rows, :, step.places] = values[0].transpose(0, 1)
        return slab[0], slab[1]


def attend(
    module: Any, query: Any, keys: Any, values: Any, attention_mask: Any = None, *, packed: Step, **options: Any
) -> tuple[Any, None]:
    """The attention that is registered with transformers under `NAME`; `query` is `[1, heads, tokens, size]`."""
    import torch

    if options.get("softcap") is not None or options.get("s_aux") is not None:
        raise NotImplementedError("soft-capped or sink attention")
    window = options.get("sliding_window")
    scaling = options.get("scaling") or query.shape[-1] ** -0.5
    _, heads, tokens, size = query.shape
    shared = keys.shape[1]
    query = query[0].transpose(0, 1)
    out = torch.empty((tokens, heads, values.shape[-1]), dtype=query.dtype, device=query.device)
    if (b := packed.decoding) > 0:
        grouped = (query[:b] * scaling).view(b, shared, heads // shared, size)
        k, v = keys[:b, :, : packed.width], values[:b, :, : packed.width]
        out[:b] = _decode(grouped, k, v, packed, window, module.layer_idx).reshape(b, heads, -1)
    for join in packed.joining:
        part = slice(join.offset, join.offset + join.count)
        end = join.start + join.count
        k, v = keys[join.row, :, :end], values[join.row, :, :end]
        if join.trunk is not None:
            trunk = join.trunk.kv[:, module.layer_idx]
            k, v = torch.cat([trunk[0], k], 1), torch.cat([trunk[1], v], 1)
        out[part] = _prefill(query[part], k, v, scaling, window)
    return out[None], None


def _decode(query: Any, keys: Any, values: Any, step: Step, window: int | None, layer: int) -> Any:
    """One token a row: softmax over the row's own keys and its trunk's, computed apart and merged."""
    scores = (query @ keys.transpose(-1, -2)).float() + step.bias(window)
    if not step.groups:
        return scores.softmax(-1).to(query.dtype) @ values
    peak = scores.amax(-1, keepdim=True)
    weights = (scores - peak).exp_()
    total = weights.sum(-1, keepdim=True)
    mixed = (weights.to(query.dtype) @ values).float()
    _, heads, group, size = query.shape
    for trunk, rows in step.groups:
        k, v = trunk.kv[0, layer], trunk.kv[1, layer]
        asked = query[rows].transpose(0, 1).reshape(heads, -1, size)
        above = (asked @ k.transpose(-1, -2)).float()
        high = above.amax(-1, keepdim=True)
        above = (above - high).exp_()
        mass = _by_row(above.sum(-1, keepdim=True), heads, group)
        found = _by_row((above.to(query.dtype) @ v).float(), heads, group)
        high = _by_row(high, heads, group)
        top = high.maximum(peak[rows])
        here, there = (peak[rows] - top).exp_(), (high - top).exp_()
        mixed[rows] = mixed[rows] * here + found * there
        total[rows] = total[rows] * here + mass * there
    return (mixed / total).to(query.dtype)


def _by_row(value: Any, heads: int, group: int) -> Any:
    """`[heads, rows * group, x]` as `[rows, heads, group, x]`."""
    return value.view(heads, -1, group, value.shape[-1]).transpose(0, 1)


def _prefill(query: Any, keys: Any, values: Any, scaling: float, window: int | None) -> Any:
    """The last `len(query)` tokens of one row over all of it: `[tokens, heads, size]` over `[shared, all, size]`."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    count, heads, size = query.shape
    shared, total, _ = keys.shape
    group = heads // shared
    own = torch.arange(total - count, total, device=query.device)[:, None]
    columns = torch.arange(total, device=query.device)[None]
    allowed = columns <= own
    if window is not None:
        allowed &= columns > own - window
    # Query heads of one key head are laid one after the other, so keys need not be repeated for them.
    grouped = query.view(count, shared, group, size).permute(1, 2, 0, 3).reshape(1, shared, group * count, size)
    mixed = scaled_dot_product_attention(
        grouped, keys[None], values[None], attn_mask=allowed.repeat(group, 1)[None, None], scale=scaling
    )
    return mixed.view(shared, group, count, -1).permute(2, 0, 1, 3).reshape(count, heads, -1)
