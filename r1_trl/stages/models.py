"""The model that a stage starts from: found, described to the trainer, and refused early when it is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from trl import ModelConfig

from r1_trl.errors import InputError
from r1_trl.miniature import resolve_model_path


def check_model(model_args: ModelConfig, allow_adapter: bool = False) -> str:
    """Makes sure that there is a model behind `model_name_or_path`, without loading its weights.

    Args:
        model_args ([`~trl.ModelConfig`]): What the user asked for.
        allow_adapter (`bool`, *optional*, defaults to `False`): Take a local adapter folder, which names its base.

    Returns:
        `str`: A local folder or a Hub id that transformers can load.

    Raises:
        InputError: Nothing was named, or there is no model.

    >>> check_model(ModelConfig(model_name_or_path="./nowhere"))
    Traceback (most recent call last):
    r1_trl.errors.InputError: `model_name_or_path: ./nowhere`: no such folder. Name a folder with a config.json, a \
model of the Hub, or `miniature:base`
    """
    name = model_args.model_name_or_path
    remedy = "Name a folder with a config.json, a model of the Hub, or `miniature:base`"
    if not name:
        raise InputError(f"`model_name_or_path` is missing. {remedy}")
    path = resolve_model_path(name)
    folder = Path(path).expanduser()
    if folder.is_dir():
        if allow_adapter and (folder / "adapter_config.json").is_file():
            return str(folder)
        if (folder / "config.json").is_file():
            _read_config(str(folder), name, remedy, model_args)
            if not any(folder.glob("tokenizer*")):
                raise InputError(f"`model_name_or_path: {name}` holds no tokenizer: save it there as well")
            return str(folder)
        if (folder / "adapter_config.json").is_file():
            merge = "merge it into its base first (`peft.PeftModel.merge_and_unload`) and name that folder"
            raise InputError(f"`model_name_or_path: {name}` holds an adapter and no whole model: {merge}")
        raise InputError(f"`model_name_or_path: {name}` holds no model: there is no config.json in it. {remedy}")
    if name.startswith((".", "/", "~", "miniature:")) or name.count("/") > 1:
        raise InputError(f"`model_name_or_path: {name}`: no such folder. {remedy}")
    _read_config(path, name, remedy, model_args)
    return path


def _read_config(path: str, name: str, remedy: str, model_args: ModelConfig) -> None:
    try:
        AutoConfig.from_pretrained(path, revision=model_args.model_revision)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"`model_name_or_path: {name}` cannot be loaded. {remedy}. {error}") from error


def check_training(training_args: Any, model_args: ModelConfig) -> None:
    """Refuses settings that transformers and TRL refuse only after the model has been loaded.

    Args:
        training_args ([`~transformers.TrainingArguments`]): `report_to` is read.
        model_args ([`~trl.ModelConfig`]): Quantisation and adapters are read.

    Raises:
        InputError: An unknown tracker, or quantised weights without an adapter to train.
    """
    unknown = [name for name in training_args.report_to or [] if name not in INTEGRATION_TO_CALLBACK]
    if unknown:
        known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
        raise InputError(f"`report_to: {unknown[0]}` is no tracker: it is `none`, or of {known}")
    if (model_args.load_in_4bit or model_args.load_in_8bit) and not model_args.use_peft:
        raise InputError(
            "`load_in_4bit` or `load_in_8bit` without `use_peft`: quantised weights cannot be trained. Add it"
        )


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
