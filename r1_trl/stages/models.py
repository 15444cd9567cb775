"""The model that a stage starts from: found, described to the trainer, and refused early when it is none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoConfig
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from trl import GRPOConfig, ModelConfig, get_peft_config, get_quantization_config

from r1_trl.errors import InputError
from r1_trl.miniature import resolve_model_path
from r1_trl.precision import compute_dtype
from r1_trl.stages.adapters import (
    LORA_SETTINGS,
    QUANTISATION,
    Adapter,
    check_lora_settings,
    find_adapter,
    load_adapter,
    load_processing_class,
    require_layers,
)
from r1_trl.stages.arguments import read_yaml
from r1_trl.stages.config_flag import split_config_flag
from r1_trl.stages.start import merged_start, start_from_base
from r1_trl.tracking.trackers import installed_trackers

_REMEDY = "Name a folder with a config.json, a model of the Hub, or `miniature:base`"


@dataclass
class R1ModelConfig(ModelConfig):
    """
    [`~trl.ModelConfig`] whose dtype follows what is trained, and on what.

    Parameters:
        dtype (`str`, *optional*):
            Of the model's weights as they are loaded, and of the computation on a 4-bit base. By default float32 where
            they are trained, since small updates round away in 16 bits; under an adapter, where they are frozen, what
            the hardware computes in ([`~r1_trl.precision.compute_dtype`]).
        merge_adapter (`bool`, *optional*, defaults to `False`):
            `model_name_or_path` is an adapter, which is merged into its base first, in `output_dir/merged`. The run
            starts from that model: in full, or with a new adapter (`use_peft`). Without it, the adapter trains on.
        from_base (`bool`, *optional*, defaults to `False`):
            Start from the base again: what the adapter, or the stages that led to `model_name_or_path`, started from
            ([`~r1_trl.stages.start.find_base`]).

    Raises:
        InputError: Both are set.
    """

    dtype: str | None = field(
        default=None,
        metadata={
            "help": "Dtype of the loaded weights; by default float32 where they are trained, and under an adapter "
            "bfloat16, or float16 on a GPU without it, or float32 on a CPU.",
            "choices": ["auto", "bfloat16", "float16", "float32"],
        },
    )
    merge_adapter: bool = field(
        default=False, metadata={"help": "Merge the adapter that the run starts from into its base first."}
    )
    from_base: bool = field(
        default=False, metadata={"help": "Start from what the adapter or the stage was trained from."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.merge_adapter and self.from_base:
            raise InputError(
                "`merge_adapter` and `from_base` exclude each other: the one starts from what the adapter has learnt, "
                "the other without it"
            )


def check_model(model_args: ModelConfig, allow_adapter: bool = False) -> str:
    """Makes sure that there is a model behind `model_name_or_path`, without loading its weights.

    Args:
        model_args ([`~trl.ModelConfig`]): What the user asked for.
        allow_adapter (`bool`, *optional*, defaults to `False`): Take an adapter as well, which names its base.

    Returns:
        `str`: A local folder or a Hub id that transformers can load. An adapter of the Hub is a folder of the cache.

    Raises:
        InputError: Nothing was named, or there is no model.

    >>> check_model(ModelConfig(model_name_or_path="./nowhere"))
    Traceback (most recent call last):
    r1_trl.errors.InputError: `model_name_or_path: ./nowhere`: no such folder. Name a folder with a config.json, a \
model of the Hub, or `miniature:base`
    """
    if getattr(model_args, "from_base", False) and model_args.model_name_or_path:
        start_from_base(model_args)
    name = model_args.model_name_or_path
    if not name:
        raise InputError(f"`model_name_or_path` is missing. {_REMEDY}")
    require_folder(name)
    path = resolve_model_path(name)
    folder = Path(path).expanduser()
    adapter = find_adapter(name, model_args.model_revision)
    if adapter is not None and not allow_adapter:
        merge = "merge it into its base first (`r1-trl merge`) and name that folder"
        raise InputError(f"`model_name_or_path: {name}` is an adapter and no whole model: {merge}")
    if adapter is not None:
        return adapter.path
    if getattr(model_args, "merge_adapter", False):
        raise InputError(
            f"`merge_adapter` with `model_name_or_path: {name}`, which is a whole model: there is nothing to merge. "
            "Leave it out"
        )
    if not folder.is_dir():
        _read_config(path, name, model_args)
        return path
    if not (folder / "config.json").is_file():
        raise InputError(f"`model_name_or_path: {name}` holds no model: there is no config.json in it. {_REMEDY}")
    _read_config(str(folder), name, model_args)
    if not any(folder.glob("tokenizer*")):
        raise InputError(f"`model_name_or_path: {name}` holds no tokenizer: save it there as well")
    return str(folder)


def require_folder(name: str) -> None:
    """Refuses the name of a model that can be nothing else than a local path, and is none.

    Args:
        name (`str`): `model_name_or_path`.

    Raises:
        InputError: There is no such folder.
    """
    folder = Path(resolve_model_path(name)).expanduser()
    if not folder.is_dir() and (name.startswith((".", "/", "~", "miniature:")) or name.count("/") > 1):
        raise InputError(f"`model_name_or_path: {name}`: no such folder. {_REMEDY}")


def _read_config(path: str, name: str, model_args: ModelConfig) -> None:
    try:
        AutoConfig.from_pretrained(path, revision=model_args.model_revision)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"`model_name_or_path: {name}` cannot be loaded. {_REMEDY}. {error}") from error


def given_settings(argv: Iterable[str]) -> set[str]:
    """Names of the settings that the user wrote down, as flags or as keys of the `--config` file.

    >>> sorted(given_settings(["--lora_r", "8", "--lora-alpha=16"]))
    ['lora_alpha', 'lora_r']
    """
    words = split_config_flag(argv)
    names = {word[2:].split("=")[0].replace("-", "_") for word in words if word.startswith("--")}
    if "--config" in words:
        names |= {str(key) for key in read_yaml(words[words.index("--config") + 1])}
    return names


def settle_model_args(
    path: str, model_args: ModelConfig, training_args: Any, given: Collection[str] = frozenset()
) -> None:
    """Fills in what the user left open, in place: the dtype, and for an adapter its own configuration.

    An adapter's base is quantised as it was when the adapter was trained (by the `stage.json` beside it), unless
    `load_in_4bit` or `load_in_8bit` is given.

    Args:
        path (`str`): As [`check_model`] returns it.
        model_args ([`~trl.ModelConfig`]): What the user asked for.
        training_args ([`~transformers.TrainingArguments`]): `use_cpu` is read.
        given (`Collection[str]`, *optional*): Names of the settings that the user wrote down.

    Raises:
        InputError: A given setting conflicts with the adapter's own, or the adapter cannot be trained on.
    """
    adapter = find_adapter(path, model_args.model_revision)
    if adapter is not None and getattr(model_args, "merge_adapter", False):
        require_layers(adapter, "merging")
    elif adapter is not None:
        require_layers(adapter, "training")
        check_lora_settings(adapter, model_args, given)
        model_args.use_peft = True
        for flag, own in LORA_SETTINGS.items():
            if own in adapter.settings:
                setattr(model_args, flag, adapter.settings[own])
        if not {"load_in_4bit", "load_in_8bit"} & set(given):
            for name in QUANTISATION:
                if name not in given and name in adapter.trained:
                    setattr(model_args, name, adapter.trained[name])
    if model_args.dtype is None:
        model_args.dtype = default_dtype(model_args, training_args.use_cpu)


def default_dtype(model_args: ModelConfig, use_cpu: bool) -> str:
    """The dtype that weights are loaded in when nobody names one.

    Args:
        model_args ([`~trl.ModelConfig`]): Frozen weights are those under an adapter (`use_peft`) without
            `lora_modules_to_save`, whose layers are trained in the base's dtype.
        use_cpu (`bool`): The run leaves an accelerator alone.

    >>> default_dtype(ModelConfig(), use_cpu=False), default_dtype(ModelConfig(use_peft=True), use_cpu=True)
    ('float32', 'float32')
    """
    frozen = model_args.use_peft and not model_args.lora_modules_to_save
    return str(compute_dtype(use_cpu) if frozen else torch.float32).removeprefix("torch.")


def check_training(training_args: Any, model_args: ModelConfig) -> None:
    """Refuses settings that transformers and TRL refuse only after the model has been loaded.

    Args:
        training_args ([`~transformers.TrainingArguments`]): Of `report_to`, trackers that are not installed are left
            out, with one line each.
        model_args ([`~trl.ModelConfig`]): Quantisation and adapters are read.

    Raises:
        InputError: An unknown tracker; or quantised weights without an adapter, or without a dtype to compute in.
    """
    unknown = [name for name in training_args.report_to or [] if name not in INTEGRATION_TO_CALLBACK]
    if unknown:
        known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
        raise InputError(f"`report_to: {unknown[0]}` is no tracker: it is `none`, or of {known}")
    training_args.report_to = installed_trackers(training_args.report_to)
    if (model_args.load_in_4bit or model_args.load_in_8bit) and not model_args.use_peft:
        raise InputError(
            "`load_in_4bit` or `load_in_8bit` without `use_peft`: quantised weights cannot be trained. Add it"
        )
    if model_args.load_in_4bit and model_args.dtype == "auto":
        raise InputError("`dtype: auto` with `load_in_4bit`: name the dtype to compute in, or leave `dtype` out")


def model_init_kwargs(model_args: ModelConfig, training_args: Any) -> dict[str, Any]:
    """Keyword arguments of `from_pretrained`, those of the training arguments last, as TRL's own scripts put them.

    Args:
        model_args ([`~trl.ModelConfig`]): Revision, attention implementation and dtype.
        training_args ([`~trl.SFTConfig`] or [`~trl.GRPOConfig`]): Its `model_init_kwargs` win.

    Returns:
        `dict`: For `training_args.model_init_kwargs`.
    """
    return {
        "revision": model_args.model_revision,
        "attn_implementation": model_args.attn_implementation,
        "dtype": model_args.dtype,
        **(training_args.model_init_kwargs or {}),
    }


def policy_arguments(path: str, model_args: ModelConfig, training_args: Any) -> dict[str, Any]:
    """What a trainer of TRL has to know of the policy, as keyword arguments. Loads or merges an adapter.

    Args:
        path (`str`): As [`check_model`] returns it.
        model_args ([`~trl.ModelConfig`]): After [`settle_model_args`].
        training_args ([`~trl.SFTConfig`] or [`~trl.GRPOConfig`]): Its `model_init_kwargs` are set, for whole models.

    Returns:
        `dict`: `model`, and `quantization_config` and `peft_config` of a whole model or the `processing_class` of an
            adapter.
    """
    adapter = find_adapter(path, model_args.model_revision)
    if adapter is not None and getattr(model_args, "merge_adapter", False):
        path, adapter = merged_start(adapter, model_args, training_args), None
    if adapter is None:
        training_args.model_init_kwargs = model_init_kwargs(model_args, training_args)
        quantization_config = get_quantization_config(model_args)
        return {"model": path, "quantization_config": quantization_config, "peft_config": _peft_config(model_args)}
    policy = load_policy(adapter, model_args, training_args)
    training_args.model_init_kwargs = None  # they have been used
    left = {"padding_side": "left", "truncation_side": "left"} if isinstance(training_args, GRPOConfig) else {}
    trust = training_args.trust_remote_code
    return {"model": policy, "processing_class": load_processing_class(adapter, trust_remote_code=trust, **left)}


def load_policy(adapter: Adapter, model_args: ModelConfig, training_args: Any) -> PeftModel:
    """An adapter, loaded to train on.

    The base is loaded as TRL would load it: with the same quantisation, dtype, attention, and devices.

    Args:
        adapter ([`~r1_trl.stages.adapters.Adapter`]): The start of the run.
        model_args ([`~trl.ModelConfig`]): After [`settle_model_args`].
        training_args ([`~trl.SFTConfig`] or [`~trl.GRPOConfig`]): Its `model_init_kwargs` win.
    """
    kwargs = {"trust_remote_code": training_args.trust_remote_code, **model_init_kwargs(model_args, training_args)}
    quantization_config = get_quantization_config(model_args)
    if quantization_config is not None:
        kwargs["quantization_config"] = quantization_config
    if training_args.distributed_state.distributed_type in ("MULTI_GPU", "DEEPSPEED"):
        kwargs["device_map"] = None  # each process loads its own; "auto" would spread one model over all GPUs
    plugin = training_args.deepspeed_plugin
    one_dtype = plugin is not None and plugin.zero_stage == 3 and quantization_config is None
    return load_adapter(adapter, is_trainable=True, autocast=not one_dtype, **kwargs)


def _peft_config(model_args: ModelConfig) -> PeftConfig | None:
    config = get_peft_config(model_args)
    if config is not None and model_args.model_revision != "main":
        config.revision = model_args.model_revision  # the base's, for whoever loads the adapter
    return config
