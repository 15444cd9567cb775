"""The accuracy reward: is the final answer right?

Stands between the rollout and TRL's GRPO step. The parser finds the final answer, a verifier judges it in a worker
process; nothing inside the reasoning earns anything (paper, section 2: rules only, no neural reward model).

Departures from the paper:

1. The paper does not say what happens to a question whose gold answer the rules cannot grade. Here it is `None`, which
   TRL leaves out of the sum of rewards, and the share of such rows is logged as `accuracy/ungradable`.
2. Verdicts are not computed beside the other modules of a step [v2, appendix B.1]: TRL scores a rollout when it is
   whole. Within the reward, all verifiers run at the same time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from r1_trl.completion import Messages, read_completion
from r1_trl.errors import InputError
from r1_trl.verifiers.grading import Grade, Row, get_grader

logger = logging.getLogger(__name__)

_warned: set[str] = set()


class AccuracyReward:
    r"""1.0 for a right final answer, 0.0 for a wrong one or none, `None` where the row cannot be graded.

    Args:
        workers (`int`, *optional*):
            Worker processes. Defaults to the CPU cores that this process may use, divided among the ranks of this
            machine.
        deadline (`float`, *optional*, defaults to `5.0`):
            Seconds for each answer; one that takes longer scores 0.0. Code has a deadline of its own: its time limit
            for each test.
        memory_mb (`int`, *optional*, defaults to `2048`):
            Address space of each worker in MiB; an answer that needs more scores 0.0. Code has a limit of its own.

    Raises:
        [`~r1_trl.errors.InputError`]: If one of them is not positive.

    >>> reward = AccuracyReward(workers=1, deadline=1.0)
    >>> reward(["<think>I guess \\boxed{4}</think><answer>5</answer>", "<answer>$4$</answer>"], ["4", "4"])
    [0.0, 1.0]
    >>> reward(["<answer>9^{9^{9^{9}}}</answer>", "<answer>(B)</answer>"], ["4", "B"], verifier=[None, "choice"])
    [0.0, 1.0]
    """

    def __init__(self, workers: int | None = None, deadline: float = 5.0, memory_mb: int = 2048) -> None:
        self.__name__ = "accuracy_reward"
        for name, value in (("workers", 1 if workers is None else workers), ("deadline", deadline)):
            if not value > 0:
                raise InputError(f"accuracy_reward: `{name}: {value}` must be positive")
        if memory_mb < 512:
            raise InputError(
                f"accuracy_reward: `memory_mb: {memory_mb}` must be at least 512, which sympy alone needs"
            )
        self.workers = workers
        self.deadline = deadline
        self.memory_mb = memory_mb

    def __call__(
        self,
        completions: list[str | Messages],
        solution: list[str | None],
        verifier: list[str | None] | str | None = None,
        verifier_args: list[str | None] | str | None = None,
        think_opened: list[bool | None] | bool | None = None,
        prompts: list[str | Messages] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **kwargs: Any,
    ) -> list[float | None]:
        """Scores a batch; TRL passes every argument by its name.

        Args:
            completions (`list` of `str` or of messages, length B):
                The completions, in TRL's two forms.
            solution (`list[str]` of length B):
                The gold answers.
            verifier (`list[str]` of length B or `str`, *optional*, defaults to `"math"`):
                Who judges: a name that [`~r1_trl.verifiers.get_verifier`] knows, or a dotted path. A row with `None`
                or an empty string takes the default, since a column of mixed sources is rarely full.
            verifier_args (`list[str]` of length B or `str`, *optional*):
                What else the verifier needs: the JSON text of an object.
            think_opened (`list[bool]` of length B or `bool`, *optional*):
                Whether the prompt has already opened `<think>`; where it is not given, `prompts` are asked.
            prompts (`list` of `str` or of messages, length B, *optional*):
                The prompts, from TRL.
            log_extra, log_metric (`Callable`, *optional*):
                TRL's loggers. They get the columns `solution`, `answer_parsed` and `verdict` of the completions table,
                and the metrics `accuracy/graded`, `accuracy/ungradable`, `accuracy/timed_out`, `accuracy/died`,
                `accuracy/cache_hits` (shares of the rows) and `accuracy/seconds`.
            **kwargs:
                Not used.

        Returns:
            `list[float | None]` of length B.

        Raises:
            `ValueError`: If a list has another length than `completions`.
            [`~r1_trl.errors.InputError`]: If a verifier is not known, or lacks what it needs. Every row would score
                nothing, so this is not left to a metric.
            `RuntimeError`: If a verifier fails, which is a bug in it; with its traceback.
        """
        started = time.monotonic()
        size = len(completions)
        columns = (solution, *(_column(value, size) for value in (verifier, verifier_args, think_opened, prompts)))
        rows = [
            Row(read_completion(completion, prompt, opened).answer, gold, name, args)
            for completion, gold, name, args, opened, prompt in zip(completions, *columns, strict=True)
        ]
        grades = get_grader(self.workers, self.deadline, self.memory_mb).grade(rows)
        for row, grade in zip(rows, grades, strict=True):
            if grade.score is None:
                _warn_once(row, grade)
        if log_extra is not None:
            log_extra("solution", [row.solution for row in rows])
            log_extra("answer_parsed", ["[no answer]" if row.answer is None else row.answer for row in rows])
            log_extra("verdict", [grade.reason for grade in grades])
        if log_metric is not None and rows:
            for name, value in _metrics(grades).items():
                log_metric(f"accuracy/{name}", value)
            log_metric("accuracy/seconds", time.monotonic() - started)
        return [grade.score for grade in grades]


def accuracy_reward(
    completions: list[str | Messages],
    solution: list[str | None],
    verifier: list[str | None] | str | None = None,
    verifier_args: list[str | None] | str | None = None,
    think_opened: list[bool | None] | bool | None = None,
    **kwargs: Any,
) -> list[float | None]:
    r"""[`AccuracyReward`] with its defaults, for `--reward_funcs`; arguments and errors as there.

    >>> accuracy_reward(["<think>I guess \\boxed{4}</think><answer>5</answer>", "<answer>$4$</answer>"], ["4", "4"])
    [0.0, 1.0]
    >>> accuracy_reward(["<think>so</think><answer>4</answer>"], ["B"])  # not for the math verifier
    [None]
    """
    return AccuracyReward()(completions, solution, verifier, verifier_args, think_opened, **kwargs)


def _metrics(grades: list[Grade]) -> dict[str, float]:
    """Shares of the rows."""
    return {
        "graded": sum(grade.score is not None for grade in grades) / len(grades),
        "ungradable": sum(grade.score is None for grade in grades) / len(grades),
        "timed_out": sum(grade.timed_out for grade in grades) / len(grades),
        "died": sum(grade.died for grade in grades) / len(grades),
        "cache_hits": sum(grade.cached for grade in grades) / len(grades),
    }


def _column(value: Any, size: int) -> list[Any]:
    """One entry a completion; TRL hands over lists, a caller may hand over a dataset's column or one value for all."""
    return [value] * size if value is None or isinstance(value, str | bool) else list(value)


def _warn_once(row: Row, grade: Grade) -> None:
    kind = f"{row.verifier_name}: {grade.reason.partition(':')[0]}"
    if kind not in _warned:
        _warned.add(kind)
        logger.warning(
            "accuracy_reward leaves out a row: verifier %r, solution %.200r, verifier_args %.200r: %s. Further ones "
            "count in accuracy/ungradable only.",
            row.verifier_name,
            row.solution,
            row.args,
            grade.reason,
        )
