"""Where the rows of a dataset come from: the embedded task, a local file or folder, or the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from datasets import Dataset, IterableDataset, get_dataset_split_names, load_dataset
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from r1_trl.errors import InputError
from r1_trl.miniature import PREFIX
from r1_trl.tasks.arithmetic import Split, cold_start_rows, pretraining_rows, question_rows

BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
# Rows of each split. The held-out questions number what the evaluation of the miniature asks, and a bit more.
QUESTIONS: dict[Split, int] = {"train": 8192, "validation": 64, "test": 1024}
COLD_START_ROWS = 8192
PRETRAINING_ROWS = 384_000
EMBEDDED = tuple(f"{PREFIX}{name}" for name in ("questions", "cold_start", "pretraining"))


def load_split(
    name: str, split: str = "train", config: str | None = None, streaming: bool = False
) -> Dataset | IterableDataset:
    """Loads one split of a dataset from wherever its name points.

    Args:
        name (`str`): `miniature:questions`, `miniature:cold_start` or `miniature:pretraining`; the path of a `.jsonl`,
            `.json`, `.csv` or `.parquet` file, which is one split whatever `split` says; the path of a folder; or a
            dataset of the Hub.
        split (`str`, *optional*, defaults to `"train"`): As in [`~datasets.load_dataset`].
        config (`str`, *optional*): Configuration of a folder or a Hub dataset.
        streaming (`bool`, *optional*, defaults to `False`): Read rows as they are needed.

    Returns:
        [`~datasets.Dataset`] or [`~datasets.IterableDataset`]

    Raises:
        InputError: There is no such file, folder, dataset or split.

    >>> load_split("miniature:questions", "test").column_names
    ['prompt', 'solution', 'language']
    """
    if name.startswith(PREFIX):
        return _embedded(name, split)
    suffix = Path(name).suffix
    if suffix in BUILDERS and "://" not in name:
        if not Path(name).is_file():
            raise InputError(f"`dataset_name: {name}`: no such file. Check the path, seen from {Path.cwd()}")
        try:
            loaded = load_dataset(BUILDERS[suffix], data_files=name, split="train", streaming=streaming)
        except (DatasetGenerationError, ValueError) as error:
            cause = error.__cause__ or error
            raise InputError(f"`dataset_name: {name}` cannot be read as {BUILDERS[suffix]}: {cause}") from error
        return cast("Dataset | IterableDataset", loaded)
    return _folder_or_hub(name, split, config, streaming)


def require_columns(dataset: Dataset | IterableDataset, columns: Iterable[str], name: str, purpose: str) -> None:
    """Refuses a dataset without a column that is needed.

    Args:
        dataset ([`~datasets.Dataset`]): With known column names; a stream without them is let pass.
        columns (`Iterable[str]`): What is needed.
        name (`str`): The dataset's name, for the message.
        purpose (`str`): Who needs it, as the subject of "needs".

    Raises:
        InputError: A column is missing.

    >>> rows = load_split("miniature:questions", "test")
    >>> require_columns(rows, ["problem"], "miniature:questions", "my_reward")
    Traceback (most recent call last):
    r1_trl.errors.InputError: dataset `miniature:questions` has no column `problem`, which my_reward needs: it has \
`prompt`, `solution`, `language`. Rename the column that holds it
    """
    present = dataset.column_names
    for column in columns:
        if present is not None and column not in present:
            has = ", ".join(f"`{other}`" for other in present)
            raise InputError(
                f"dataset `{name}` has no column `{column}`, which {purpose} needs: it has {has}. "
                "Rename the column that holds it"
            )


def check_text(dataset: Dataset | IterableDataset, columns: Iterable[str], name: str) -> None:
    """Refuses columns of numbers or of anything else that is neither text nor, for prompts, messages.

    Args:
        dataset ([`~datasets.Dataset`]): With known features; a stream without them is let pass.
        columns (`Iterable[str]`): Those to look at, where the dataset has them.
        name (`str`): The dataset's name, for the message.

    Raises:
        InputError: A column holds something else.

    >>> check_text(Dataset.from_list([{"solution": 4}]), ["solution"], "rows")
    Traceback (most recent call last):
    r1_trl.errors.InputError: dataset `rows`, column `solution`: must hold text, not int64. Write it as strings
    """
    for column in columns:
        feature = (dataset.features or {}).get(column)
        kind = getattr(feature, "dtype", "list")
        if feature is None or kind in ("string", "large_string") or (column == "prompt" and kind == "list"):
            continue
        raise InputError(f"dataset `{name}`, column `{column}`: must hold text, not {kind}. Write it as strings")


def _embedded(name: str, split: str) -> Dataset:
    if name == f"{PREFIX}questions" and split in QUESTIONS:
        return Dataset.from_list(question_rows(split, QUESTIONS[split]))
    if name == f"{PREFIX}cold_start" and split == "train":
        return Dataset.from_list(cold_start_rows(COLD_START_ROWS))
    if name == f"{PREFIX}pretraining" and split == "train":
        return Dataset.from_list(pretraining_rows(PRETRAINING_ROWS))
    known = {EMBEDDED[0]: ", ".join(QUESTIONS), EMBEDDED[1]: "train", EMBEDDED[2]: "train"}
    listed = "; ".join(f"`{dataset}` ({splits})" for dataset, splits in known.items())
    raise InputError(f"`dataset_name: {name}` with split `{split}`: the embedded datasets are {listed}")


def _folder_or_hub(name: str, split: str, config: str | None, streaming: bool) -> Dataset | IterableDataset:
    if name.startswith((".", "/", "~")) and not Path(name).expanduser().is_dir():
        raise InputError(f"`dataset_name: {name}`: no such folder. Check the path, seen from {Path.cwd()}")
    try:
        splits = get_dataset_split_names(name, config)
        if split.split("[")[0] not in splits:
            raise InputError(f"dataset `{name}` has no split `{split}`: it has {', '.join(map(str, splits))}")
        return cast("Dataset | IterableDataset", load_dataset(name, config, split=split, streaming=streaming))
    except DatasetGenerationError as error:
        raise InputError(f"`dataset_name: {name}` cannot be read: {error.__cause__ or error}") from error
    except (DatasetNotFoundError, FileNotFoundError, HfHubHTTPError, OfflineModeIsEnabled, ConnectionError) as error:
        known = f"a local file or folder, a dataset of the Hub, or one of {', '.join(EMBEDDED)}"
        raise InputError(f"`dataset_name: {name}` cannot be loaded: it must be {known}. {error}") from error
