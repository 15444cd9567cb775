"""The part of [`R1GRPOTrainer`] that keeps what the policy wrote: training and held-out rows in tables of their own.

The only changes with respect to [`~trl.GRPOTrainer`], where `log_completions` is set:
1. `completions/completions_00010.parquet` holds the training rows of step 10 alone, and
   `completions/eval_completions_00010.parquet` the held-out ones, all of them. TRL keeps both in one buffer, and
   writes the second over the first.
2. Both have the columns `reasoning` and `answer` of the parser, and `source` and `solution` where the rows have them.
3. Trackers get one table a step, which stays reachable in W&B (`r1_trl.tracking.wandb_table`), and the held-out rows
   under a key of their own.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
from transformers.utils import is_rich_available
from trl import GRPOTrainer
from trl.trainer.utils import print_prompt_completions_sample, strip_images_from_messages

from r1_trl.completion import read_completion
from r1_trl.files import write_parquet
from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.tracking.tables import log_table

_OPENED = "think_opened"  # kept for the parser, and not shown
_OF_ROWS = ("solution", "source")


class CompletionTables(GRPOTrainer):
    """Overrides of [`~trl.GRPOTrainer`] that keep the two modes apart."""

    args: R1GRPOConfig
    _held_out_rows: int | None = None  # of the evaluation that runs; None where its length is unknown
    _held_out_prefix = "eval"
    _written_step = -1  # the last step whose training rows were written

    @property
    def _mode(self) -> str:
        return "train" if cast(Any, self.model).training else "eval"

    @property
    def _answers(self) -> int:
        return cast(int, self.num_generations if self._mode == "train" else self.num_generations_eval)

    @property
    def _logs(self) -> dict[str, Any]:
        return self._logs_by_mode[self._mode]

    @_logs.setter
    def _logs(self, logs: dict[str, Any]) -> None:
        self._logs_by_mode = {"train": logs, "eval": _unbounded()}

    def _add_columns(self, inputs: Sequence[Mapping[str, Any]], columns: Mapping[str, Sequence[Any]]) -> None:
        """Adds columns to the table of completions: of the rows, and others with `None` for rows that have a value.

        Args:
            inputs (`Sequence[Mapping]`): The B rows of this process.
            columns (`Mapping[str, Sequence]`): B values each.
        """
        pending = self._pending_extra_logs
        for name, values in columns.items():
            old = pending.get(name, [None] * len(values))
            pending[name] = [new if value is None else value for value, new in zip(old, values, strict=True)]
        for name in (*_OF_ROWS, _OPENED):
            if name not in pending and name in inputs[0]:
                pending[name] = [row.get(name) for row in inputs]
        for name in self._logs["extra"]:  # a column that gets no values would keep those of the batch before
            pending.setdefault(name, [None] * len(inputs))

    def evaluation_loop(self, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        answers = cast(int, self.num_generations_eval)
        # Several processes repeat rows to fill the last batch; these are left out.
        self._held_out_rows = len(dataloader.dataset) * answers if hasattr(dataloader.dataset, "__len__") else None
        self._held_out_prefix = kwargs.get("metric_key_prefix", "eval")
        self._logs_by_mode["eval"] = _unbounded()
        return super().evaluation_loop(dataloader, *args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        wanted, self.log_completions = self.log_completions, False  # TRL's own would mix the modes
        try:
            super().log(logs, start_time)
        finally:
            self.log_completions = wanted
        mode, step = self._mode, self.state.global_step
        if wanted and self._logs["prompt"] and (mode == "eval" or step != self._written_step):
            if self.accelerator.is_main_process:
                self._write_completions(mode)
            self._written_step = step if mode == "train" else self._written_step
        if mode == "eval":
            self._logs_by_mode["eval"] = _unbounded()

    def _write_completions(self, mode: str) -> None:
        logs, step = self._logs, self.state.global_step
        table = completions_table(logs, step, self._held_out_rows if mode == "eval" else None)
        name = "completions" if mode == "train" else f"{self._held_out_prefix}_completions"
        write_parquet(Path(str(self.args.output_dir)) / "completions" / f"{name}_{step:05d}.parquet", table)
        if is_rich_available():
            _print_sample(table, logs, step, self.num_completions_to_print)
        if logs["images"]:
            table = table.assign(image=list(logs["images"])[: len(table)])
        if self.log_unique_prompts:
            table = table[~table["prompt"].astype(str).duplicated()]
        key = "completions" if mode == "train" else f"{self._held_out_prefix}/completions"
        log_table(table, key, step, self.args.report_to)


def completions_table(logs: Mapping[str, Any], step: int, rows: int | None = None) -> pd.DataFrame:
    """The table of a step, from what TRL keeps of it.

    Args:
        logs (`Mapping`): TRL's `_logs`: `prompt`, `completion` and `advantages` of length N, and by their names
            `rewards` and `extra`, of which a column may be shorter where it began later.
        step (`int`): The step.
        rows (`int`, *optional*): The first so many alone.

    >>> logs = {"prompt": ["2 + 2?"], "completion": ["<think>so</think>4"], "rewards": {"accuracy_reward": [1.0]}}
    >>> table = completions_table({**logs, "extra": {"verdict": ["right"]}, "advantages": [0.5]}, 10)
    >>> table.to_dict("records")  # doctest: +NORMALIZE_WHITESPACE
    [{'step': 10, 'prompt': '2 + 2?', 'completion': '<think>so</think>4', 'reasoning': 'so', 'answer': '4',
      'accuracy_reward': 1.0, 'verdict': 'right', 'advantage': 0.5}]
    """
    prompts, completions = list(logs["prompt"]), list(logs["completion"])
    size = len(prompts)
    extra = {name: [None] * (size - len(values)) + list(values) for name, values in logs["extra"].items()}
    opened = extra.pop(_OPENED, [None] * size)
    parsed = [read_completion(*row) for row in zip(completions, prompts, opened, strict=True)]
    table = {
        "step": [step] * size,
        "prompt": [strip_images_from_messages(prompt) for prompt in prompts],
        "completion": [strip_images_from_messages(completion) for completion in completions],
        "reasoning": [completion.reasoning for completion in parsed],
        "answer": [completion.answer for completion in parsed],
        **{name: list(values) for name, values in logs["rewards"].items()},
        **extra,
        "advantage": list(logs["advantages"]),
    }
    return pd.DataFrame(table).head(size if rows is None else rows)


def _unbounded() -> dict[str, Any]:
    """As TRL's, which keeps the rows of one generation batch; held-out rows are as many as there are questions."""
    logs: dict[str, Any] = {name: deque() for name in ("images", "prompt", "completion", "advantages")}
    return {**logs, "rewards": defaultdict(deque), "extra": defaultdict(deque)}


def _print_sample(table: pd.DataFrame, logs: Mapping[str, Any], step: int, number: int | None) -> None:
    prompts, completions, advantages = (table[name].tolist() for name in ("prompt", "completion", "advantage"))
    rewards = {name: table[name].tolist() for name in logs["rewards"]}
    extra = {name: table[name].tolist() for name in logs["extra"] if name in table}
    # Typed as a number, but `None` prints all.
    print_prompt_completions_sample(prompts, completions, rewards, advantages, step, cast(int, number), extra=extra)
