"""Two other starts than the model as it is: an adapter merged into its base, and the base again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trl import ModelConfig

from r1_trl.errors import InputError
from r1_trl.model_files import local_path
from r1_trl.stages.adapters import Adapter, find_adapter
from r1_trl.stages.merging import base_arguments, write_merged
from r1_trl.stages.record import hash_model, read_stage_record


def merged_start(adapter: Adapter, model_args: ModelConfig, training_args: Any) -> str:
    """Merges the adapter into its base, in `output_dir/merged`; a run that is resumed finds it there.

    It is a folder and no model in memory, so that a new adapter has a base to name and GRPO can load its reference.

    Args:
        adapter ([`Adapter`]): What the run starts from.
        model_args ([`~trl.ModelConfig`]): Its `dtype` is that of the merged weights.
        training_args ([`~transformers.TrainingArguments`]): Its `output_dir` is shared by all processes.

    Returns:
        `str`: The folder.

    Raises:
        InputError: Another adapter was merged there.
    """
    folder = Path(training_args.output_dir) / "merged"
    name = str(model_args.model_name_or_path)
    base_args = base_arguments(adapter)
    with training_args.main_process_first(local=False, desc="merging the adapter"):
        if not folder.is_dir():
            dtype = "float32" if model_args.dtype in (None, "auto") else str(model_args.dtype)
            write_merged(adapter, base_args, dtype, folder, name, {"model_name_or_path": name, "dtype": dtype})
    if read_stage_record(folder)["inputs"]["adapter"]["sha256"] != hash_model(adapter.path):
        raise InputError(
            f"`{folder}` was merged from another adapter than `model_name_or_path: {name}`: name a new `output_dir`"
        )
    model_args.model_revision = "main"
    return str(folder)


def start_from_base(model_args: ModelConfig) -> None:
    """Puts the base in the place of the model that was named, in place, and says so.

    Args:
        model_args ([`~trl.ModelConfig`]): `model_name_or_path` and `model_revision` change.

    Raises:
        InputError: There is nothing that it was trained from.
    """
    name = str(model_args.model_name_or_path)
    base, revision = find_base(name, model_args.model_revision)
    if base == name:
        raise InputError(
            f"`from_base` with `model_name_or_path: {name}`: it is no adapter, and no stage.json in it says what it "
            "was trained from. Name the base itself, and leave `from_base` out"
        )
    model_args.model_name_or_path, model_args.model_revision = base, revision


def find_base(name: str, revision: str = "main") -> tuple[str, str]:
    """The model that a chain of stages began with.

    An adapter's base is the one that it names. What a stage trained in full has its start in its `stage.json`. Both
    again and again, until a model says nothing of where it came from.

    Args:
        name (`str`): A folder, an id on the Hub, or `miniature:base`.
        revision (`str`, *optional*, defaults to `"main"`): Of a Hub id.

    Returns:
        `tuple[str, str]`: The base, which is `name` itself where nothing says more, and its revision.

    Raises:
        InputError: An adapter is not whole.

    >>> find_base("miniature:base")
    ('miniature:base', 'main')
    """
    seen = {name}
    start: str | None
    while True:
        adapter = find_adapter(name, revision)
        if adapter is not None:
            start, revision = adapter.base, adapter.base_revision
        else:
            record = read_stage_record(Path(local_path(name)))
            inputs = record.get("inputs", {})
            start = (inputs.get("model") or inputs.get("adapter") or {}).get("name")
            revision = record.get("arguments", {}).get("model_revision", revision)
        if start is None or start in seen:
            return name, revision
        seen.add(start)
        name = start
