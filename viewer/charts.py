"""Plots as drawings of shapes and texts (SVG), made here: no script, no picture file, in the page's own colours."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 30


@dataclass(frozen=True)
class Series:
    """A named run of points; `low` and `high` are drawn as a band."""

    name: str
    points: Sequence[tuple[float, float]]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Bar:
    """A value with its interval, 0 to 1."""

    name: str
    value: float
    low: float
    high: float
    note: str = ""


def histogram(
    counts: Sequence[Mapping[int, int]], *, width: float, start: float, names: Sequence[str], title: str
) -> Markup:
    """Several distributions over the same bins, each as a share of its own whole."""
    wholes = [sum(each.values()) or 1 for each in counts]
    last = max((bin for each in counts for bin in each), default=0)
    first = min((bin for each in counts for bin in each), default=0)
    bins = last - first + 1
    most = max(
        (number / whole for each, whole in zip(counts, wholes, strict=True) for number in each.values()), default=1.0
    )
    plot = _Plot(x=(start + first * width, start + (last + 1) * width), y=(0.0, most), percent=True)
    shapes = []
    slot = (WIDTH - LEFT - RIGHT) / bins
    for place, (each, whole) in enumerate(zip(counts, wholes, strict=True)):
        for bin, number in sorted(each.items()):
            share = number / whole
            thick = slot * (0.86 if len(counts) == 1 else 0.43)
            x = LEFT + (bin - first) * slot + slot * 0.07 + place * thick
            top = plot.at_y(share)
            low, high = start + bin * width, start + (bin + 1) * width
            span = _number(low) if width == 1 else f"{_number(low)} to {_number(high)}"
            label = f"{names[place]}: {span}: {number} ({share:.1%})"
            shapes.append(
                f'<rect class="s{place}" x="{x:.1f}" y="{top:.1f}" width="{max(1.0, thick):.1f}" '
                f'height="{plot.bottom - top:.1f}"><title>{escape(label)}</title></rect>'
            )
    return plot.drawn(shapes, title=title, names=names)


def curves(series: Sequence[Series], *, title: str, percent: bool = False, x_name: str = "") -> Markup:
    """Lines over a common x, with bands where intervals are known."""
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points] + [y for one in series for y in (*one.low, *one.high)]
    if not xs:
        return Markup("")
    plot = _Plot(x=(min(xs), max(xs)), y=(min(0.0, *ys) if percent else min(ys), max(ys)), percent=percent)
    shapes = []
    for place, one in enumerate(series):
        if one.low and one.high:
            there = [f"{plot.at_x(x):.1f},{plot.at_y(y):.1f}" for (x, _), y in zip(one.points, one.high, strict=True)]
            back = [f"{plot.at_x(x):.1f},{plot.at_y(y):.1f}" for (x, _), y in zip(one.points, one.low, strict=True)]
            shapes.append(f'<polygon class="band s{place}" points="{" ".join(there + back[::-1])}"></polygon>')
        points = " ".join(f"{plot.at_x(x):.1f},{plot.at_y(y):.1f}" for x, y in one.points)
        shapes.append(f'<polyline class="line s{place}" points="{points}"></polyline>')
        if len(one.points) <= 40:
            for x, y in one.points:
                shapes.append(
                    f'<circle class="dot s{place}" cx="{plot.at_x(x):.1f}" cy="{plot.at_y(y):.1f}" r="2.5">'
                    f"<title>{escape(one.name)}: {_number(x)}: {_number(y, percent=percent)}</title></circle>"
                )
    return plot.drawn(shapes, title=title, names=[one.name for one in series], x_name=x_name)


def intervals(bars: Sequence[Bar], *, title: str) -> Markup:
    """Shares with their intervals, one to a row, on a scale that all of them share."""
    row, left = 34, 8
    height = 26 + row * len(bars)
    most = max([bar.high for bar in bars] + [0.05])
    scale = (WIDTH - 2 * left - 60) / most
    shapes = []
    for place, bar in enumerate(bars):
        y = 14 + row * place
        x, low, high = (left + scale * value for value in (bar.value, bar.low, bar.high))
        shapes += [
            f'<text class="name" x="{left}" y="{y}">{escape(bar.name[:60])}</text>',
            f'<line class="track" x1="{left}" x2="{left + scale * most:.1f}" y1="{y + 10}" y2="{y + 10}"></line>',
            f'<line class="whisker s{place}" x1="{low:.1f}" x2="{high:.1f}" y1="{y + 10}" y2="{y + 10}"></line>',
            f'<circle class="dot s{place}" cx="{x:.1f}" cy="{y + 10}" r="4"><title>{escape(bar.note)}</title></circle>',
            f'<text class="value" x="{high + 8:.1f}" y="{y + 14}">{bar.value:.1%}</text>',
        ]
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    return Markup(f"{head}{''.join(shapes)}</svg>")


class _Plot:
    """The frame: scales, grid, ticks and legend."""

    def __init__(self, *, x: tuple[float, float], y: tuple[float, float], percent: bool) -> None:
        self.x = x if x[1] > x[0] else (x[0] - 0.5, x[0] + 0.5)
        spread = y[1] - y[0] or abs(y[1]) or 1.0
        self.y = (y[0] if y[0] >= 0 and percent else y[0] - 0.04 * spread, y[1] + 0.06 * spread)
        if y[0] == 0:
            self.y = (0.0, self.y[1])
        self.percent = percent
        self.bottom = HEIGHT - BOTTOM

    def at_x(self, value: float) -> float:
        return LEFT + (value - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)

    def at_y(self, value: float) -> float:
        return self.bottom - (value - self.y[0]) / (self.y[1] - self.y[0]) * (self.bottom - TOP)

    def drawn(self, shapes: Sequence[str], *, title: str, names: Sequence[str], x_name: str = "") -> Markup:
        grid = []
        for value in _ticks(*self.y, most=4):
            y = self.at_y(value)
            grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"></line>')
            grid.append(
                f'<text class="tick end" x="{LEFT - 6}" y="{y + 4:.1f}">{_number(value, percent=self.percent)}</text>'
            )
        for value in _ticks(*self.x, most=8):
            grid.append(f'<text class="tick mid" x="{self.at_x(value):.1f}" y="{HEIGHT - 10}">{_number(value)}</text>')
        over = f" <small>over {escape(x_name)}</small>" if x_name else ""
        legend = "".join(
            f'<span class="key"><span class="swatch s{place}"></span>{escape(name)}</span>'
            for place, name in enumerate(names)
            if len(names) > 1
        )
        return Markup(
            f'<figure class="plot"><figcaption>{escape(title)}{over}{legend}</figcaption>'
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
            f"{''.join(grid)}{''.join(shapes)}</svg></figure>"
        )


def bin_width(low: float, high: float, *, bins: int = 24) -> float:
    """A round width with which the values fall into about so many bins; at least 1."""
    raw = max(1.0, (high - low + 1) / bins)
    power = 10 ** math.floor(math.log10(raw))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= raw - 1e-9))


def _ticks(low: float, high: float, *, most: int) -> list[float]:
    raw = (high - low) / most
    if raw <= 0:
        return [low]
    power = 10 ** math.floor(math.log10(raw))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= raw * 0.999)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _number(value: float, *, percent: bool = False) -> str:
    if percent:
        return f"{100 * value:.3g}%"
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:.3g}" if value != int(value) else str(int(value))
