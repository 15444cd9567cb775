"""The curves of a figure: read from logs, thinned, and told in words and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1_trl.report.metrics import Metric
from r1_trl.report.numbers import format_value, is_number
from r1_trl.report.palette import HELD_OUT_LOOK, TRAINING_LOOK, Look

DRAWN = 500  # points of a line
ROWS = 20  # of a table of numbers at most


@dataclass(frozen=True)
class Line:
    """One curve of a figure.

    Args:
        label (`str`): Its name in the legend.
        steps (`list[int]`): In their order.
        values (`list[float]`): One for each step, finite.
        look ([`~palette.Look`]): How it is drawn.
        unit (`str`): As of [`~metrics.Metric`].
    """

    label: str
    steps: list[int]
    values: list[float]
    look: Look
    unit: str

    def format(self, value: float) -> str:
        """One of its values, for a reader."""
        return format_value(value, self.unit)

    def describe(self) -> str:
        """First, last, lowest and highest value, in words.

        >>> Line("held-out", [0, 10], [0.5, 0.75], HELD_OUT_LOOK, "share").describe()
        'held-out: first 50.0% at step 0, last 75.0% at step 10, lowest 50.0%, highest 75.0%'
        """
        first, last, low, high = map(
            self.format, (self.values[0], self.values[-1], min(self.values), max(self.values))
        )
        ends = f"first {first} at step {self.steps[0]}, last {last} at step {self.steps[-1]}"
        return f"{self.label}: {ends}, lowest {low}, highest {high}"


def curve(log_history: Sequence[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Steps and values of one metric, where it was logged. A step that was logged twice counts as it was last.

    >>> curve([{"step": 1, "reward": 0.5}, {"step": 2, "kl": 0.1}], "reward")
    ([1], [0.5])
    """
    points = {log["step"]: log[key] for log in log_history if key in log and "step" in log and is_number(log[key])}
    return sorted(points), [points[step] for step in sorted(points)]


def metric_curve(
    log_history: Sequence[Mapping[str, Any]], metric: Metric, held_out: bool
) -> tuple[list[int], list[float]]:
    """Steps and values of a metric under the first of its names that the run has logged.

    Args:
        log_history (`Sequence[Mapping]`): Logs of a trainer.
        metric ([`~metrics.Metric`]): What to look for.
        held_out (`bool`): On held-out questions, rather than while training.

    >>> metric = Metric("pass@1", ("pass@1", "rewards/accuracy_reward/mean"))
    >>> metric_curve([{"step": 5, "eval_rewards/accuracy_reward/mean": 0.5}], metric, held_out=True)
    ([5], [0.5])
    """
    for key in metric.keys if metric.held_out or not held_out else ():
        steps, values = curve(log_history, f"eval_{key}" if held_out else key)
        if steps:
            return steps, values
    return [], []


def metric_lines(log_history: Sequence[Mapping[str, Any]], metric: Metric) -> list[Line]:
    """What was logged of a metric while training and on held-out questions, the latter first."""
    lines = []
    for label, look, held_out in (("held-out", HELD_OUT_LOOK, True), ("training", TRAINING_LOOK, False)):
        steps, values = metric_curve(log_history, metric, held_out)
        if steps:
            lines.append(Line(label, steps, values, look, metric.unit))
    return lines


def thin(steps: Sequence[int], values: Sequence[float], points: int = DRAWN) -> tuple[list[int], list[float]]:
    """About so many points: the ends, and the lowest and the highest of each stretch, so that no spike is lost.

    >>> thin([0, 1, 2, 3, 4, 5], [0, 0, 9, 0, -9, 0], points=4)
    ([0, 2, 3, 4, 5], [0, 9, 0, -9, 0])
    """
    if len(steps) <= points:
        return list(steps), list(values)
    kept = {0, len(steps) - 1}
    stretches = points // 2
    for stretch in range(stretches):
        span = range(stretch * len(steps) // stretches, (stretch + 1) * len(steps) // stretches)
        kept |= {min(span, key=values.__getitem__), max(span, key=values.__getitem__)}
    return [steps[index] for index in sorted(kept)], [values[index] for index in sorted(kept)]


def even_picks(count: int, most: int) -> list[int]:
    """Indices of at most so many out of `count`, evenly, the first and the last among them.

    >>> even_picks(5, 10), even_picks(101, 5)
    ([0, 1, 2, 3, 4], [0, 25, 50, 75, 100])
    """
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    return [round(index * (count - 1) / (most - 1)) for index in range(most)]


def number_rows(lines: Sequence[Line]) -> list[list[str]]:
    """A table of a figure's numbers: a step and the value of each line, empty where there is none.

    Args:
        lines (`Sequence[Line]`): At least one; the steps are those of the one with the fewest points, but for single
            points.

    >>> number_rows([Line("held-out", [0, 10], [0.5, 0.75], HELD_OUT_LOOK, "share")])
    [['0', '50.0%'], ['10', '75.0%']]
    """
    curves = [line for line in lines if len(line.steps) > 1] or list(lines)
    steps = min(curves, key=lambda line: len(line.steps)).steps
    steps = [steps[index] for index in even_picks(len(steps), ROWS)]
    found = [dict(zip(line.steps, line.values, strict=True)) for line in lines]
    return [
        [f"{step:,}", *(line.format(by[step]) if step in by else "" for line, by in zip(lines, found, strict=True))]
        for step in steps
    ]
