"""The folder of a reward model: checked without loading weights, and loaded.

It holds a whole model or an adapter of `AutoModelForSequenceClassification` with one label, its tokenizer, and
`reward_model.json`: `kind` (`helpful` or `safety`), `scores` (`answer` or `response`) and, where an adapter was
trained on a quantised base, how. Reward models of others, from the Hub, have no such file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from r1_trl.errors import InputError
from r1_trl.model_files import find_file, local_path, locate_base
from r1_trl.preference.head import keep_head_exact
from r1_trl.preference.text import SCORES

RECORD = "reward_model.json"
KINDS = {"helpful": "answer", "safety": "response"}  # and what each scores [N]


class RewardModel(NamedTuple):
    """A reward model that has not been loaded.

    Args:
        name (`str`): Folder or Hub id, as the user wrote it.
        path (`str`): Where it is.
        base (`str` or `None`): Of an adapter: the folder or Hub id of its base.
        record (`dict`): Content of `reward_model.json`; empty where there is none.
    """

    name: str
    path: str
    base: str | None
    record: dict[str, Any]


def find_reward_model(name: str) -> RewardModel:
    """Makes sure that there is a reward model behind a name, without loading its weights.

    Args:
        name (`str`): A folder or a Hub id.

    Raises:
        InputError: There is none, it is no classifier with one label, or a part is missing.

    >>> find_reward_model("miniature:base")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `model_name_or_path: miniature:base` is a Qwen3ForCausalLM and no reward model \
(AutoModelForSequenceClassification with one label): train one by `r1-trl reward-model`
    """
    place = f"`model_name_or_path: {name}`"
    path = local_path(str(name))
    if not Path(path).is_dir() and (path.startswith((".", "/", "~")) or path.count("/") > 1):
        raise InputError(f"{place}: no such folder. Name the folder of a reward model, or one of the Hub")
    record = _read_json(path, RECORD, place) or {}
    if record and (record.get("kind") not in KINDS or record.get("scores") not in SCORES):
        raise InputError(f"{place}: its {RECORD} must hold `kind` ({' or '.join(KINDS)}) and `scores`, not {record}")
    adapter = _read_json(path, "adapter_config.json", place)
    base = None if adapter is None else _check_adapter(adapter, place)
    if adapter is None:
        _check_whole(path, place)
    if not any(find_file(folder, "tokenizer_config.json") for folder in (path, base) if folder):
        raise InputError(f"{place} holds no tokenizer: save it there as well")
    return RewardModel(name, path, base, record)


def load_reward_model(found: RewardModel, dtype: torch.dtype, quantization_config: Any, device: Any) -> Any:
    """Loads the model for inference.

    Args:
        found ([`RewardModel`]): What to load.
        dtype (`torch.dtype`): Of the weights, and of the computation on quantised ones.
        quantization_config ([`~transformers.BitsAndBytesConfig`] or `None`): Of the weights, or of an adapter's base.
        device (`torch.device` or `str`): Where it goes.
    """
    kwargs: dict[str, Any] = {"dtype": dtype, "num_labels": 1}
    if quantization_config is not None:
        kwargs |= {"quantization_config": quantization_config, "device_map": {"": device}}
    model: Any = AutoModelForSequenceClassification.from_pretrained(found.base or found.path, **kwargs)
    if found.base is not None:
        model = PeftModel.from_pretrained(model, found.path)
        keep_head_exact(model)
    return (model if quantization_config is not None else model.to(device)).eval().requires_grad_(False)


def load_tokenizer(found: RewardModel) -> Any:
    """The tokenizer of a reward model, or that of its base, with a pad token."""
    own = find_file(found.path, "tokenizer_config.json")
    tokenizer = AutoTokenizer.from_pretrained(found.path if own or found.base is None else found.base)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _read_json(path: str, name: str, place: str) -> dict[str, Any] | None:
    file = find_file(path, name)
    if file is None:
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{place}: its {name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{place}: its {name} must hold an object, not {type(content).__name__}")
    return content


def _check_adapter(settings: dict[str, Any], place: str) -> str:
    if settings.get("task_type") != "SEQ_CLS":
        raise InputError(
            f"{place} is an adapter with `task_type: {settings.get('task_type')}` and no reward model's (SEQ_CLS): "
            "train one by `r1-trl reward-model`"
        )
    base = locate_base(str(settings.get("base_model_name_or_path")))
    try:
        AutoConfig.from_pretrained(base)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{place}: its adapter_config.json names the base `{base}`, which cannot be loaded. Move the base back, "
            f"or set `base_model_name_or_path` in that file to where it is. {error}"
        ) from error
    return base


def _check_whole(path: str, place: str) -> None:
    try:
        config = AutoConfig.from_pretrained(path)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{place} cannot be loaded: name the folder of a reward model. {error}") from error
    kind = (config.architectures or ["model without architecture"])[0]
    if not kind.endswith("ForSequenceClassification"):
        raise InputError(
            f"{place} is a {kind} and no reward model (AutoModelForSequenceClassification with one label): train one "
            "by `r1-trl reward-model`"
        )
    if config.num_labels != 1:
        raise InputError(f"{place} is a classifier with {config.num_labels} labels: a reward model has one")
