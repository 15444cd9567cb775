"""A figure as SVG for the inside of a page: its colours are CSS variables, and its ids are its own."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from r1_trl.report.lines import Line, thin
from r1_trl.report.metrics import Metric
from r1_trl.report.numbers import NUMBER, SHARE, TOKENS
from r1_trl.report.palette import MUTED, RULE, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

WIDTH, HEIGHT = 352, 196  # points; text stays legible where the figure is as wide as a phone
SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's font
    "svg.hashsalt": "r1-trl",  # the same figure gets the same ids
    "path.simplify": True,
    "axes.autolimit_mode": "round_numbers",  # the axis ends at a tick
    "axes.ymargin": 0,
    "text.parse_math": False,
}
# An axis that begins at 0 ends here at least, or a line at 0 would make one without a height.
_LEAST = {SHARE: 0.01, TOKENS: 1, NUMBER: 0.01}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def draw(lines: Sequence[Line], metric: Metric, prefix: str) -> str:
    """Draws curves over steps.

    Args:
        lines (`Sequence[Line]`): At least one; the first lies on top.
        metric ([`~metrics.Metric`]): For the axis.
        prefix (`str`): Begins every id, since ids are unique in a page.

    Returns:
        `str`: An `<svg>` element, hidden from screen readers: what it shows is told beside it.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
        figure.patch.set_visible(False)
        axes = figure.add_axes((44 / WIDTH, 30 / HEIGHT, 1 - 54 / WIDTH, 1 - 40 / HEIGHT))
        for depth, line in enumerate(lines):
            steps, values = thin(line.steps, line.values)
            marked = {"marker": line.look.marker or "o"} if len(steps) == 1 else {}
            every = max(1, len(steps) // 12)
            style = {**line.look.drawing, "markevery": every, **marked}
            axes.plot(steps, values, zorder=9 - depth, clip_on=False, **style)
        style_axes(axes, metric)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=_NO_METADATA)
    return inline(written.getvalue(), prefix)


def style_axes(axes: Axes, metric: Metric) -> None:
    """Quiet axes: horizontal rules, no frame, few ticks, percent for shares."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter, ScalarFormatter

    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    axes.spines["bottom"].set_linewidth(0.6)
    axes.tick_params(colors=MUTED, labelsize=10.5, length=0, pad=5)
    axes.set_xlabel("step", color=MUTED, fontsize=10.5, loc="right", labelpad=1)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    if metric.whole:
        axes.set_ylim(0, 1)
    elif metric.zero and axes.has_data() and axes.dataLim.y0 >= 0:
        axes.update_datalim([(axes.dataLim.x0, 0), (axes.dataLim.x0, _LEAST[metric.unit])])
        axes.autoscale_view()
    if axes.has_data() and not metric.whole:
        # Both ends at a tick, also where the locator finds other steps for the wider range.
        ticks = axes.yaxis.get_major_locator().tick_values(*axes.get_ylim())
        axes.set_yticks(ticks)
        axes.set_ylim(ticks[0], ticks[-1])
    if axes.has_data() and axes.dataLim.width:
        room = 0.02 * axes.dataLim.width
        axes.set_xlim(axes.dataLim.x0 - room, axes.dataLim.x1 + room)
    if metric.unit == SHARE:
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    elif metric.unit == NUMBER:
        formatter = ScalarFormatter(useOffset=False)
        formatter.set_powerlimits((-5, 6))
        axes.yaxis.set_major_formatter(formatter)


def inline(svg: str, prefix: str) -> str:
    """Makes a file of matplotlib's fit for the inside of a page.

    Args:
        svg (`str`): The file's text.
        prefix (`str`): For the ids that are referred to; the others go.

    >>> inline('<?xml?><svg width="9pt"><path id="a" style="fill: #22262b"/><use xlink:href="#a"/></svg>', "f1")
    '<svg aria-hidden="true"><path id="f1-a" style="fill: var(--ink)"/><use href="#f1-a"/></svg>'
    """
    svg = svg[svg.index("<svg") :].strip().replace("xlink:href", "href")
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would style the whole page
    svg = re.sub(r' (?:xmlns(?::xlink)?|version|width|height)="[^"]*"', "", svg[: (end := svg.index(">"))]) + svg[end:]
    svg = svg.replace("<svg", '<svg aria-hidden="true"', 1)
    used = set(re.findall(r"(?:href=\"|url\()#([\w.-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: f' id="{prefix}-{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r"(href=\"|url\()#", rf"\1#{prefix}-", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    return re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")
