"""Where the rows of a dataset come from: the embedded task, reasoning-gym, a local file or folder, or the Hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from datasets import Dataset, IterableDataset, get_dataset_split_names, load_dataset
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from r1_trl.errors import InputError
from r1_trl.miniature import PREFIX
from r1_trl.tasks.embedded import EMBEDDED, load_embedded
from r1_trl.tasks.generated import GENERATED, load_generated

BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}


def load_split(
    name: str,
    split: str = "train",
    config: str | None = None,
    streaming: bool = False,
    reasoning_gym: Mapping[str, Any] | None = None,
    key: str = "dataset_name",
    **files: Any,
) -> Dataset | IterableDataset:
    """Loads one split of a dataset from wherever its name points.

    Args:
        name (`str`): `miniature:questions` or another embedded dataset; `reasoning_gym:TASK`; the path of a `.jsonl`,
            `.json`, `.csv` or `.parquet` file, which is one split whatever `split` says; the path of a folder; or a
            dataset of the Hub.
        split (`str`, *optional*, defaults to `"train"`): As in [`~datasets.load_dataset`].
        config (`str`, *optional*): Configuration of a folder or a Hub dataset.
        streaming (`bool`, *optional*, defaults to `False`): Read rows as they are needed.
        reasoning_gym (`Mapping`, *optional*): Options of [`~r1_trl.tasks.generated.load_generated`].
        key (`str`, *optional*, defaults to `"dataset_name"`): The setting that holds the name, for messages.
        **files: `data_dir` and `data_files`, as in [`~datasets.load_dataset`].

    Returns:
        [`~datasets.Dataset`] or [`~datasets.IterableDataset`]

    Raises:
        InputError: There is no such file, folder, dataset, task or split.

    >>> load_split("miniature:questions", "test").column_names
    ['prompt', 'solution', 'language']
    """
    given = {key: value for key, value in files.items() if value is not None}
    if reasoning_gym is not None and not name.startswith(GENERATED):
        raise InputError(f"`reasoning_gym: {dict(reasoning_gym)}` needs a path `{GENERATED}TASK`, not `{name}`")
    if name.startswith((PREFIX, GENERATED)) and given:
        raise InputError(f"`{name}` takes no `{next(iter(given))}`: it is made, not read from files")
    if name.startswith(PREFIX):
        embedded = load_embedded(name, split, key)
        return embedded.to_iterable_dataset() if streaming else embedded
    if name.startswith(GENERATED):
        return load_generated(name, split, reasoning_gym, streaming)
    if is_file(name):
        return _file(name, streaming, key)
    return _folder_or_hub(name, split, config, streaming, key, given)


def is_file(name: str) -> bool:
    """Whether a dataset's name is the path of one file, which has no splits.

    >>> is_file("rows.jsonl"), is_file("openai/gsm8k")
    (True, False)
    """
    return Path(name).suffix in BUILDERS and "://" not in name


def require_local(name: str, key: str = "dataset_name") -> None:
    """Refuses the name of a dataset that can be nothing else than a local path, and is none.

    Args:
        name (`str`): The dataset's name.
        key (`str`, *optional*, defaults to `"dataset_name"`): The setting that holds it, for the message.

    Raises:
        InputError: There is no such file or folder.
    """
    if is_file(name):
        kind, found = "file", Path(name).is_file()
    else:
        kind, found = "folder", not name.startswith((".", "/", "~")) or Path(name).expanduser().is_dir()
    if not found:
        raise InputError(f"`{key}: {name}`: no such {kind}. Check the path, seen from {Path.cwd()}")


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


def _file(name: str, streaming: bool, key: str) -> Dataset | IterableDataset:
    require_local(name, key)
    builder = BUILDERS[Path(name).suffix]
    try:
        loaded = load_dataset(builder, data_files=name, split="train", streaming=streaming)
    except (DatasetGenerationError, ValueError) as error:
        raise InputError(f"`{key}: {name}` cannot be read as {builder}: {error.__cause__ or error}") from error
    return cast("Dataset | IterableDataset", loaded)


def _folder_or_hub(
    name: str, split: str, config: str | None, streaming: bool, key: str, files: dict[str, Any]
) -> Dataset | IterableDataset:
    require_local(name, key)
    try:
        splits = get_dataset_split_names(name, config, **files)
        if split.split("[")[0] not in splits:
            raise InputError(f"dataset `{name}` has no split `{split}`: it has {', '.join(map(str, splits))}")
        loaded = load_dataset(name, config, split=split, streaming=streaming, **files)
        return cast("Dataset | IterableDataset", loaded)
    except InputError:
        raise
    except (DatasetGenerationError, ValueError) as error:
        raise InputError(f"`{key}: {name}` cannot be read: {error.__cause__ or error}") from error
    except (DatasetNotFoundError, FileNotFoundError, HfHubHTTPError, OfflineModeIsEnabled, ConnectionError) as error:
        known = f"a local file or folder, a dataset of the Hub, `{GENERATED}TASK`, or one of {', '.join(EMBEDDED)}"
        raise InputError(f"`{key}: {name}` cannot be loaded: it must be {known}. {error}") from error
