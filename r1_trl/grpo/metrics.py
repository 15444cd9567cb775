"""The part of [`R1GRPOTrainer`] that logs what R1's authors watched: pass@1 apart from the reward, and reflection.

The only changes with respect to [`~trl.GRPOTrainer`]:
1. `pass@1` and `pass@K` of each rollout, and `eval_pass@1`, `eval_pass@K` of the held-out questions, from verdicts
   alone (`r1_trl.grpo.verdicts`); K answers a question. Of several held-out sets each has its own, such as
   `eval_easy_pass@1`, where TRL gives its metrics one name for all.
2. `reflection/words_per_thousand` and `reflection/changed_answers` (`r1_trl.tracking.reflection`).

Sums are kept over all processes and batches and divided when they are logged, so each question and each word counts
once: TRL's own metrics are means over batches, of which the last may be smaller, and over the rows that several
processes repeat to fill it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from r1_trl.completion import read_completion
from r1_trl.grpo.completions import CompletionTables
from r1_trl.grpo.routing import own_rows
from r1_trl.grpo.verdicts import ACCURACY, VerdictGrader
from r1_trl.tracking.reflection import ReflectionWords, changed_answer, count_words


class RolloutMetrics(CompletionTables):
    """Overrides of [`~trl.GRPOTrainer`] that sum up each rollout, and log the quotients."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sums: dict[str, dict[str, float]] = {"train": defaultdict(float), "eval": defaultdict(float)}
        self._grader = VerdictGrader(self.reward_funcs, self.reward_func_names)
        self._reflection_words = ReflectionWords(self.args.reflection_words or ())

    def _observe(
        self,
        inputs: Sequence[Mapping[str, Any]],
        prompts: Sequence[Any],
        completions: Sequence[Any],
        rewards: torch.Tensor,
        active: Sequence[str],
    ) -> None:
        """Adds a batch to the sums, and its columns to the table of completions.

        Args:
            inputs (`Sequence[Mapping]`): The B rows of this process, with `think_opened`.
            prompts, completions (`Sequence`): Of this process.
            rewards (`torch.Tensor` of shape `(P * B, reward functions)`): Of all P processes.
            active (`Sequence[str]`): Names of the rewards whose window is open.
        """
        scores, scored = self._scores(inputs, rewards, active)
        verdicts, columns = self._grader.grade(scores, scored, inputs, prompts, completions)
        rows = [
            (verdict, *_reflection(completion, prompt, row.get("think_opened"), self._reflection_words))
            for verdict, completion, prompt, row in zip(verdicts, completions, prompts, inputs, strict=True)
        ]
        table = self.accelerator.gather(torch.tensor(rows, device=self.accelerator.device))  # (P * B, 4)
        mode = self._mode
        if mode == "eval" and self._held_out_rows is not None:
            table = table[: max(0, self._held_out_rows - int(self._sums[mode]["completions"]))]
        for name, value in sum_up(table, self._answers).items():
            self._sums[mode][name] += value
        self._add_columns(inputs, columns)

    def _scores(
        self, inputs: Sequence[Mapping[str, Any]], rewards: torch.Tensor, active: Sequence[str]
    ) -> tuple[list[float], list[bool]]:
        """What the accuracy reward says of each row of this process, and whether it was asked."""
        size = len(inputs)
        if ACCURACY not in active:
            return [0.0] * size, [False] * size
        start = self.accelerator.process_index * size
        column = rewards[start : start + size, self.reward_func_names.index(ACCURACY)]
        own = set(own_rows(ACCURACY, inputs))
        return column.tolist(), [i in own for i in range(size)]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        mode = self._mode
        prefix = "" if mode == "train" else f"{self._held_out_prefix}_"
        logs.update({f"{prefix}{name}": v for name, v in quotients(self._sums[mode], self._answers).items()})
        self._sums[mode].clear()
        super().log(logs, start_time)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        self._sums["eval"].clear()
        return super().evaluation_loop(*args, **kwargs)


def sum_up(rows: torch.Tensor, answers: int) -> dict[str, float]:
    """The sums over whole questions.

    Args:
        rows (`torch.Tensor` of shape `(Q * answers, 4)`): For each completion the verdict (NaN where there is none),
            its words, its reflective words, and 1 where its answer changed.
        answers (`int`): Answers to each question, which stand together.

    Returns:
        `dict[str, float]`: `pass@1` and `pass@K` are sums over the `questions` with a verdict.

    >>> rows = torch.tensor([[1.0, 9, 1, 0], [0.0, 11, 0, 1], [torch.nan, 0, 0, 0], [1.0, 0, 0, 0]])
    >>> sums = sum_up(rows, answers=2)
    >>> sums["questions"], sums["pass@1"], sums["words"], sums["changed"]
    (2, 1.5, 20.0, 1.0)
    """
    rows = rows.double().cpu()
    verdicts = rows[:, 0].view(-1, answers)  # (Q, answers)
    graded = ~verdicts.isnan()
    right = ((verdicts >= 1.0) & graded).sum(dim=1)
    per_question = graded.sum(dim=1)
    has_verdict = per_question > 0
    sums: dict[str, float] = {"completions": len(rows)}
    sums["questions"] = has_verdict.sum().item()
    sums["pass@1"] = (right[has_verdict].double() / per_question[has_verdict]).sum().item()
    sums["pass@K"] = (right > 0).sum().item()
    for column, name in enumerate(("words", "reflective", "changed"), start=1):
        sums[name] = rows[:, column].sum().item()
    return sums


def quotients(sums: Mapping[str, float], answers: int) -> dict[str, float]:
    """What is logged; nothing that has no denominator.

    Args:
        sums (`Mapping[str, float]`): Of [`sum_up`], added up.
        answers (`int`): K.

    >>> quotients({"completions": 4, "questions": 2, "pass@1": 1.5, "pass@K": 2, "words": 0, "changed": 1}, answers=2)
    {'pass@1': 0.75, 'pass@2': 1.0, 'reflection/changed_answers': 0.25}
    """
    logged = {}
    if sums.get("questions"):
        logged[f"pass@{answers}"] = sums["pass@K"] / sums["questions"]
        logged = {"pass@1": sums["pass@1"] / sums["questions"], **logged}
    if sums.get("words"):
        logged["reflection/words_per_thousand"] = 1000 * sums["reflective"] / sums["words"]
    if sums.get("completions"):
        logged["reflection/changed_answers"] = sums["changed"] / sums["completions"]
    return logged


def _reflection(completion: Any, prompt: Any, think_opened: bool | None, words: ReflectionWords) -> tuple[float, ...]:
    """Words, reflective words, and whether the answer changed."""
    parsed = read_completion(completion, prompt, think_opened)
    if parsed.reasoning is None:
        return 0.0, 0.0, 0.0
    found = words.find(parsed.reasoning)
    changed = changed_answer(parsed.reasoning, parsed.answer, found)
    return float(count_words(parsed.reasoning)), float(len(found)), float(changed)
