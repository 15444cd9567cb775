"""The picture of a run: what changed from step to step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# (title, key while training, key on held-out questions); the paper's figures 1 and 3 show the first two.
PANELS = (
    ("held-out pass@1", None, "eval_rewards/accuracy_reward/mean"),
    ("completion length (tokens)", "completions/mean_length", "eval_completions/mean_length"),
    (
        "language consistency",
        "rewards/language_consistency_reward/mean",
        "eval_rewards/language_consistency_reward/mean",
    ),
    ("reward", "reward", "eval_reward"),
)


def read_log_history(output_dir: Path) -> list[dict[str, Any]]:
    """The logs of a finished run, from the `trainer_state.json` in its folder.

    Args:
        output_dir (`Path`): Folder of a training stage.

    Returns:
        `list[dict]`: One dictionary for each log, with its `step`.
    """
    history = json.loads((output_dir / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return list(history)


def curve(log_history: Sequence[Mapping[str, Any]], key: str | None) -> tuple[list[int], list[float]]:
    """Steps and values of one metric, where it was logged.

    >>> curve([{"step": 1, "reward": 0.5}, {"step": 2, "kl": 0.1}], "reward")
    ([1], [0.5])
    """
    points = [(log["step"], log[key]) for log in log_history if key is not None and log.get(key) is not None]
    return [step for step, _ in points], [value for _, value in points]


def plot_curves(log_history: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Draws held-out pass@1, completion length, language consistency and reward over steps.

    Args:
        log_history (`Sequence[Mapping]`): As [`read_log_history`] returns it.
        path (`Path`): The PNG file to write.
        title (`str`): Heading of the picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold")
    for axes, (name, training_key, held_out_key) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
        steps, values = curve(log_history, training_key)
        if steps:
            axes.plot(steps, values, color="#9bb8d3", linewidth=1.5, label="training")
        steps, values = curve(log_history, held_out_key)
        if steps:
            axes.plot(steps, values, color="#c2410c", linewidth=2, marker="o", markersize=4, label="held-out")
        axes.set_title(name, fontsize=11)
        axes.set_xlabel("GRPO step")
        axes.set_ylim(bottom=0)
        axes.grid(color="#e5e7eb")
        axes.spines[["top", "right"]].set_visible(False)
        if axes.has_data():
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
