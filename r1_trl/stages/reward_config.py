"""The training of reward models as a config: TRL's `RewardConfig` with the paper's numbers as its defaults.

Source: [N] DeepSeek-R1, Nature 2025. Both models: batch 256, learning rate 6e-6, one epoch, at most 8,192 tokens.

Departures and silences:
1. The schedule of the learning rate, the optimizer and its warm-up are not stated: one rate is stated for the run, so
   it is constant here; the rest is TRL's.
2. What happens to longer rows is not stated: TRL leaves them out.
3. Whether the judged margin enters the loss is not stated: the plain loss is the default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from trl import RewardConfig, ScriptArguments

from r1_trl.errors import InputError
from r1_trl.precision import settle_training_args
from r1_trl.preference.folder import KINDS
from r1_trl.preference.text import SCORES
from r1_trl.stages.models import R1ModelConfig

BATCH_SIZE = 256  # [N]


@dataclass
class R1RewardConfig(RewardConfig):
    """
    [`~trl.RewardConfig`] whose defaults are those of the DeepSeek-R1 paper. Every other field is TRL's.

    Parameters:
        learning_rate (`float`, *optional*, defaults to `6e-6`):
            [N]. For LoRA about ten times as much is customary.
        lr_scheduler_type (`str`, *optional*, defaults to `"constant"`):
            Not stated; one learning rate is [N].
        num_train_epochs (`float`, *optional*, defaults to `1.0`):
            [N].
        max_length (`int`, *optional*, defaults to `8192`):
            Tokens of prompt and response [N]. Longer rows are left out and counted.
        per_device_train_batch_size (`int`, *optional*, defaults to `8`):
            Rows at once on one device; a pair is one row and two sequences.
        gradient_accumulation_steps (`int`, *optional*):
            Defaults to as many as make a batch of 256 rows [N] with the rows and processes at hand.
        bf16 (`bool`, *optional*):
            Follows the hardware where neither it nor `fp16` is set, as in [`~r1_trl.R1GRPOConfig`].

    Example:

    ```python
    >>> args = R1RewardConfig(output_dir="runs/helpful", per_device_train_batch_size=16, use_cpu=True)
    >>> args.learning_rate, args.num_train_epochs, args.max_length, args.gradient_accumulation_steps
    (6e-06, 1.0, 8192, 16)

    ```
    """

    learning_rate: float = field(default=6e-6, metadata={"help": "Initial learning rate of AdamW [N]."})
    lr_scheduler_type: str = field(default="constant", metadata={"help": "Learning rate schedule; not stated."})
    num_train_epochs: float = field(default=1.0, metadata={"help": "Passes over the rows [N]."})
    max_length: int | None = field(default=8192, metadata={"help": "Longest row in tokens [N]; others are left out."})
    per_device_train_batch_size: int = field(default=8, metadata={"help": "Rows at once on one device."})
    gradient_accumulation_steps: int | None = field(  # type: ignore[assignment]
        default=None, metadata={"help": "By default as many as make a batch of 256 rows [N]."}
    )

    def __post_init__(self) -> None:
        if self.gradient_accumulation_steps is None:
            processes = int(os.environ.get("WORLD_SIZE", "1"))
            self.gradient_accumulation_steps = accumulation_steps(self.per_device_train_batch_size, processes)
        settle_training_args(self)
        super().__post_init__()


@dataclass
class RewardModelArguments(ScriptArguments):
    """
    [`~trl.ScriptArguments`] with what the model is to judge.

    Parameters:
        kind (`str`):
            `"helpful"`: pair-wise, on columns `prompt`, `chosen`, `rejected`. `"safety"`: point-wise, on `prompt`,
            `completion`, `label` (1 or true for safe, 0 or false for unsafe) [N].
        scores (`str`, *optional*):
            `"answer"`: the final answer alone, `"response"`: reasoning included. Defaults to the answer for helpful
            and the response for safety [N]. The rows are cut accordingly.
        use_margin (`bool`, *optional*, defaults to `False`):
            Subtract the column `margin` within the pair-wise loss, as TRL does whenever there is such a column.
    """

    kind: str | None = field(
        default=None, metadata={"help": "helpful (pairs) or safety (labels) [N].", "choices": list(KINDS)}
    )
    scores: str | None = field(
        default=None,
        metadata={"help": "answer or response; answer for helpful, response for safety [N].", "choices": list(SCORES)},
    )
    use_margin: bool = field(default=False, metadata={"help": "Subtract the column `margin` within the loss."})

    def __post_init__(self) -> None:
        for name, known in (("kind", tuple(KINDS)), ("scores", SCORES)):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise InputError(f"`{name}: {value}` must be {' or '.join(known)}")
        if self.kind is not None and self.scores is None:
            self.scores = KINDS[self.kind]


@dataclass
class RewardBaseConfig(R1ModelConfig):
    """
    [`~r1_trl.stages.models.R1ModelConfig`] of a classifier.

    Parameters:
        lora_task_type (`str`, *optional*, defaults to `"SEQ_CLS"`):
            PEFT then trains the score head as a whole and saves it with the adapter.
    """

    lora_task_type: str = field(default="SEQ_CLS", metadata={"help": "SEQ_CLS trains the score head as well."})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lora_task_type != "SEQ_CLS":
            raise InputError(f"`lora_task_type: {self.lora_task_type}`: a reward model is SEQ_CLS. Leave it out")


def accumulation_steps(per_device: int, processes: int) -> int:
    """How many micro-batches come nearest to a batch of 256 rows [N].

    Args:
        per_device (`int`): Rows at once on one device.
        processes (`int`): Devices.

    >>> accumulation_steps(8, 1), accumulation_steps(8, 4), accumulation_steps(512, 1)
    (32, 8, 1)
    """
    return max(1, round(BATCH_SIZE / max(1, per_device * processes)))
