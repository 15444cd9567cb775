"""`r1-trl merge`: a whole 16-bit model from an adapter and its base, for servers and for whatever takes no adapter.

An adapter that was trained on a 4-bit base has learnt to go with the rounded weights of that base. So its base is
quantised as in training and dequantised again, and the adapter is added to *those* weights: what comes out is what was
trained, up to 16-bit rounding. Added to the original weights, it would be another model.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import getpid
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoConfig, PreTrainedModel
from trl import ModelConfig, get_quantization_config

from r1_trl.errors import InputError
from r1_trl.stages.adapters import (
    QUANTISATION,
    Adapter,
    find_adapter,
    load_adapter,
    load_processing_class,
    require_layers,
)
from r1_trl.stages.arguments import StageParser, arguments_as_dict
from r1_trl.stages.models import check_model
from r1_trl.stages.record import hash_model, write_stage_record


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
    started = time.monotonic()
    (config,) = make_parser().parse(argv)
    adapter, output_dir = check_merge(config)
    base_args = base_arguments(config, adapter)
    merged = merge(adapter, base_args).to(getattr(torch, config.dtype))
    with whole_folder(output_dir) as folder:
        merged.save_pretrained(folder)
        load_processing_class(adapter).save_pretrained(folder)
        inputs = {
            "adapter": {"name": config.model_name_or_path, "sha256": hash_model(adapter.path)},
            "base": {"name": adapter.base, "sha256": hash_model(adapter.base)},
        }
        # The settings of the base first: `dtype` is that of the merged weights.
        arguments = {**{name: getattr(base_args, name) for name in QUANTISATION}, "base_dtype": base_args.dtype}
        arguments = {**arguments_as_dict(config), **arguments}
        write_stage_record(str(folder), "merge", arguments, inputs, {}, time.monotonic() - started)
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


def base_arguments(config: MergeConfig, adapter: Adapter) -> ModelConfig:
    """How the adapter's base was loaded in training: by the flags, else by the base itself, else by the record.

    Args:
        config ([`MergeConfig`]): The flags.
        adapter ([`Adapter`]): Its `trained` is the record.

    Returns:
        [`~trl.ModelConfig`]: Quantisation and dtype; `"auto"`, the checkpoint's own, where nothing says which.
    """
    settings: dict[str, Any] = {"dtype": "auto", **adapter.trained}
    base_config = AutoConfig.from_pretrained(adapter.base, revision=adapter.base_revision)
    quantised = getattr(base_config, "quantization_config", {})  # a checkpoint that was saved in 4 bits
    settings |= {name: quantised[name] for name in QUANTISATION if name in quantised}
    for name in QUANTISATION:
        value = getattr(config, name, None)
        if value is not None:
            settings[name] = value
    if config.load_in_4bit is not None:
        settings["load_in_8bit"] = False
    return ModelConfig(**settings)


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


def merge(adapter: Adapter, base_args: ModelConfig) -> PreTrainedModel:
    """The base with the adapter's changes added to its weights, on the CPU, in the dtype that the base trained in.

    Args:
        adapter ([`Adapter`]): The adapter.
        base_args ([`~trl.ModelConfig`]): As [`base_arguments`] returns them.
    """
    kwargs: dict[str, Any] = {"dtype": base_args.dtype, "device_map": "cpu"}
    # `auto` is no dtype to compute in, and nothing is computed here.
    quantisation = {name: getattr(base_args, name) for name in QUANTISATION}
    quantization_config = get_quantization_config(ModelConfig(**quantisation))
    if quantization_config is not None:
        kwargs["quantization_config"] = quantization_config
    model = load_adapter(adapter, is_trainable=False, dequantize=True, **kwargs)
    untie_tuned_embeddings(model)
    merged: PreTrainedModel = model.merge_and_unload()
    return merged


def untie_tuned_embeddings(model: PeftModel) -> None:
    """Gives the output embedding its own matrix where it shares that of the input embedding and an adapter changes one
    of the two, whose change would otherwise be merged into both.

    Args:
        model ([`~peft.PeftModel`]): The base with its adapter.
    """
    base: Any = model.get_base_model()
    ends: tuple[Any, Any] = (base.get_input_embeddings(), base.get_output_embeddings())
    layers: list[Any] = [end.get_base_layer() if isinstance(end, BaseTunerLayer) else end for end in ends]
    if layers[1] is not None and layers[0].weight is layers[1].weight and layers != list(ends):
        layers[1].weight = torch.nn.Parameter(layers[1].weight.detach().clone(), requires_grad=False)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder that is there as a whole or not at all, whenever the process dies.

    Args:
        path (`Path`): Its name in the end; an empty folder may stand there.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "merged"
    >>> with whole_folder(target) as folder:
    ...     _ = (folder / "file").write_text("")
    ...     print(target.exists())
    False
    >>> [file.name for file in target.iterdir()]
    ['file']
    """
    unfinished = path.with_name(f".{path.name}.{getpid()}")
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
