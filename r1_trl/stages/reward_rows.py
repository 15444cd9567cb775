"""The rows that a reward model learns from: checked, and cut to what it scores."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from datasets import Dataset, IterableDataset

from r1_trl.errors import InputError
from r1_trl.preference.text import scored_text, with_response
from r1_trl.tasks.sources import require_columns

logger = logging.getLogger(__name__)

COLUMNS = {"helpful": ("chosen", "rejected"), "safety": ("completion",)}


def prepare_rows(
    dataset: Dataset | IterableDataset, kind: str, scores: str, use_margin: bool, name: str
) -> Dataset | IterableDataset:
    """Rows for the trainer: what is scored of each response, and nothing else.

    Rows without an answer, and pairs whose answers are the same, teach nothing: they are left out and counted.

    Args:
        dataset ([`~datasets.Dataset`]): As it was loaded.
        kind (`str`): `"helpful"` or `"safety"`.
        scores (`str`): `"answer"` or `"response"`.
        use_margin (`bool`): Keep the column `margin`.
        name (`str`): The dataset's name, for the messages.

    Raises:
        InputError: A column is missing or of the wrong type, or no row is left.

    >>> texts = ["<think>2 + 2</think><answer>4</answer>", "<think>a guess</think><answer>5</answer>"]
    >>> rows = Dataset.from_list([{"prompt": "2 + 2 =", "chosen": texts[0], "rejected": texts[1], "margin": 3.0}])
    >>> prepare_rows(rows, "helpful", "answer", use_margin=False, name="pairs")[0]
    {'prompt': '2 + 2 =', 'chosen': ' 4', 'rejected': ' 5'}
    """
    responses = COLUMNS[kind]
    kept = ["prompt", *responses, *(["margin"] if use_margin and kind == "helpful" else [])]
    kept += ["label"] if kind == "safety" else []
    require_columns(dataset, kept, name, "reward-model")
    if isinstance(dataset, Dataset):
        _check_types(dataset, responses, name)
        if kind == "safety":
            _check_labels(dataset, name)
    if dataset.column_names is not None:
        dataset = dataset.select_columns(kept)
    usable = dataset.filter(_is_usable(responses, scores))
    if isinstance(dataset, Dataset) and len(usable) < len(dataset):
        left_out = f"{len(dataset) - len(usable)} of {len(dataset)} rows of `{name}`"
        if len(usable) == 0:
            raise InputError(f"{left_out} have no answer to score, or twice the same: set `scores: response`?")
        logger.warning("%s have no answer to score, or twice the same: left out", left_out)
    return usable.map(_cut(responses, scores))


def _is_usable(responses: tuple[str, ...], scores: str) -> Callable[[dict[str, Any]], bool]:
    def usable(row: dict[str, Any]) -> bool:
        texts = [scored_text(row[column], scores, row["prompt"]) for column in responses]
        return None not in texts and (len(texts) == 1 or texts[0] != texts[1])

    return usable


def _cut(responses: tuple[str, ...], scores: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def cut(row: dict[str, Any]) -> dict[str, Any]:
        return {
            column: with_response(row["prompt"], scored_text(row[column], scores, row["prompt"]) or "")
            for column in responses
        }

    return cut


def _check_types(dataset: Dataset, responses: tuple[str, ...], name: str) -> None:
    if len(dataset) == 0:
        raise InputError(f"dataset `{name}` has no row")
    first = dataset[0]
    for column in ("prompt", *responses):
        value = first[column]
        messages = isinstance(value, list) and all(isinstance(message, dict) for message in value)
        if not isinstance(value, str) and not messages:
            raise InputError(
                f"dataset `{name}`, column `{column}`: must hold text or messages, not {type(value).__name__}"
            )
        if isinstance(value, str) != isinstance(first["prompt"], str):
            raise InputError(
                f"dataset `{name}`: `prompt` and `{column}` must be of one form, both text or both messages"
            )


def _check_labels(dataset: Dataset, name: str) -> None:
    other = [label for label in dataset.unique("label") if label not in (0, 1)]  # True is 1
    if other:
        raise InputError(
            f"dataset `{name}`, column `label`: {other[0]!r} must be 1 or true (safe), or 0 or false (unsafe)"
        )
