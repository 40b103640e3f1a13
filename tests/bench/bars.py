"""Bars as SVG: an own renderer, since this is all that is needed of one.

A picture has a background of its own, light or dark as its reader's system is, so that it can be read on any page.
"""

from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

_WIDTH: Final = 760
_LEFT: Final = 210
_RIGHT: Final = 90
_BAR: Final = 20
_STEP: Final = 28
_TITLE: Final = 34
_MARGIN: Final = 18
_STYLE: Final = """
text { font: 13px system-ui, sans-serif } .title { font-weight: 600 }
.ground { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e }
.ours { fill: #0969da } .theirs { fill: #afb8c1 }
@media (prefers-color-scheme: dark) {
.ground { fill: #0d1117 } .text { fill: #e6edf3 } .faint { fill: #9198a1 }
.ours { fill: #4493f8 } .theirs { fill: #57606a }
}"""


class Bar(NamedTuple):
    """One bar; `ours` has the colour that stands out."""

    name: str
    value: float
    ours: bool


class Panel(NamedTuple):
    """Bars that have one scale."""

    title: str
    bars: Sequence[Bar]


def svg(panels: Sequence[Panel]) -> str:
    """Draw panels of horizontal bars, one below the other."""
    parts: list[str] = []
    top = _MARGIN
    for panel in panels:
        parts.append(_text(_MARGIN, top + 14, panel.title, "title text"))
        top += _TITLE
        most = max(bar.value for bar in panel.bars)
        for bar in panel.bars:
            length = max(1.0, (_WIDTH - _LEFT - _RIGHT) * bar.value / most)
            middle = top + _BAR - 5
            colour, size = "ours" if bar.ours else "theirs", f'width="{length:.1f}" height="{_BAR}"'
            parts.append(_text(_LEFT - 8, middle, bar.name, "text", "end"))
            parts.append(f'<rect class="{colour}" x="{_LEFT}" y="{top}" {size} rx="2"/>')
            parts.append(_text(_LEFT + length + 8, middle, number(bar.value), "faint"))
            top += _STEP
        top += _MARGIN
    title = escape("; ".join(panel.title for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'role="img" aria-label="{title}">\n<style>{_STYLE}</style>\n'
        f'<rect class="ground" width="{_WIDTH}" height="{top}" rx="6"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def number(value: float) -> str:
    """Write a number with three digits, or all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _text(x: float, y: float, content: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(content)}</text>'
