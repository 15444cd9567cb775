"""The embedded datasets: their names, their splits and their sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from datasets import Dataset

from r1_trl.errors import InputError
from r1_trl.miniature import PREFIX
from r1_trl.tasks.arithmetic import Split, cold_start_rows, pretraining_rows, question_rows
from r1_trl.tasks.exercises import helpful_pair_rows, request_rows, request_sft_rows, safety_rows

Rows = Callable[..., list[dict[str, Any]]]

# Rows of each split. The held-out questions number what the evaluation of the miniature asks, and a bit more.
QUESTIONS: dict[Split, int] = {"train": 8192, "validation": 64, "test": 1024}
REQUESTS: dict[Split, int] = {"train": 1024, "validation": 64, "test": 128}
COLD_START_ROWS = 8192
PRETRAINING_ROWS = 384_000
PREFERENCE_ROWS: dict[Split, int] = {"train": 8192, "test": 512}


def _splits(rows: Rows, sizes: dict[Split, int], **options: Any) -> dict[str, Callable[[], list[dict[str, Any]]]]:
    return {split: partial(rows, split=split, size=size, **options) for split, size in sizes.items()}


EMBEDDED: dict[str, dict[str, Callable[[], list[dict[str, Any]]]]] = {
    f"{PREFIX}questions": _splits(question_rows, QUESTIONS),
    f"{PREFIX}cold_start": {"train": partial(cold_start_rows, COLD_START_ROWS)},
    f"{PREFIX}pretraining": {"train": partial(pretraining_rows, PRETRAINING_ROWS)},
    f"{PREFIX}requests": _splits(request_rows, REQUESTS, harmful_share=0.0),
    f"{PREFIX}harmful_requests": _splits(request_rows, REQUESTS, harmful_share=1.0),
    f"{PREFIX}requests_sft": {"train": partial(request_sft_rows, 8192)},
    f"{PREFIX}helpful_pairs": _splits(helpful_pair_rows, PREFERENCE_ROWS),
    f"{PREFIX}safety_labels": _splits(safety_rows, PREFERENCE_ROWS),
}


def load_embedded(name: str, split: str, key: str = "dataset_name") -> Dataset:
    """Makes one split of an embedded dataset.

    Args:
        name (`str`): Of [`EMBEDDED`].
        split (`str`): Of the dataset.
        key (`str`, *optional*, defaults to `"dataset_name"`): The setting that holds the name, for messages.

    Raises:
        InputError: There is no such dataset or split.

    >>> load_embedded("miniature:requests", "test").num_rows
    128
    """
    make = EMBEDDED.get(name, {}).get(split)
    if make is None:
        listed = "; ".join(f"`{dataset}` ({', '.join(splits)})" for dataset, splits in EMBEDDED.items())
        raise InputError(f"`{key}: {name}` with split `{split}`: the embedded datasets are {listed}")
    return Dataset.from_list(make())
