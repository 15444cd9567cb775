"""The figures of a stage, and of the same stage in several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from r1_trl.report.drawing import draw
from r1_trl.report.lines import Line, metric_curve, metric_lines, number_rows
from r1_trl.report.metrics import KL, LANGUAGE, REPLACED, Metric, metrics_of, reward_parts
from r1_trl.report.numbers import is_number
from r1_trl.report.palette import TRAINING_LOOK, series_look
from r1_trl.report.road import recorded
from r1_trl.tracking.run_folder import StageFolder

Logs = Sequence[Mapping[str, Any]]
# Rewards beyond these would press the others of their figure flat.
_LOWEST, _HIGHEST = -1.0, 2.0


@dataclass(frozen=True)
class Figure:
    """A drawn figure with what it says.

    Args:
        title (`str`): What it shows.
        note (`str`): A sentence on it.
        lines (`list[Line]`): Its curves, for the legend.
        svg (`str`): An `<svg>` element.
        label (`str`): The figure in words.
        rows (`list[list[str]]`): Its numbers: step, and a value for each line.
    """

    title: str
    note: str
    lines: list[Line]
    svg: str
    label: str
    rows: list[list[str]]


def stage_figures(log_history: Logs, prefix: str, replaced: bool = False) -> list[Figure]:
    """All figures of one training stage. What it did not log has none.

    Args:
        log_history (`Sequence[Mapping]`): Its logs.
        prefix (`str`): Begins the ids.
        replaced (`bool`, *optional*, defaults to `False`): Whether its reference was replaced.

    >>> [figure.title for figure in stage_figures([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}], "s1")]
    ['Loss']
    """
    figures = []
    for metric in metrics_of(log_history):
        figures.append((metric, metric_lines(log_history, metric)))
        if metric is LANGUAGE:
            figures += _parts(log_history)
    return _drawn(figures, prefix, replaced)


def compared_figures(runs: Mapping[str, Logs], prefix: str, replaced: bool = False) -> list[Figure]:
    """The figures of one stage in several runs, laid over one another.

    Held-out values, where any run has a curve of them; else those of the training. A run without the former has the
    latter beside them, and its name says so.

    Args:
        runs (`Mapping[str, Sequence[Mapping]]`): Name of each run -> its logs.
        prefix (`str`): Begins the ids.
        replaced (`bool`, *optional*, defaults to `False`): Whether the reference of any was replaced.
    """
    together = [log for logs in runs.values() for log in logs]
    found = metrics_of(together)
    place = found.index(LANGUAGE) + 1 if LANGUAGE in found else len(found)
    parts = [part for part in reward_parts(together) if not any(set(part.keys) & set(m.keys) for m in found)]
    metrics = [*found[:place], *map(_alone, parts), *found[place:]]
    return _drawn([_laid_over(runs, metric) for metric in metrics], prefix, replaced)


def replaces_reference(stage: StageFolder) -> bool:
    """Whether a GRPO stage has come so far that it replaced its reference."""
    arguments = recorded(stage, "arguments")
    every = arguments.get("ref_model_sync_steps")
    last = max((log["step"] for log in stage.log_history if is_number(log.get("step"))), default=0)
    return arguments.get("sync_ref_model") is True and is_number(every) and last >= every


def _laid_over(runs: Mapping[str, Logs], metric: Metric) -> tuple[Metric, list[Line]]:
    held_out, training = (
        {name: metric_curve(logs, metric, kind) for name, logs in runs.items()} for kind in (True, False)
    )
    on_held_out = any(len(steps) > 1 for steps, _ in held_out.values())
    lines, missing = [], []
    for index, name in enumerate(runs):
        beside = on_held_out and not held_out[name][0]
        steps, values = training[name] if beside or not on_held_out else held_out[name]
        if steps:
            label = f"{name} (training)" if beside else name
            lines.append(Line(label, steps, values, series_look(index), metric.unit))
        else:
            missing.append(name)
    where = "On held-out questions." if on_held_out else "While training."
    without = f"Not logged: {', '.join(missing)}." if missing else ""
    return replace(metric, note=" ".join(filter(None, (metric.note, where, without)))), lines


def _parts(log_history: Logs) -> list[tuple[Metric, list[Line]]]:
    """The rewards in one figure, but for those on a scale of their own, such as a reward model's score."""
    together, alone = [], []
    for index, part in enumerate(reward_parts(log_history)):
        steps, values = metric_curve(log_history, part, held_out=False)
        line = Line(part.title, steps, values, series_look(index), part.unit)
        if steps and min(values) >= _LOWEST and max(values) <= _HIGHEST:
            together.append(line)
        elif steps:
            alone.append((_alone(part), [replace(line, look=TRAINING_LOOK, label="training")]))
    return [(Metric("Rewards by part", (), "Means before weights, while training.", zero=False), together), *alone]


def _alone(part: Metric) -> Metric:
    return replace(part, title=f"Reward: {part.title}")


def _drawn(figures: Sequence[tuple[Metric, list[Line]]], prefix: str, replaced: bool) -> list[Figure]:
    # A single point is no curve.
    drawable = [(metric, lines) for metric, lines in figures if any(len(line.steps) > 1 for line in lines)]
    noted = [
        (
            replace(metric, note=f"{REPLACED} {metric.note}".strip())
            if replaced and metric.keys == KL.keys
            else metric,
            lines,
        )
        for metric, lines in drawable
    ]
    return [_figure(metric, lines, f"{prefix}-{index}") for index, (metric, lines) in enumerate(noted)]


def _figure(metric: Metric, lines: list[Line], prefix: str) -> Figure:
    label = f"{metric.title} over steps. {'; '.join(line.describe() for line in lines)}."
    return Figure(metric.title, metric.note, lines, draw(lines, metric, prefix), label, number_rows(lines))
