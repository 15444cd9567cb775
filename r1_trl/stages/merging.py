"""From an adapter and its base to one model: how the base was in training, and the sum of the two.

An adapter that was trained on a 4-bit base has learnt to go with the rounded weights of that base. So its base is
quantised as in training and dequantised again, and the adapter is added to *those* weights: what comes out is what was
trained, up to rounding. Added to the original weights, it would be another model.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import getpid
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoConfig, PreTrainedModel
from trl import ModelConfig, get_quantization_config

from r1_trl.stages.adapters import QUANTISATION, Adapter, load_adapter, load_processing_class
from r1_trl.stages.record import hash_model, write_stage_record


def write_merged(
    adapter: Adapter, base_args: ModelConfig, dtype: str, output_dir: Path, name: str, arguments: Mapping[str, Any]
) -> None:
    """Writes the merged model with its tokenizer and its `stage.json`, as a whole or not at all.

    Args:
        adapter ([`Adapter`]): The adapter.
        base_args ([`~trl.ModelConfig`]): As [`base_arguments`] returns them.
        dtype (`str`): Of the merged weights.
        output_dir (`Path`): A folder that is empty or does not exist.
        name (`str`): What the user called the adapter, for the record.
        arguments (`Mapping`): Settings, for the record.
    """
    started = time.monotonic()
    merged = merge(adapter, base_args).to(getattr(torch, dtype))
    with whole_folder(output_dir) as folder:
        merged.save_pretrained(folder)
        load_processing_class(adapter).save_pretrained(folder)
        inputs = {
            "adapter": {"name": name, "sha256": hash_model(adapter.path)},
            "base": {"name": adapter.base, "sha256": hash_model(adapter.base)},
        }
        # The settings of the base last: `dtype` is that of the merged weights.
        base = {**{name: getattr(base_args, name) for name in QUANTISATION}, "base_dtype": base_args.dtype}
        write_stage_record(str(folder), "merge", {**arguments, **base}, inputs, {}, time.monotonic() - started)


def base_arguments(adapter: Adapter, given: Any = None) -> ModelConfig:
    """How the adapter's base was loaded in training: by the flags, else by the base itself, else by the record.

    Args:
        adapter ([`Adapter`]): Its `trained` is the record.
        given ([`~r1_trl.stages.merge.MergeConfig`], *optional*): The flags; `None` in a flag leaves it open.

    Returns:
        [`~trl.ModelConfig`]: Quantisation and dtype; `"auto"`, the checkpoint's own, where nothing says which.
    """
    settings: dict[str, Any] = {"dtype": "auto", **adapter.trained}
    base_config = AutoConfig.from_pretrained(adapter.base, revision=adapter.base_revision)
    quantised = getattr(base_config, "quantization_config", {})  # a checkpoint that was saved in 4 bits
    settings |= {name: quantised[name] for name in QUANTISATION if name in quantised}
    for name in QUANTISATION:
        value = getattr(given, name, None)
        if value is not None:
            settings[name] = value
    if getattr(given, "load_in_4bit", None) is not None:
        settings["load_in_8bit"] = False
    return ModelConfig(**settings)


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
