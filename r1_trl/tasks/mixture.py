"""Several sources as one training set, and what is held out of them.

How many rows each gives. Without weights, all of its rows, in the order of the sources. With `weight`, its share of
`mixture_size` rows: a source is gone through in whole passes, each in a new random order, and the last one in part, so
no row occurs more than once oftener than another. With TRL's `fraction`, its first rows, none twice. A stream with
weights draws the source of each row, starts a source again at its end, and stops when every one has ended once.

Who is held out. `test_split`, where a source has one, otherwise the share `test_split_size` of its questions, by their
hash. A training row whose question is in a `test_split` of any source is dropped, and so is one that the hash holds
out in another source: a question is on the same side in all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset, IterableDataset, concatenate_datasets, interleave_datasets

from r1_trl.errors import InputError
from r1_trl.tasks.columns import Conversion, unify
from r1_trl.tasks.config import R1DatasetConfig, R1DatasetMixtureConfig
from r1_trl.tasks.feature_types import Rows
from r1_trl.tasks.questions import QUESTION_COLUMNS, is_held_out, normalise, question_of
from r1_trl.tasks.sources import is_file, load_split

logger = logging.getLogger(__name__)


def load_source(entry: R1DatasetConfig, streaming: bool, split: str | None = None, key: str = "path") -> Rows:
    """One split of a source, as it is.

    Args:
        entry ([`R1DatasetConfig`]): Where it comes from.
        streaming (`bool`): Whether to read rows as they are needed.
        split (`str`, *optional*): Instead of the entry's own.
        key (`str`, *optional*, defaults to `"path"`): The setting that names it, for messages.

    Raises:
        InputError: It cannot be loaded.
    """
    if entry.test_split is not None and is_file(entry.path):
        raise InputError(
            f"`{key}: {entry.path}` is one file, so `test_split: {entry.test_split}` would be what it trains on: hold "
            "out questions by `test_split_size`, such as 0.05"
        )
    options = entry.reasoning_gym
    if entry.size is not None and entry.path.startswith("reasoning_gym:"):
        options = {"size": entry.size, **(options or {})}
    return load_split(
        entry.path,
        split or entry.split,
        entry.name,
        streaming,
        options,
        key,
        data_dir=entry.data_dir,
        data_files=entry.data_files,
    )


def load_mixture(
    mixture: R1DatasetMixtureConfig, names_source: bool = True, key: str = "path"
) -> tuple[Rows, Rows | None]:
    """The training set, and the held-out one where a setting asks for it.

    Args:
        mixture ([`R1DatasetMixtureConfig`]): At least one source.
        names_source (`bool`, *optional*, defaults to `True`): Whether rows get the name of their source.
        key (`str`, *optional*, defaults to `"path"`): The setting that names a source, for messages.

    Returns:
        `tuple`: Two sets of rows with the same columns; the second is `None` where nothing is held out.

    Raises:
        InputError: A source cannot be loaded, lacks a column, or does not fit the others.
    """
    loaded = [(entry, entry.split, entry.test_split is None) for entry in mixture.datasets]
    loaded += [(entry, entry.test_split, False) for entry in mixture.datasets if entry.test_split]
    conversions = [
        Conversion(load_source(entry, mixture.streaming, split, key), entry, mixture, names_source)
        for entry, split, _ in loaded
    ]
    features = unify(conversions)
    rows = [without_gaps(conversion.convert(features), conversion) for conversion in conversions]
    count = len(mixture.datasets)
    train, test = rows[:count], rows[count:]
    if test:
        train = drop_questions(train, test)
    by_question = [index for index, (_, _, without_split) in enumerate(loaded[:count]) if without_split]
    if mixture.test_split_size is not None and by_question:
        test += [_side(train[index], mixture.test_split_size, held_out=True) for index in by_question]
        train = [_side(rows, mixture.test_split_size, held_out=False) for rows in train]
    return combine(train, mixture), concatenate_datasets(test) if test else None


def _side(rows: Rows, share: float, held_out: bool) -> Rows:
    return rows.filter(_is_on_side, fn_kwargs={"share": share, "held_out": held_out}, **_uncached(rows))


def _is_on_side(row: dict[str, Any], share: float, held_out: bool) -> bool:
    return is_held_out(question_of(row), share) == held_out


def _uncached(rows: Rows) -> dict[str, Any]:
    return {"load_from_cache_file": False} if isinstance(rows, Dataset) else {}


def without_gaps(rows: Rows, conversion: Conversion) -> Rows:
    """The rows that have a question; what is missing is told.

    Args:
        rows ([`~datasets.Dataset`] or [`~datasets.IterableDataset`]): After the conversion.
        conversion ([`~r1_trl.tasks.columns.Conversion`]): What made them.

    Raises:
        InputError: No row has a question, or `solution_format` finds no gold in any.
    """
    entry, asks = conversion.entry, "prompt" in conversion.features
    if isinstance(rows, IterableDataset):
        return rows.filter(_has_prompt) if asks else rows
    if entry.solution_format != "as_is" and len(rows):
        missing = sum(gold is None for gold in rows["solution"])
        where = f"dataset `{entry.display_name}`: `solution_format: {entry.solution_format}`"
        if missing == len(rows):
            raise InputError(f"{where} finds no gold in any of {missing} rows: name the column and the format")
        if missing:
            logger.warning("%s finds no gold in %d of %d rows: they cannot be graded", where, missing, len(rows))
    if not asks or not rows.data.column("prompt").null_count:
        return rows
    kept = [index for index, prompt in enumerate(rows["prompt"]) if prompt]
    if not kept:
        raise InputError(f"dataset `{entry.display_name}`: no row has a question")
    logger.warning("dataset `%s`: %d rows without a question are left out", entry.display_name, len(rows) - len(kept))
    return rows.select(kept)


def _has_prompt(row: dict[str, Any]) -> bool:
    return bool(row["prompt"])


def drop_questions(train: Sequence[Rows], test: Sequence[Rows]) -> list[Rows]:
    """The training rows whose question is in no held-out row; how many others there are is told, but for streams."""
    held_out = {normalise(question_of(row)) for rows in test for row in _asking(rows)}
    free: list[Rows] = []
    for rows in train:
        if isinstance(rows, IterableDataset):
            free.append(rows.filter(_is_free, fn_kwargs={"held_out": held_out}))
            continue
        kept = [index for index, row in enumerate(_asking(rows)) if _is_free(row, held_out)]
        if len(kept) < len(rows):
            dropped = len(rows) - len(kept)
            logger.warning("%d training rows ask a question of the held-out rows and are left out", dropped)
        free.append(rows.select(kept) if len(kept) < len(rows) else rows)
    return free


def _asking(rows: Rows) -> Rows:
    """The rows with the columns alone that hold the question: others may be long."""
    return rows.select_columns([name for name in QUESTION_COLUMNS if name in (rows.column_names or [])])


def _is_free(row: dict[str, Any], held_out: set[str]) -> bool:
    return normalise(question_of(row)) not in held_out


def combine(sources: Sequence[Rows], mixture: R1DatasetMixtureConfig) -> Rows:
    """One set of rows out of all sources, by the rule of this module.

    Args:
        sources (`Sequence`): The rows of each entry of `mixture.datasets`.
        mixture ([`R1DatasetMixtureConfig`]): Weights, fractions, sizes and the seed.
    """
    entries, seed = mixture.datasets, mixture.mixture_seed
    limited = [_at_most(rows, entry.size, seed) for rows, entry in zip(sources, entries, strict=True)]
    weights = [entry.weight for entry in entries if entry.weight is not None]
    fractions = [entry.fraction for entry in entries if entry.fraction is not None]
    if weights and mixture.streaming:
        shares = [weight / sum(weights) for weight in weights]
        drawn = interleave_datasets(limited, shares, seed, stopping_strategy="all_exhausted")
        return drawn if mixture.mixture_size is None else drawn.take(mixture.mixture_size)
    if weights:
        total = mixture.mixture_size or sum(map(len, limited))
        counts = split_total(total, weights)
        limited = [_passes(rows, count, seed) for rows, count in zip(limited, counts, strict=True)]
    if fractions:
        shares = [fraction / sum(fractions) for fraction in fractions]
        most = min(len(rows) / share for rows, share in zip(limited, shares, strict=True))
        limited = [rows.select(range(round(share * most))) for rows, share in zip(limited, shares, strict=True)]
    return limited[0] if len(limited) == 1 else concatenate_datasets(limited)


def split_total(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers in proportion to the weights, with the given sum: the largest remainders are rounded up.

    >>> split_total(10, [1, 1, 1])
    [4, 3, 3]
    """
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [int(number) for number in exact]
    order = sorted(range(len(weights)), key=lambda index: counts[index] - exact[index])
    for index in order[: total - sum(counts)]:
        counts[index] += 1
    return counts


def _passes(rows: Dataset, count: int, seed: int) -> Dataset:
    if not len(rows):
        raise InputError("`datasets`: a source with a `weight` has no row: leave it out")
    generator = np.random.default_rng(seed)
    passes = [generator.permutation(len(rows)) for _ in range(-(-count // len(rows)))]
    return rows.select(np.concatenate(passes)[:count] if passes else [])


def _at_most(rows: Rows, size: int | None, seed: int) -> Rows:
    if size is None:
        return rows
    if isinstance(rows, IterableDataset):
        return rows.take(size)
    if size >= len(rows):
        return rows
    return rows.select(sorted(np.random.default_rng(seed).permutation(len(rows))[:size]))
