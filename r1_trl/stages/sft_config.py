"""R1's supervised fine-tuning as a config: TRL's `SFTConfig`, and the paper's three uses of it as presets.

Sources: [N] DeepSeek-R1, Nature 2025; [v2] its arXiv version 2 (2501.12948v2).

Departures and silences:
1. "2-3 epochs" [N; v2, B.4.3]: the presets take 2.
2. What a batch counts under packing is not stated: here a row is what comes out of the packing.
3. The learning rates of distillation are stated for six models [v2, Table 6]. Another model takes that of the nearest
   size in its family: Llama's, or else Qwen2.5's.
4. The optimizer and the warm-up are not stated: TRL's are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from trl import SFTConfig

from r1_trl.errors import InputError, did_you_mean
from r1_trl.precision import settle_training_args

MIN_LR_RATE = 0.1  # of the peak, where the cosine ends [N: 5e-5 → 5e-6; v2, B.4.3: a tenth]


class Preset(NamedTuple):
    """What the paper states for one use of SFT."""

    learning_rate: float | None  # None: by the model's size
    num_train_epochs: float
    max_length: int  # tokens
    batch_size: int  # rows in one optimizer step, on all devices


PRESETS = {
    "cold_start": Preset(5e-5, 2.0, 32768, 128),  # [N]
    "sft": Preset(5e-5, 2.0, 32768, 128),  # [N]
    "distillation": Preset(None, 2.0, 32768, 64),  # [v2, B.4.3]
}
_OPEN = Preset(2e-5, 3.0, 1024, 0)  # TRL's defaults, without a preset

# Learning rates of distillation by family and billions of parameters [v2, Table 6].
DISTILLATION = {
    "qwen": {1.5: 1e-4, 7.6: 8e-5, 14.8: 7e-5, 32.8: 6e-5},
    "llama": {8.0: 5e-5, 70.6: 2e-5},
}


@dataclass
class R1SFTConfig(SFTConfig):
    """
    [`~trl.SFTConfig`] with the schedule of the DeepSeek-R1 paper, and its hyperparameters by `preset`.

    The loss is on completions alone wherever rows have them, which is TRL's default.

    Parameters:
        preset (`str`, *optional*):
            `"cold_start"`, `"sft"` or `"distillation"`: gives the settings below that are left open the values of the
            paper.
        learning_rate (`float`, *optional*):
            Peak. `5e-5` for the cold start and SFT [N]; for distillation by the model's size, from `2e-5` to `1e-4`
            ([`distillation_learning_rate`]). `2e-5` without a preset. For LoRA about ten times as much is customary.
        num_train_epochs (`float`, *optional*):
            `2` with a preset [N: 2-3], `3` without. `max_steps` wins.
        max_length (`int` or `str` or `None`, *optional*, defaults to `"auto"`):
            Tokens of prompt and completion, or of a packed row. `"auto"` is `32768` with a preset [N] and `1024`
            without; `None` is without limit.
        gradient_accumulation_steps (`int`, *optional*):
            With a preset, as many as make a batch of 128 rows, or 64 for distillation, with
            `per_device_train_batch_size` and the processes at hand [N; v2, B.4.3]; `1` without.
        lr_scheduler_type (`str`, *optional*, defaults to `"cosine_with_min_lr"`):
            A cosine down to a tenth of the peak [N; v2, B.4.3], or to `min_lr` or `min_lr_rate` in
            `lr_scheduler_kwargs`.
        bf16 (`bool`, *optional*):
            Follows the hardware where neither it nor `fp16` is set, as in [`~r1_trl.R1GRPOConfig`].

    Raises:
        InputError: The preset is unknown, or its batch cannot be made.

    Example:

    ```python
    >>> args = R1SFTConfig(output_dir="runs/sft", preset="sft", per_device_train_batch_size=4, use_cpu=True)
    >>> args.learning_rate, args.num_train_epochs, args.max_length, args.gradient_accumulation_steps
    (5e-05, 2.0, 32768, 32)

    ```
    """

    preset: str | None = field(
        default=None,
        metadata={
            "help": "Gives what is left open the paper's values: for cold_start, sft or distillation [N; v2].",
            "choices": list(PRESETS),
        },
    )
    learning_rate: float | None = field(  # type: ignore[assignment]
        default=None, metadata={"help": "Peak learning rate; by default the preset's, or 2e-5 without one."}
    )
    num_train_epochs: float | None = field(  # type: ignore[assignment]
        default=None, metadata={"help": "Passes over the rows; by default 2 with a preset [N: 2-3], 3 without."}
    )
    max_length: int | str | None = field(  # type: ignore[assignment]
        default="auto", metadata={"help": "Longest row in tokens; auto is 32768 with a preset [N], 1024 without."}
    )
    gradient_accumulation_steps: int | None = field(  # type: ignore[assignment]
        default=None, metadata={"help": "By default what makes the preset's batch of 128 or 64 rows [N; v2]."}
    )
    lr_scheduler_type: str = field(
        default="cosine_with_min_lr", metadata={"help": "Schedule; a cosine down to a tenth of the peak [N; v2]."}
    )

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            hint = did_you_mean(str(self.preset), PRESETS, quote="`", otherwise=f": there are {', '.join(PRESETS)}")
            raise InputError(f"`preset: {self.preset}` is unknown{hint}")
        preset = _OPEN if self.preset is None else PRESETS[self.preset]
        if self.learning_rate is None:
            self.learning_rate = preset.learning_rate
        if self.num_train_epochs is None:
            self.num_train_epochs = preset.num_train_epochs
        self.max_length = preset.max_length if self.max_length == "auto" else _whole_number(self.max_length)
        settle_training_args(self)
        fills_batch = self.gradient_accumulation_steps is None
        self.gradient_accumulation_steps = self.gradient_accumulation_steps or 1
        super().__post_init__()
        self._end_at_a_tenth()
        if fills_batch and preset.batch_size:
            self.gradient_accumulation_steps = self._accumulation(preset.batch_size)

    def _end_at_a_tenth(self) -> None:
        kwargs: dict[str, Any] = dict(self.lr_scheduler_kwargs or {})  # type: ignore[arg-type]
        if self.lr_scheduler_type == "cosine_with_min_lr" and not {"min_lr", "min_lr_rate"} & kwargs.keys():
            self.lr_scheduler_kwargs = {**kwargs, "min_lr_rate": MIN_LR_RATE}

    def _accumulation(self, batch_size: int) -> int:
        at_once = self.per_device_train_batch_size * self.world_size
        if batch_size % at_once:
            raise InputError(
                f"`preset: {self.preset}` makes batches of {batch_size} rows, which `per_device_train_batch_size: "
                f"{self.per_device_train_batch_size}` on {self.world_size} process(es) does not divide: take another, "
                "or set `gradient_accumulation_steps` for a batch of your own"
            )
        return int(batch_size // at_once)


def settle_learning_rate(training_args: R1SFTConfig, model: str | PreTrainedModel) -> None:
    """Fills in the learning rate of distillation, which depends on the model, in place.

    Args:
        training_args ([`R1SFTConfig`]): Its `learning_rate` is `None` where that is left to do.
        model (`str` or [`~transformers.PreTrainedModel`]): The student; a path or Hub id is not loaded.
    """
    if training_args.learning_rate is None:
        revision = (training_args.model_init_kwargs or {}).get("revision", "main")  # type: ignore[union-attr]
        config = AutoConfig.from_pretrained(model, revision=revision) if isinstance(model, str) else model.config
        training_args.learning_rate = distillation_learning_rate(config.model_type, count_parameters(config))


def distillation_learning_rate(model_type: str, parameters: int) -> float:
    """Peak learning rate of the distilled model that is nearest in size, on a logarithmic scale [v2, Table 6].

    Args:
        model_type (`str`): Of the model's configuration: `"llama"`, or else the rates of Qwen2.5 hold.
        parameters (`int`): How many weights it has.

    >>> distillation_learning_rate("qwen2", 7_615_616_512), distillation_learning_rate("llama", 8_030_261_248)
    (8e-05, 5e-05)
    """
    rates = DISTILLATION["llama" if model_type == "llama" else "qwen"]
    return rates[min(rates, key=lambda size: abs(math.log(size * 1e9 / parameters)))]


def count_parameters(config: Any) -> int:
    """How many weights a model of this configuration has; takes no memory for them.

    >>> from transformers import Qwen2Config
    >>> count_parameters(Qwen2Config(hidden_size=8, num_attention_heads=1, num_hidden_layers=0, vocab_size=8))
    136
    """
    with torch.device("meta"):
        return int(AutoModelForCausalLM.from_config(config).num_parameters())


def _whole_number(value: Any) -> int | None:
    """The command line hands over text."""
    if value is None or str(value).lower() in ("none", "null"):
        return None
    try:
        return int(value)
    except ValueError as error:
        raise InputError(f"`max_length: {value}` must be a number of tokens, `auto` or `null`") from error
