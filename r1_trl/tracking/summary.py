"""The best and the last held-out pass@1 of each held-out set, where W&B shows a run in one line: its summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

METRIC = "pass@1"


class HeldOutSummaryCallback(TrainerCallback):
    """Keeps `best/pass@1` and `final/pass@1`, each with its step, in the summary of the run's W&B run.

    The charts' x-axis is `train/global_step`, which transformers sets for all metrics; `eval/pass@1` keeps its maximum
    as `eval/pass@1.max`. Of several held-out sets each has its own: `best/easy_pass@1`.

    Args:
        held_out (`Any`): The trainer's `eval_dataset`: a mapping has the names of the sets.
    """

    def __init__(self, held_out: Any = None) -> None:
        self._metrics = [f"{name}_{METRIC}" for name in held_out] if isinstance(held_out, dict) else [METRIC]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        run = _wandb_run(args, state)
        if run is not None:
            for metric in self._metrics:
                run.define_metric(
                    f"eval/{metric}", step_metric="train/global_step", step_sync=True, summary="max,last"
                )

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        run = _wandb_run(args, state)
        if run is not None:
            for metric in self._metrics:
                run.summary.update(best_and_final(state.log_history, metric))


def best_and_final(log_history: Sequence[Mapping[str, Any]], metric: str = METRIC) -> dict[str, float]:
    """The best and the last value of a held-out metric, and their steps.

    Args:
        log_history (`Sequence[Mapping]`): As [`~transformers.TrainerState`] has it; of equal values the first is best.
        metric (`str`, *optional*, defaults to `"pass@1"`): Without `eval_`.

    Returns:
        `dict[str, float]`: Empty where it was never logged.

    >>> best_and_final([{"step": 8, "eval_pass@1": 0.5}, {"step": 8, "loss": 0.0}, {"step": 16, "eval_pass@1": 0.4}])
    {'best/pass@1': 0.5, 'best/pass@1_step': 8, 'final/pass@1': 0.4, 'final/pass@1_step': 16}
    """
    logged = [log for log in log_history if log.get(f"eval_{metric}") is not None]
    if not logged:
        return {}
    best = max(logged, key=lambda log: log[f"eval_{metric}"])
    return {
        f"{kind}/{metric}{suffix}": log[key]
        for kind, log in (("best", best), ("final", logged[-1]))
        for suffix, key in (("", f"eval_{metric}"), ("_step", "step"))
    }


def _wandb_run(args: TrainingArguments, state: TrainerState) -> Any:
    if "wandb" not in (args.report_to or ()) or not state.is_world_process_zero:
        return None
    import wandb

    return wandb.run
