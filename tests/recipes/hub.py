"""Local stand-ins for the Hub's datasets: the columns, types and splits of `schemas.json`, with invented rows."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset, Features, List, Value

SCHEMAS = json.loads((Path(__file__).parent / "schemas.json").read_text(encoding="utf-8"))


def feature(kind: Any) -> Any:
    """A type of `datasets`.

    >>> feature("string"), feature([{"role": "string"}])
    (Value('string'), List({'role': Value('string')}))
    """
    if isinstance(kind, str):
        return Value(kind)
    if isinstance(kind, list):
        return List(feature(kind[0]))
    return {name: feature(part) for name, part in kind.items()}


def write_dataset(name: str, folder: Path) -> Path:
    """A folder in the layout of a Hub dataset: parquet files, and a card that names configuration and splits."""
    schema, local = SCHEMAS[name], folder / name
    if local.exists():
        return local
    rows = Dataset.from_list(schema["rows"], features=Features(feature(schema["features"])))
    for split in schema["splits"]:
        rows.to_parquet(local / "data" / f"{split}.parquet")
    files = [{"split": split, "path": f"data/{split}.parquet"} for split in schema["splits"]]
    card = {"configs": [{"config_name": schema["config"], "data_files": files}]}
    (local / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n", encoding="utf-8")
    return local


def localised(sources: list[Any], hub: Path, made: dict[str, Path]) -> list[Any]:
    """The sources of a recipe with local files in the place of what the Hub, or an earlier stage, would give.

    Args:
        sources (`list[R1DatasetConfig]`): As the recipe has them.
        hub (`Path`): Where the stand-ins go.
        made (`dict`): The end of a path -> a file as an earlier stage writes it.
    """
    return [replace(source, path=str(place(source.path, hub, made))) for source in sources]


def place(path: str, hub: Path, made: dict[str, Path]) -> Path:
    """The local file or folder that stands for a path."""
    return next((file for end, file in made.items() if path.endswith(end)), None) or write_dataset(path, hub)
