"""Charts as figures: what a template draws in SVG. No style is inline; widths and heights are attributes."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 100
"""Of a chart's plane; the page stretches it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, or one part of a stacked one."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line and the plane under it, as SVG paths."""

    stroke: str
    plane: str


def ceiling(largest: int) -> int:
    """The number that an axis ends at: round, even, and no smaller than this."""
    size = 1
    while True:
        for step in (2, 4, 6, 10):
            if largest <= step * size:
                return step * size
        size *= 10


def line(values: Sequence[int], top: int) -> Line:
    """A line through these values, the first at the left edge and the last at the right one."""
    step = WIDTH / max(1, len(values) - 1)
    points = [
        (round(i * step, 1), round(HEIGHT - HEIGHT * v / top, 1)) for i, v in enumerate(values)
    ]
    stroke = "M" + "L".join(f"{x} {y}" for x, y in points)
    return Line(stroke, f"{stroke}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z")


def bars(parts: Sequence[Sequence[int]], words: Sequence[str], top: int) -> list[list[Bar]]:
    """Stacked bars: `parts[0]` stands at the bottom. `words` say what each bar is."""
    drawn: list[list[Bar]] = [[] for _ in parts]
    slot = WIDTH / max(1, len(words))
    for index, said in enumerate(words):
        base = float(HEIGHT)
        for place, values in enumerate(parts):
            height = round(HEIGHT * values[index] / top, 1)
            base = round(base - height, 1)
            x, width = round(index * slot + slot * 0.14, 1), round(slot * 0.72, 1)
            drawn[place].append(Bar(x, base, width, height, said))
    return drawn
