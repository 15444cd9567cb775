"""`r1-trl merge`: a whole 16-bit model from an adapter and its base, for servers and for whatever takes no adapter."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trl import ModelConfig

from r1_trl.errors import InputError
from r1_trl.stages.adapters import Adapter, find_adapter, require_layers
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.merging import base_arguments, write_merged
from r1_trl.stages.models import check_model


@dataclass
class MergeConfig:
    """
    Settings of `r1-trl merge`.

    Parameters:
        model_name_or_path (`str`):
            The adapter: a folder, or an id on the Hub.
        model_revision (`str`, *optional*, defaults to `"main"`):
            Of the adapter on the Hub.
        output_dir (`str`):
            A folder that does not exist yet, or is empty.
        dtype (`str`, *optional*, defaults to `"bfloat16"`):
            Of the merged weights: `"bfloat16"` or `"float16"`.
        load_in_4bit (`bool`, *optional*):
            The adapter was trained on the 4-bit base. Defaults to what the `stage.json` beside the adapter says, and
            to `False` without one.
        bnb_4bit_quant_type (`str`, *optional*):
            `"nf4"` or `"fp4"`, as in training. Defaults to what `stage.json` says, and to `"nf4"` without one.
        use_bnb_nested_quant (`bool`, *optional*):
            Likewise; `False` without one.
    """

    model_name_or_path: str | None = field(default=None, metadata={"help": "The adapter: a folder or a Hub id."})
    model_revision: str = field(default="main", metadata={"help": "Revision of the adapter on the Hub."})
    output_dir: str | None = field(default=None, metadata={"help": "A folder that does not exist yet, or is empty."})
    dtype: str = field(
        default="bfloat16", metadata={"help": "Dtype of the merged weights.", "choices": ["bfloat16", "float16"]}
    )
    load_in_4bit: bool | None = field(
        default=None, metadata={"help": "The adapter was trained on the 4-bit base; by default as stage.json says."}
    )
    bnb_4bit_quant_type: str | None = field(
        default=None,
        metadata={"help": "Quantisation in training; by default as stage.json says.", "choices": ["fp4", "nf4"]},
    )
    use_bnb_nested_quant: bool | None = field(
        default=None, metadata={"help": "Nested quantisation in training; by default as stage.json says."}
    )

    def __post_init__(self) -> None:
        if self.dtype not in ("bfloat16", "float16"):
            raise InputError(f"`dtype: {self.dtype}` must be `bfloat16` or `float16`")


def make_parser() -> StageParser:
    """The parser of `r1-trl merge`."""
    return StageParser("merge", "writes the whole 16-bit model of an adapter and its base", [MergeConfig])


def main(argv: list[str]) -> None:
    """Runs the command.

    Args:
        argv (`list[str]`): The words after `r1-trl merge`.

    Raises:
        InputError: Before any model loads.
    """
    (config,) = make_parser().parse(argv)
    adapter, output_dir = check_merge(config)
    base_args = base_arguments(adapter, config)
    name, arguments = str(config.model_name_or_path), arguments_as_dict(config)
    write_merged(adapter, base_args, config.dtype, output_dir, name, arguments)
    print(f"{output_dir}: {adapter.path} merged in {config.dtype} into {describe_base(adapter, base_args)}")


def check_merge(config: MergeConfig) -> tuple[Adapter, Path]:
    """The adapter and the folder for the merged model.

    Args:
        config ([`MergeConfig`]): What the user asked for.

    Raises:
        InputError: There is no adapter, it cannot be merged, or the folder is taken.

    >>> check_merge(MergeConfig("miniature:base", output_dir="runs/merged"))
    Traceback (most recent call last):
    r1_trl.errors.InputError: `model_name_or_path: miniature:base` is a whole model: there is no adapter to merge
    """
    path = check_model(
        ModelConfig(model_name_or_path=config.model_name_or_path, model_revision=config.model_revision),
        allow_adapter=True,
    )
    adapter = find_adapter(path, config.model_revision)
    if adapter is None:
        raise InputError(
            f"`model_name_or_path: {config.model_name_or_path}` is a whole model: there is no adapter to merge"
        )
    require_layers(adapter, "merging")
    if not config.output_dir:
        raise InputError("`output_dir` is missing: name a new folder for the merged model")
    output_dir = Path(config.output_dir).expanduser()
    if output_dir.exists() and not (output_dir.is_dir() and not any(output_dir.iterdir())):
        raise InputError(f"`output_dir: {config.output_dir}` exists and is not empty: name a new folder")
    return adapter, output_dir


def describe_base(adapter: Adapter, base_args: ModelConfig) -> str:
    """The base as it went into the merged model, in words."""
    if base_args.load_in_4bit:
        return f"its 4-bit base {adapter.base} ({base_args.bnb_4bit_quant_type}), dequantised"
    if base_args.load_in_8bit:
        return f"its 8-bit base {adapter.base}, dequantised"
    hint = (
        "" if adapter.trained else ". Nothing says how it was trained: if on the 4-bit base, add --load_in_4bit true"
    )
    return f"its base {adapter.base}, not quantised{hint}"
