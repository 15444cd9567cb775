"""The colours, dashes and markers of all figures, and their names in the page's style.

Figures are drawn in the colours of the light page. In an HTML report each of them becomes a CSS variable, so that a
dark page has its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

INK, MUTED, RULE = "#22262b", "#5f6670", "#e3e2dc"
HELD_OUT, TRAINING = "#c2410c", "#5f85a8"

# Hex code in a figure -> variable in page.css.
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    HELD_OUT: "--series-1",
    TRAINING: "--training",
    "#1d5b96": "--series-2",
    "#2c7a4b": "--series-3",
    "#7b3fa0": "--series-4",
    "#8a6300": "--series-5",
    "#0f7482": "--series-6",
}


class Look(NamedTuple):
    """How a line is told from the others: in print and without colour by its dashes and its marker."""

    color: str
    dashes: tuple[float, ...] = ()  # lengths of line and gap in points; none is a solid line
    marker: str = ""  # matplotlib's name; "" for none
    width: float = 1.6

    @property
    def variable(self) -> str:
        """The CSS variable of its colour."""
        return VARIABLES[self.color]

    @property
    def drawing(self) -> dict[str, Any]:
        """Keyword arguments for matplotlib's `Axes.plot`."""
        style: Any = (0, self.dashes) if self.dashes else "solid"
        return {
            "color": self.color,
            "linestyle": style,
            "linewidth": self.width,
            "marker": self.marker or None,
            "markersize": 4,
        }


HELD_OUT_LOOK = Look(HELD_OUT, marker="o", width=1.8)
TRAINING_LOOK = Look(TRAINING, width=1.3)

SERIES = (
    Look(HELD_OUT, marker="o"),
    Look("#1d5b96", (5, 2), "s"),
    Look("#2c7a4b", (1.5, 1.5), "^"),
    Look("#7b3fa0", (7, 2, 1.5, 2), "D"),
    Look("#8a6300", (3, 1.5), "v"),
    Look("#0f7482", (7, 1.5, 3, 1.5), "P"),
)


def series_look(index: int) -> Look:
    """The look of the line with this number; after the last, the colours come again with other dashes.

    >>> series_look(6).color == series_look(0).color, series_look(6).dashes == series_look(0).dashes
    (True, False)
    """
    turn, place = divmod(index, len(SERIES))
    return SERIES[place]._replace(dashes=SERIES[(place + turn) % len(SERIES)].dashes)
