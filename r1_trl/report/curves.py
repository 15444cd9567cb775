"""The picture of a run as a file: what changed from step to step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1_trl.report.lines import curve, metric_lines
from r1_trl.report.metrics import LANGUAGE, LENGTH, PASS_AT_1, REWARD, Metric

# The paper's figures 1 and 3 show the first two.
PANELS = (PASS_AT_1, LENGTH, LANGUAGE, REWARD)

__all__ = ["PANELS", "curve", "plot_curves", "read_log_history"]


def read_log_history(output_dir: Path) -> list[dict[str, Any]]:
    """The logs of a finished run, from the `trainer_state.json` in its folder.

    Args:
        output_dir (`Path`): Folder of a training stage.

    Returns:
        `list[dict]`: One dictionary for each log, with its `step`.
    """
    history = json.loads((output_dir / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return list(history)


def plot_curves(
    log_history: Sequence[Mapping[str, Any]], path: Path, title: str, panels: Sequence[Metric] = PANELS
) -> None:
    """Draws four metrics over steps.

    Args:
        log_history (`Sequence[Mapping]`): As [`read_log_history`] returns it.
        path (`Path`): The PNG file to write.
        title (`str`): Heading of the picture.
        panels (`Sequence[Metric]`, *optional*, defaults to `PANELS`):
            Four metrics: by default pass@1, completion length, language consistency and reward.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from r1_trl.report.drawing import SETTINGS, style_axes

    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(SETTINGS):
        figure = Figure(figsize=(10, 6.4), layout="constrained")
        figure.suptitle(title, fontsize=13, fontweight="bold")
        for axes, metric in zip(figure.subplots(2, 2).flat, panels, strict=True):
            for depth, line in enumerate(metric_lines(log_history, metric)):
                axes.plot(line.steps, line.values, zorder=9 - depth, label=line.label, **line.look.drawing)
            style_axes(axes, metric)
            axes.set_title(metric.title, fontsize=11, loc="left")
            if axes.has_data():
                axes.legend(frameon=False, fontsize=9, loc="lower right")
        figure.savefig(path, dpi=130)
