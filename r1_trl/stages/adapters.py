"""The adapter that a stage starts from: what its folder says about it, checked before anything loads.

An adapter folder, local or on the Hub, holds `adapter_config.json`, which names the base, and the adapter's weights.
The tokenizer is in it or with the base. `stage.json` in it says how the base was loaded when the adapter was trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import snapshot_download
from peft import PeftConfig, PeftModel, PeftType
from transformers import AutoConfig, AutoProcessor
from trl import ModelConfig
from trl.trainer.utils import create_model_from_path

from r1_trl.errors import InputError
from r1_trl.model_files import find_file, local_path, locate_base
from r1_trl.stages.record import read_stage_record

LORA_SETTINGS = {  # the flag, and its name in adapter_config.json
    "lora_r": "r",
    "lora_alpha": "lora_alpha",
    "lora_dropout": "lora_dropout",
    "lora_target_modules": "target_modules",
    "lora_target_parameters": "target_parameters",
    "lora_modules_to_save": "modules_to_save",
    "lora_task_type": "task_type",
    "use_rslora": "use_rslora",
    "use_dora": "use_dora",
}
HUB_FILES = ["adapter_*", "*.json", "*.jinja", "*.model", "*.txt"]
QUANTISATION = ("load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type", "use_bnb_nested_quant")


class Adapter(NamedTuple):
    """An adapter that has not been loaded.

    Args:
        path (`str`): Its folder. An adapter of the Hub is in the cache.
        settings (`dict`): The content of `adapter_config.json`.
        base (`str`): Folder or Hub id of the model that it was trained on.
        base_revision (`str`): Of a Hub id.
        tokenizer (`tuple[str, str]`): Folder or Hub id of the tokenizer, and its revision.
        trained (`dict`): `dtype` and [`QUANTISATION`] by `stage.json`: how the base was loaded in training. Empty when
            nothing says so.
    """

    path: str
    settings: dict[str, Any]
    base: str
    base_revision: str
    tokenizer: tuple[str, str]
    trained: dict[str, Any]


def find_adapter(name: str, revision: str = "main") -> Adapter | None:
    """The adapter behind a name, or `None` where there is none. Loads no weights, but downloads those of the Hub.

    Args:
        name (`str`): A folder, an id on the Hub, or `miniature:base`.
        revision (`str`, *optional*, defaults to `"main"`): Of the adapter on the Hub.

    Raises:
        InputError: `adapter_config.json` cannot be read, or a part of the adapter is missing.

    >>> find_adapter("miniature:base") is None
    True
    """
    path = local_path(name)
    config = find_file(path, "adapter_config.json", revision)
    if config is None:
        return None
    place = f"`model_name_or_path: {name}`: its adapter_config.json"
    settings = _read_settings(config, place)
    if not Path(path).is_dir():
        path = _download(path, revision)
    if not any(Path(path).glob("adapter_model.*")):
        raise InputError(f"`model_name_or_path: {name}` holds no adapter_model.safetensors: save the adapter there")
    base = locate_base(str(settings["base_model_name_or_path"]))
    base_revision = settings.get("revision") or "main"
    _check_base(base, base_revision, place)
    for tokenizer in ((path, "main"), (base, base_revision)):
        if find_file(tokenizer[0], "tokenizer_config.json", tokenizer[1]) is not None:
            return Adapter(path, settings, base, base_revision, tokenizer, _read_trained(Path(path)))
    raise InputError(f"neither `model_name_or_path: {name}` nor its base `{base}` holds a tokenizer: save it there")


def _download(name: str, revision: str) -> str:
    try:
        return snapshot_download(name, revision=revision, allow_patterns=HUB_FILES, ignore_patterns=["*/*"])
    except OSError as error:
        raise InputError(f"`model_name_or_path: {name}` cannot be downloaded: {error}") from error


def _read_settings(config: Path, place: str) -> dict[str, Any]:
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{place} cannot be read: {error}") from error
    if not isinstance(settings, dict) or not settings.get("base_model_name_or_path"):
        raise InputError(f"{place} names no base: set `base_model_name_or_path` in it")
    if settings.get("peft_type") not in PeftType.__members__:
        raise InputError(f"{place} has `peft_type: {settings.get('peft_type')}`, which this version of PEFT lacks")
    if settings.get("task_type") not in (None, "CAUSAL_LM"):
        raise InputError(f"{place} has `task_type: {settings['task_type']}`: it is no language model's (CAUSAL_LM)")
    return settings


def _check_base(base: str, revision: str, place: str) -> None:
    remedy = "Move the base back, or set `base_model_name_or_path` in that file to where it is"
    if not Path(base).is_dir() and (base.startswith((".", "/", "~")) or base.count("/") > 1):
        raise InputError(f"{place} names the base `{base}`: no such folder. {remedy}")
    try:
        AutoConfig.from_pretrained(base, revision=revision)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{place} names the base `{base}`, which cannot be loaded. {remedy}. {error}") from error


def _read_trained(folder: Path) -> dict[str, Any]:
    """A checkpoint lies in the folder of its run, which holds the record once the run has ended."""
    for place in (folder, folder.parent) if folder.name.startswith("checkpoint-") else (folder,):
        arguments = read_stage_record(place).get("arguments", {})
        if "learning_rate" in arguments:  # not of an evaluation
            return {name: arguments[name] for name in ("dtype", *QUANTISATION) if arguments.get(name) is not None}
    return {}


def require_layers(adapter: Adapter, purpose: str) -> None:
    """Refuses virtual tokens, such as those of prompt tuning, which are in no layer of the base.

    Args:
        adapter ([`Adapter`]): The adapter.
        purpose (`str`): What needs the layers, for the message.

    Raises:
        InputError: There are none.
    """
    if PeftConfig.from_pretrained(adapter.path).is_prompt_learning:
        kind = adapter.settings["peft_type"]
        raise InputError(f"`{adapter.path}` is a {kind} adapter: {purpose} takes LoRA and others that change layers")


def check_lora_settings(adapter: Adapter, model_args: ModelConfig, given: Iterable[str]) -> None:
    """Refuses flags that say something else than the adapter's own configuration, which is the one that counts.

    `all-linear` agrees with any list of target modules: PEFT saves the names that it stood for.

    Args:
        adapter ([`Adapter`]): The start.
        model_args ([`~trl.ModelConfig`]): What the user asked for.
        given (`Iterable[str]`): Names of the settings that the user wrote down; the others are defaults.

    Raises:
        InputError: A setting conflicts.
    """
    remedy = f"`{adapter.path}` is an adapter, which trains on as it is"
    for flag in sorted({"use_peft", *LORA_SETTINGS} & set(given)):
        asked = getattr(model_args, flag)
        own = True if flag == "use_peft" else adapter.settings.get(LORA_SETTINGS[flag])
        if not _agree(asked, own):
            raise InputError(
                f"`{flag}: {asked}` conflicts with `{own}` of the adapter that the run starts from. {remedy}: leave "
                f"`{flag}` out, or merge it first (`r1-trl merge`) and start from the merged model"
            )


def _agree(asked: Any, own: Any) -> bool:
    if asked == "all-linear" and own:
        return True
    if isinstance(own, list) and isinstance(asked, (list, str)):
        return set(own) == ({asked} if isinstance(asked, str) else set(asked))
    return bool(asked == own)


def load_adapter(
    adapter: Adapter, is_trainable: bool, autocast: bool = True, dequantize: bool = False, **kwargs: Any
) -> PeftModel:
    """The base with the adapter on it.

    Args:
        adapter ([`Adapter`]): What to load.
        is_trainable (`bool`): The adapter's weights take gradients.
        autocast (`bool`, *optional*, defaults to `True`): Adapter weights are float32 even on a 16-bit base.
        dequantize (`bool`, *optional*, defaults to `False`): A quantised base becomes a plain one of the same values.
        **kwargs: Of the base's `from_pretrained`, as [`trl.trainer.utils.create_model_from_path`] takes them.
    """
    base = create_model_from_path(adapter.base, **{**kwargs, "revision": adapter.base_revision})
    if dequantize and getattr(base, "hf_quantizer", None) is not None:
        base = base.dequantize()
    config = PeftConfig.from_pretrained(adapter.path)
    config.base_model_name_or_path = adapter.base  # as found here, for the next folder that it is saved in
    return PeftModel.from_pretrained(
        base, adapter.path, config=config, is_trainable=is_trainable, autocast_adapter_dtype=autocast
    )


def load_processing_class(adapter: Adapter, **kwargs: Any) -> Any:
    """The tokenizer, or the processor of a multimodal model.

    Args:
        adapter ([`Adapter`]): Whose it is.
        **kwargs: Of `from_pretrained`.
    """
    name, revision = adapter.tokenizer
    return AutoProcessor.from_pretrained(name, revision=revision, **kwargs)
