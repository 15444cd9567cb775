"""A recipe as the doctor sees it: settings, the device, and what is cheap to know of the model and of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, IterableDataset
from peft import PeftConfig
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig
from trl import ModelConfig, get_peft_config

from r1_trl.completion import think_opened_by
from r1_trl.doctor.device import Device
from r1_trl.errors import InputError
from r1_trl.miniature import resolve_model_path
from r1_trl.rewards.preference import PreferenceReward
from r1_trl.stages.adapters import find_adapter
from r1_trl.stages.start import find_base

ASSUMED_PROMPT_TOKENS = 256  # where no prompt can be read
_PROMPTS = 256  # so many of the first prompts are measured


@dataclass(frozen=True)
class Recipe:
    """
    A recipe for `r1-trl grpo` and where it is to run.

    Parameters:
        training_args ([`R1GRPOConfig`] or [`~trl.GRPOConfig`]): After its own checks.
        model_args ([`~trl.ModelConfig`]): Model, adapter and quantisation.
        device ([`~doctor.device.Device`]): Where it runs.
        config ([`~transformers.PreTrainedConfig`]): Of the model, or of an adapter's base.
        adapter ([`~peft.PeftConfig`], *optional*): Of the adapter that the run trains.
        starts_from_adapter (`bool`): The model is an adapter, which trains on and is its own reference.
        reward_funcs (`tuple[str, ...]`): Names, as the recipe has them or as they are imported.
        reward_configs (`dict`): The config of each model that is named as a reward itself, by its name.
        preference_rewards (`tuple`): The rewards that ask a model in micro-batches.
        questions (`int`, *optional*): Rows of the training set, where they are known.
        prompt_tokens (`int`): The longest of the first prompts; [`ASSUMED_PROMPT_TOKENS`] without a dataset.
        opens_think (`bool`): The chat template or the prompts have opened `<think>`.
    """

    training_args: Any
    model_args: ModelConfig
    device: Device
    config: PreTrainedConfig
    adapter: PeftConfig | None = None
    starts_from_adapter: bool = False
    reward_funcs: tuple[str, ...] = ()
    reward_configs: Mapping[str, PreTrainedConfig] = field(default_factory=dict)
    preference_rewards: tuple[PreferenceReward, ...] = ()
    questions: int | None = None
    prompt_tokens: int = ASSUMED_PROMPT_TOKENS
    opens_think: bool = False

    def setting(self, name: str, default: Any = None) -> Any:
        """A field of the training arguments, or what stands for it in a version without it."""
        return getattr(self.training_args, name, default)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, by `dtype` or `model_init_kwargs`, or else by the device, as r1-trl has it."""
        name = (self.setting("model_init_kwargs") or {}).get("dtype", self.model_args.dtype)
        if name == "auto":
            name = self.config.dtype or "float32"
        if name is None:
            frozen = self.adapter is not None and not getattr(self.adapter, "modules_to_save", None)
            name = self.device.compute_dtype if frozen else torch.float32
        return name if isinstance(name, torch.dtype) else getattr(torch, str(name))

    @property
    def quantized(self) -> bool:
        """Whether the frozen weights hold 4 or 8 bits."""
        return bool(self.model_args.load_in_4bit or self.model_args.load_in_8bit)

    @property
    def mixed_precision(self) -> str | None:
        """`"bf16"`, `"fp16"` or `None`."""
        return "bf16" if self.setting("bf16") else "fp16" if self.setting("fp16") else None

    @property
    def shards(self) -> bool:
        """Whether FSDP or DeepSpeed spreads the weights or keeps copies of its own, which no estimate here follows."""
        return bool(self.setting("deepspeed") or self.setting("fsdp"))

    @property
    def rollout_rows(self) -> int:
        """Completions of one rollout on one device."""
        return int(self.setting("per_device_train_batch_size") * (self.setting("steps_per_generation") or 1))

    @property
    def evaluates(self) -> bool:
        """Whether the run evaluates on the way."""
        strategy = self.setting("eval_strategy", "no")
        return str(getattr(strategy, "value", strategy)) != "no"

    @property
    def completion_tokens(self) -> int:
        """The longest completion, the later entries of a schedule included."""
        scheduled = [length for _, length in self.setting("max_completion_length_schedule") or []]
        return int(max([self.setting("max_completion_length") or 0, *scheduled]))


def read_recipe(
    training_args: Any,
    model_args: ModelConfig,
    device: Device,
    reward_funcs: Sequence[str | Callable[..., Any]] = (),
    dataset: Dataset | IterableDataset | None = None,
) -> Recipe:
    """Reads the configs and the tokenizer of a recipe's models, and no weights.

    Args:
        training_args ([`R1GRPOConfig`]): The run's.
        model_args ([`~trl.ModelConfig`]): Its model.
        device ([`~doctor.device.Device`]): Where it runs.
        reward_funcs (`Sequence`, *optional*): Names of rewards, reward functions, or names of reward models.
        dataset ([`~datasets.Dataset`], *optional*): The training set. A stream is not read.

    Raises:
        InputError: There is no config at the model's path, or at that of an adapter's base.
    """
    name, revision = str(model_args.model_name_or_path), model_args.model_revision
    if getattr(model_args, "from_base", False):
        name, revision = find_base(name, revision)
    path = resolve_model_path(name)
    config, base, tokenizer = get_peft_config(model_args), path, path
    start = find_adapter(path, revision)
    trains_on = start is not None and not getattr(model_args, "merge_adapter", False)
    if start is not None:
        base, tokenizer, revision = start.base, start.tokenizer[0], start.base_revision
    if start is not None and trains_on:
        config = PeftConfig.from_pretrained(start.path)
        config.inference_mode = False
    names = tuple(reward if isinstance(reward, str) else _dotted(reward) for reward in reward_funcs)
    prompts = dataset[:_PROMPTS]["prompt"] if isinstance(dataset, Dataset) and len(dataset) else []
    tokens, opens_think = _read_prompts(prompts, tokenizer, training_args)
    return Recipe(
        training_args,
        model_args,
        device,
        _config(base, revision),
        config,
        trains_on,
        names,
        {name: _config(name) for name in names if _is_model(name)},
        tuple(reward for reward in reward_funcs if isinstance(reward, PreferenceReward)),
        len(dataset) if isinstance(dataset, Dataset) else None,
        tokens,
        opens_think,
    )


def _config(path: str, revision: str = "main") -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(path, revision=revision)
        return config
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"`{path}` has no config that transformers can read. Check the path. {error}") from error


def _read_prompts(prompts: list[Any], path: str, training_args: Any) -> tuple[int, bool]:
    if not prompts:
        return ASSUMED_PROMPT_TOKENS, False
    tokenizer = AutoTokenizer.from_pretrained(path)
    texts = prompts
    if not isinstance(prompts[0], str):
        if tokenizer.chat_template is None:
            raise InputError(
                f"the prompts are messages and the tokenizer of `{path}` has no chat template: write text"
            )
        kwargs = getattr(training_args, "chat_template_kwargs", None) or {}
        texts = [
            tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False, **kwargs)
            for prompt in prompts
        ]
    return max(map(len, tokenizer(texts)["input_ids"])), think_opened_by(texts[0])


def _is_model(name: str) -> bool:
    return "/" in name or (Path(name) / "config.json").is_file()


def _dotted(function: Callable[..., Any]) -> str:
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
