"""One bar and one short line for each log, in place of a dictionary of forty metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import Trainer, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback


class ShortProgressCallback(ProgressCallback):
    """[`~transformers.ProgressCallback`] that prints a few metrics under short names.

    Args:
        metrics (`Sequence[str]`): The metrics to print, where a log has them.
    """

    def __init__(self, metrics: Sequence[str] = ()) -> None:
        super().__init__()
        self.metrics = metrics

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        line = format_log(logs or {}, self.metrics)
        bar: Any = self.training_bar
        if state.is_world_process_zero and bar is not None and line:
            bar.write(f"step {state.global_step:>5}  {line}")


def format_log(logs: dict[str, Any], metrics: Sequence[str]) -> str:
    """The chosen metrics of a log in one line.

    Args:
        logs (`dict[str, float]`): As trainers log them.
        metrics (`Sequence[str]`): Keys, in the order of the line.

    Returns:
        `str`: Empty when the log has none of them.

    >>> format_log({"rewards/accuracy_reward/mean": 0.5, "kl": 0.01}, ["rewards/accuracy_reward/mean", "loss"])
    'accuracy 0.500'
    """
    return "  ".join(f"{_short_name(key)} {float(logs[key]):.3f}" for key in metrics if logs.get(key) is not None)


def show_progress(trainer: Trainer, metrics: Sequence[str]) -> None:
    """Puts [`ShortProgressCallback`] in the place of the trainer's own progress bar.

    Args:
        trainer ([`~transformers.Trainer`]): Before its training.
        metrics (`Sequence[str]`): The metrics to print.
    """
    if not trainer.args.disable_tqdm:
        trainer.remove_callback(ProgressCallback)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(ShortProgressCallback(metrics))


def _short_name(key: str) -> str:
    held_out = "held-out " if key.startswith("eval_") else ""
    name = key.removeprefix("eval_").removeprefix("rewards/").removesuffix("/mean").removesuffix("_reward")
    return held_out + {"completions/mean_length": "length", "language_consistency": "language"}.get(name, name)
