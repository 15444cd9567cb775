"""Rows of reasoning-gym: a hundred kinds of puzzles, generated to any number, each with its own scoring.

It stands where the paper's logic data stands (paper, section 4: answers that a program checks). A row carries what the
`reasoning_gym` verifier needs to score it later, in another process and after a round trip through JSON.

Golds: five tasks (boxnet, graph_color, propositional_logic, rubiks_cube, rush_hour) have no answer, since many are
right; their scoring reads the metadata alone. Where the metadata hold an example, it is the `solution`; the other two
(boxnet, rush_hour) get the text [`NO_GOLD`].
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import fields
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np

from r1_trl.errors import InputError, MissingExtraError, did_you_mean

# The text of `solution` where reasoning-gym gives neither an answer nor an example.
NO_GOLD = "any solution that reasoning-gym accepts"

# task without answers -> an example out of its metadata
_EXAMPLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "graph_color": lambda metadata: json.dumps(metadata["possible_answer"]),
    "propositional_logic": lambda metadata: str(metadata["example_answer"]),
    "rubiks_cube": lambda metadata: str(metadata["example_correct_answer"]),
}


def reasoning_gym_rows(task: str, size: int, seed: int = 0, **params: Any) -> list[dict[str, Any]]:
    """Questions of one task of reasoning-gym, for GRPO and evaluation.

    Args:
        task (`str`): A name that reasoning-gym registers, such as `"chain_sum"`; "composite" is none, since it only
            mixes others.
        size (`int`): Number of rows.
        seed (`int`, *optional*, defaults to `0`): The same seed draws the same questions.
        **params: Fields of the task's config, such as `min_terms=3`: numbers, text, lists, tuples and dicts of them.

    Returns:
        `list[dict]`: `size` rows of `prompt` (messages), `solution`, `verifier` and `verifier_args`: the JSON text of
        an object with `task`, `params`, the `metadata` as [`to_json`] writes them, and the `answer` where it is no
        text. Metadata are left out where the scoring reads the answer alone. The text has 250 characters in the
        median task, 1,300 to 7,000 in the longest five, and up to 70,000 in single rows of codeio.

    Raises:
        [`~r1_trl.errors.InputError`]: If the task or a parameter is not known or not valid.
        [`~r1_trl.errors.MissingExtraError`]: If the extra `reasoning-gym` is not installed.

    Source: paper, section 4 (logic); reasoning-gym, arXiv 2505.24760.

    >>> row = reasoning_gym_rows("chain_sum", 1, max_terms=2)[0]
    >>> row["prompt"][0]["content"], row["solution"]
    ('State the final answer to the following arithmetic problem: 1663 - 5242 =', '-3579')
    """
    dataset = make_dataset(task, {**params, "seed": seed, "size": size})
    return [row_of(task, params, dataset, dataset[index]) for index in range(size)]


def row_of(task: str, params: dict[str, Any], dataset: Any, entry: dict[str, Any]) -> dict[str, Any]:
    """The row of one entry of reasoning-gym, as [`reasoning_gym_rows`] describes it.

    Args:
        task (`str`), params (`dict`): What `dataset` was made of.
        dataset (`ProceduralDataset`): Of [`make_dataset`].
        entry (`dict`): One of its items.

    Raises:
        [`~r1_trl.errors.InputError`]: A row cannot carry the parameters.
    """
    answer, args = entry["answer"], {"task": task}
    try:
        if params:
            args["params"] = to_json(params)
    except TypeError as error:
        raise InputError(f"reasoning-gym task {task!r}: a row cannot carry its parameters: {error}") from error
    if type(dataset).score_answer is not load_reasoning_gym().factory.ProceduralDataset.score_answer:
        args["metadata"] = to_json(entry["metadata"])
    if not isinstance(answer, str):
        args["answer"] = to_json(answer)
        example = _EXAMPLES.get(task, lambda metadata: NO_GOLD)
        answer = example(entry["metadata"]) if answer is None else str(answer)
    return {
        "prompt": [{"role": "user", "content": entry["question"]}],
        "solution": answer,
        "verifier": "reasoning_gym",
        "verifier_args": json.dumps(args),
    }


def make_dataset(task: str, params: dict[str, Any]) -> Any:
    """reasoning-gym's dataset of a task.

    Args:
        task (`str`): See [`reasoning_gym_rows`].
        params (`dict`): Fields of its config.

    Raises:
        [`~r1_trl.errors.InputError`], [`~r1_trl.errors.MissingExtraError`]: See [`reasoning_gym_rows`].

    >>> make_dataset("chain_sum", {"min_term": 3})
    Traceback (most recent call last):
    r1_trl.errors.InputError: reasoning-gym task 'chain_sum' has no parameter 'min_term'; did you mean 'min_terms'? \
It has min_terms, max_terms, min_digits, max_digits, allow_negation, seed, size
    """
    check_task(task)
    reasoning_gym = load_reasoning_gym()
    known = [field.name for field in fields(reasoning_gym.factory.DATASETS[task][1])]
    for name in params:
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError(f"reasoning-gym task {task!r} has no parameter {name!r}{hint} It has {', '.join(known)}")
    try:
        return reasoning_gym.create_dataset(task, **params)
    except (AssertionError, TypeError, ValueError) as error:
        raise InputError(f"reasoning-gym task {task!r}: the parameters are not valid: {error}") from error


def check_task(task: str) -> None:
    """Refuses a name that is no task.

    Raises:
        [`~r1_trl.errors.InputError`], [`~r1_trl.errors.MissingExtraError`]: See [`reasoning_gym_rows`].

    >>> check_task("chainsum")
    Traceback (most recent call last):
    r1_trl.errors.InputError: reasoning-gym has no task 'chainsum'; did you mean 'chain_sum'?
    """
    known = [name for name in load_reasoning_gym().factory.DATASETS if name != "composite"]
    if task == "composite":
        raise InputError("reasoning-gym's 'composite' mixes other tasks: make the rows of each, and join them")
    if task not in known:
        hint = did_you_mean(str(task), known, otherwise=f"; it has {', '.join(sorted(known))}")
        raise InputError(f"reasoning-gym has no task {task!r}{hint}")


def load_reasoning_gym() -> ModuleType:
    """Imports reasoning-gym, half a second's work.

    Raises:
        [`~r1_trl.errors.MissingExtraError`]: If it is not installed.

    >>> load_reasoning_gym().__name__
    'reasoning_gym'
    """
    try:
        return importlib.import_module("reasoning_gym")
    except ModuleNotFoundError as error:
        if error.name != "reasoning_gym":
            raise
        raise MissingExtraError("reasoning-gym", "reasoning-gym", "a task of reasoning-gym") from error


def to_json(value: Any) -> Any:
    """A value as JSON can hold it, and [`from_json`] gives it back.

    JSON has no tuples, no keys but text and no fractions: they become objects with one key, `__tuple__`, `__items__`
    or `__fraction__`. A number or text of numpy becomes Python's own.

    Raises:
        `TypeError`: If the value holds anything else.

    >>> to_json({"edges": [(0, 1)], "colors": {0: "red"}})
    {'edges': [{'__tuple__': [0, 1]}], 'colors': {'__items__': [[0, 'red']]}}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Fraction):
        return {"__fraction__": str(value)}
    if isinstance(value, tuple):
        return {"__tuple__": [to_json(item) for item in value]}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("__") for key in value):
            return {str(key): to_json(item) for key, item in value.items()}
        return {"__items__": [[to_json(key), to_json(item)] for key, item in value.items()]}
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} {value!r}")


def from_json(value: Any) -> Any:
    """The value that [`to_json`] wrote, made of new containers.

    Raises:
        `TypeError`, `ValueError`: If `to_json` cannot have written it.

    >>> from_json({"__items__": [[0, {"__tuple__": ["red"]}]]})
    {0: ('red',)}
    """
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"__tuple__": items}:
            return tuple(from_json(item) for item in items)
        case {"__items__": items}:
            return {from_json(key): from_json(item) for key, item in items}
        case {"__fraction__": text}:
            return Fraction(text)
    return {key: from_json(item) for key, item in value.items()}
