"""The accuracy reward: is the final answer right?

Stands between the rollout and TRL's GRPO step. The parser finds the final answer, a verifier judges it; nothing inside
the reasoning earns anything (paper, section 2: rules only, no neural reward model).

Departures from the paper:

1. The paper does not say what happens to a question whose gold answer the rules cannot grade. Here it is `None`, which
   TRL leaves out of the sum of rewards, and the share of such rows is logged as `accuracy/ungradable`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from r1_trl.completion import Messages, read_completion
from r1_trl.verifiers import get_verifier

logger = logging.getLogger(__name__)

_warned: set[str] = set()


def accuracy_reward(
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
    r"""1.0 for a right final answer, 0.0 for a wrong one or none, `None` where the row's gold cannot be graded.

    Args:
        completions (`list` of `str` or of messages, length B):
            The completions, in TRL's two forms.
        solution (`list[str]` of length B):
            The gold answers.
        verifier (`list[str]` of length B or `str`, *optional*, defaults to `"math"`):
            Who judges: a name that [`~r1_trl.verifiers.get_verifier`] knows, or a dotted path. A row with `None` or an
            empty string takes the default, since a column of mixed sources is rarely full.
        verifier_args (`list[str]` of length B or `str`, *optional*):
            What else the verifier needs: the JSON text of an object.
        think_opened (`list[bool]` of length B or `bool`, *optional*):
            Whether the prompt has already opened `<think>`; where it is not given, `prompts` are asked.
        prompts (`list` of `str` or of messages, length B, *optional*):
            The prompts, from TRL.
        log_extra, log_metric (`Callable`, *optional*):
            TRL's loggers. They get the columns `solution` and `answer_parsed` of the completions table and the metric
            `accuracy/ungradable`, the share of rows that are `None`.
        **kwargs:
            Not used.

    Returns:
        `list[float | None]` of length B.

    Raises:
        `ValueError`: If a list has another length than `completions`.
        [`~r1_trl.errors.InputError`]: If a verifier is not known. Every row would score nothing, so this is not left
        to a metric.

    >>> accuracy_reward(["<think>I guess \\boxed{4}</think><answer>5</answer>", "<answer>$4$</answer>"], ["4", "4"])
    [0.0, 1.0]
    >>> accuracy_reward(["<think>so</think><answer>4</answer>"], ["B"])  # not for the math verifier
    [None]
    """
    size = len(completions)
    columns = (solution, *(_column(value, size) for value in (verifier, verifier_args, think_opened, prompts)))
    scores: list[float | None] = []
    answers: list[str] = []
    for completion, gold, name, args, opened, prompt in zip(completions, *columns, strict=True):
        answer = read_completion(completion, prompt, opened).answer
        scores.append(_score(answer, gold, name or "math", args))
        answers.append("[no answer]" if answer is None else answer)
    if log_extra is not None:
        log_extra("solution", list(solution))
        log_extra("answer_parsed", answers)
    if log_metric is not None and scores:
        log_metric("accuracy/ungradable", scores.count(None) / size)
    return scores


def _score(answer: str | None, gold: str | None, verifier: str, args_json: str | None) -> float | None:
    verify = get_verifier(verifier)
    if not isinstance(gold, str) or not gold.strip():
        _warn_once("no solution", f"a row has no solution (got {gold!r}): it is left out of the reward")
        return None
    try:
        args = json.loads(args_json) if args_json else None
    except json.JSONDecodeError as error:
        _warn_once("no JSON", f"verifier_args {args_json!r} is no JSON ({error}): its row is left out of the reward")
        return None
    if args is not None and not isinstance(args, dict):
        _warn_once("no object", f"verifier_args {args_json!r} is no JSON object: its row is left out of the reward")
        return None
    # A gold that cannot be graded is None for a completion without an answer too: otherwise only the ones that do
    # answer would leave the group, and the rest would be compared with nobody.
    verdict = verify("" if answer is None else answer, gold, args)
    if verdict is None:
        _warn_once(f"{verifier} gold", f"the {verifier!r} verifier cannot grade {gold!r}: its rows are left out")
        return None
    return float(verdict and answer is not None)


def _column(value: Any, size: int) -> list[Any]:
    """One entry a completion; TRL hands over lists, a caller may hand over one value for all."""
    return value if isinstance(value, list) else [value] * size


def _warn_once(kind: str, message: str) -> None:
    if kind not in _warned:
        _warned.add(kind)
        logger.warning("accuracy_reward: %s. Further ones count in accuracy/ungradable only.", message)
