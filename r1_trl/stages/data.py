"""The datasets that a stage asks for, by TRL's own arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datasets import Dataset, IterableDataset
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from trl import DatasetMixtureConfig, ScriptArguments, get_dataset

from r1_trl.errors import InputError
from r1_trl.tasks.sources import check_text, load_split
from r1_trl.verifiers.grading import check_row

MIXTURE = "datasets"  # stands for the name of a mixture


def load_datasets(
    script_args: ScriptArguments, mixture_args: DatasetMixtureConfig, training_args: Any
) -> tuple[Dataset | IterableDataset, Dataset | IterableDataset | None]:
    """Loads the training set and, where the run evaluates, the held-out one.

    Args:
        script_args ([`~trl.ScriptArguments`]): `dataset_name` and its splits.
        mixture_args ([`~trl.DatasetMixtureConfig`]): `datasets`, a mixture, in place of `dataset_name`.
        training_args ([`~transformers.TrainingArguments`]): Its `eval_strategy` says whether the run evaluates.

    Returns:
        `tuple`: The training set and the held-out set or `None`.

    Raises:
        InputError: Neither or both are named, or one cannot be loaded.
    """
    evaluates = str(getattr(training_args.eval_strategy, "value", training_args.eval_strategy)) != "no"
    if bool(mixture_args.datasets) == bool(script_args.dataset_name):
        raise InputError("name the data once: either `dataset_name` or `datasets` (a mixture)")
    if mixture_args.datasets:
        if evaluates and mixture_args.test_split_size is None:
            raise InputError("a mixture that is evaluated on (`eval_strategy`) needs `test_split_size`, such as 0.01")
        try:
            mixture = get_dataset(mixture_args)
        except (DatasetNotFoundError, DatasetGenerationError, FileNotFoundError, ConnectionError, ValueError) as error:
            raise InputError(
                f"`datasets` cannot be loaded: check the paths and splits of its entries. {error}"
            ) from error
        return mixture["train"], mixture["test"] if evaluates else None

    def split(name: str) -> Dataset | IterableDataset:
        return load_split(
            str(script_args.dataset_name), name, script_args.dataset_config, script_args.dataset_streaming
        )

    return split(script_args.dataset_train_split), split(script_args.dataset_test_split) if evaluates else None


def check_verifiers(dataset: Dataset | IterableDataset, name: str) -> None:
    """Refuses a dataset with a row whose verifier does not exist, or lacks an extra, a compiler or its sandbox.

    Args:
        dataset ([`~datasets.Dataset`]): Any dataset; without the column `verifier`, every row is mathematics. A stream
            is not read for that.
        name (`str`): Its name, for the message.

    Raises:
        InputError: A verifier cannot work here.
    """
    if isinstance(dataset, Dataset) and "verifier" in dataset.column_names:
        args = dataset["verifier_args"] if "verifier_args" in dataset.column_names else [None] * len(dataset)
        check_text(dataset, ["verifier_args"], name)
        for row in dict.fromkeys(zip(dataset["verifier"], args, strict=True)):
            try:
                check_row(*row)
            except InputError as error:
                raise InputError(f"dataset `{name}`, column `verifier`: {error}") from error


def check_languages(dataset: Dataset | IterableDataset, reward: Callable[..., Any]) -> None:
    """Refuses a dataset with a language that takes an extra to tell, before the first completion asks for it.

    Args:
        dataset ([`~datasets.Dataset`]): Any dataset; without the column `language`, there is nothing to check.
        reward (`Callable`): A language consistency reward.

    Raises:
        MissingExtraError: The extra `language` is missing.
    """
    if isinstance(dataset, Dataset) and "language" in dataset.column_names:
        languages = sorted({language for language in dataset["language"] if language})
        reward(["<think> some words </think>"] * len(languages), language=languages)
