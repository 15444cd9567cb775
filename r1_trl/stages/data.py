"""The datasets that a stage asks for: one by its name, or a mixture of sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from datasets import Dataset, IterableDataset
from trl import DatasetMixtureConfig, ScriptArguments

from r1_trl.errors import InputError
from r1_trl.tasks.config import R1DatasetConfig, R1DatasetMixtureConfig
from r1_trl.tasks.mixture import load_mixture
from r1_trl.tasks.sources import check_text
from r1_trl.verifiers.grading import check_row

MIXTURE = "datasets"  # stands for the name of a mixture
_STREAMED = 256  # rows of a stream that are read before a run


@dataclass
class DataConfig:
    """
    The rows that a tool reads: one dataset, in place of the sources of a mixture.

    Parameters:
        dataset_name (`str`, *optional*):
            A file, a folder, a dataset of the Hub, an embedded one, or `reasoning_gym:TASK`. `--dataset` is the same
            flag.
        dataset_config (`str`, *optional*):
            Configuration of a folder or a Hub dataset.
        dataset_split (`str`, *optional*, defaults to `"train"`):
            Its split.
        dataset_streaming (`bool`, *optional*, defaults to `False`):
            Read rows as they are needed.
    """

    dataset_name: str | None = field(
        default=None,
        metadata={"help": "File, folder, dataset of the Hub, or an embedded one.", "aliases": ["--dataset"]},
    )
    dataset_config: str | None = field(default=None, metadata={"help": "Configuration of a folder or a Hub dataset."})
    dataset_split: str = field(default="train", metadata={"help": "Its split."})
    dataset_streaming: bool = field(default=False, metadata={"help": "Read rows as they are needed."})


def load_datasets(
    script_args: ScriptArguments, mixture_args: DatasetMixtureConfig, training_args: Any
) -> tuple[Dataset | IterableDataset, Dataset | IterableDataset | None]:
    """Loads the training set and, where the run evaluates, the held-out one.

    Args:
        script_args ([`~trl.ScriptArguments`]): `dataset_name` and its splits.
        mixture_args ([`~trl.DatasetMixtureConfig`]): `datasets`, a mixture, in place of `dataset_name`; TRL's class
            or [`R1DatasetMixtureConfig`], whose `test_split_size` and `prompt_format` hold for `dataset_name` too.
        training_args ([`~transformers.TrainingArguments`]): Its `eval_strategy` says whether the run evaluates.

    Returns:
        `tuple`: The training set and the held-out set or `None`. What is held out stays out of the training set
            whether the run evaluates or not.

    Raises:
        InputError: Neither or both are named, one cannot be loaded, or nothing is held out to evaluate on.
    """
    evaluates = str(getattr(training_args.eval_strategy, "value", training_args.eval_strategy)) != "no"
    mixture = as_mixture(mixture_args)
    if bool(mixture.datasets) == bool(script_args.dataset_name):
        raise InputError("name the data once: either `dataset_name` or `datasets` (a mixture)")
    if script_args.dataset_name:
        test_split = script_args.dataset_test_split if evaluates and mixture.test_split_size is None else None
        entry = R1DatasetConfig(
            script_args.dataset_name,
            script_args.dataset_config,
            split=script_args.dataset_train_split,
            test_split=test_split,
        )
        train, test = load_mixture(_alone(entry, mixture, script_args.dataset_streaming), False, "dataset_name")
        return train, test if evaluates else None
    if evaluates and mixture.test_split_size is None and not any(entry.test_split for entry in mixture.datasets):
        raise InputError(
            "a mixture that is evaluated on (`eval_strategy`) needs `test_split_size`, such as 0.01, or a source with "
            "a `test_split`"
        )
    train, test = load_mixture(mixture)
    return train, test if evaluates else None


def load_rows(
    config: DataConfig, mixture: R1DatasetMixtureConfig, held_out: bool = False
) -> tuple[str, Dataset | IterableDataset]:
    """Loads the rows of one dataset or of a mixture, for a tool that does not train.

    Args:
        config ([`DataConfig`]): The dataset's name.
        mixture ([`R1DatasetMixtureConfig`]): `datasets`, in place of it.
        held_out (`bool`, *optional*, defaults to `False`): Where `test_split_size` or a `test_split` holds rows out,
            take them instead of those to train on. Where nothing is held out, there is one side.

    Returns:
        `tuple`: What to call the rows, and the rows.

    Raises:
        InputError: Neither or both are named, or one cannot be loaded.
    """
    if bool(mixture.datasets) == bool(config.dataset_name):
        problem = "both are named" if config.dataset_name else "`dataset_name` is missing"
        raise InputError(f"{problem}: name the rows once, by `dataset_name` or by `datasets` (a mixture)")
    if mixture.datasets:
        name, (train, test) = MIXTURE, load_mixture(mixture)
    else:
        entry = R1DatasetConfig(str(config.dataset_name), config.dataset_config, split=config.dataset_split)
        alone = _alone(entry, mixture, config.dataset_streaming)
        name, (train, test) = entry.path, load_mixture(alone, False, "dataset_name")
    return name, test if held_out and test is not None else train


def as_mixture(mixture_args: DatasetMixtureConfig) -> R1DatasetMixtureConfig:
    """A mixture in our class, whichever it has.

    >>> as_mixture(DatasetMixtureConfig(datasets=[{"path": "rows.jsonl"}])).datasets[0].solution_format
    'as_is'
    """
    if isinstance(mixture_args, R1DatasetMixtureConfig):
        return mixture_args
    return R1DatasetMixtureConfig(**vars(mixture_args))


def _alone(entry: R1DatasetConfig, mixture: R1DatasetMixtureConfig, streaming: bool) -> R1DatasetMixtureConfig:
    return replace(mixture, datasets=[entry], streaming=streaming)


def check_verifiers(dataset: Dataset | IterableDataset, name: str) -> None:
    """Refuses a dataset with a row whose verifier does not exist, or lacks an extra, a compiler or its sandbox.

    Args:
        dataset ([`~datasets.Dataset`]): Any dataset; without the column `verifier`, every row is mathematics. Of a
            stream, the first rows are read.
        name (`str`): Its name, for the message.

    Raises:
        InputError: A verifier cannot work here.
    """
    if isinstance(dataset, IterableDataset):
        rows = [(row.get("verifier"), row.get("verifier_args")) for row in dataset.take(_STREAMED)]
    elif "verifier" in dataset.column_names:
        check_text(dataset, ["verifier_args"], name)
        args = dataset["verifier_args"] if "verifier_args" in dataset.column_names else [None] * len(dataset)
        rows = list(zip(dataset["verifier"], args, strict=True))
    else:
        rows = []
    for row in dict.fromkeys(rows):
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
