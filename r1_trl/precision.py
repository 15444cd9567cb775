"""What the hardware computes in, and a run's mixed precision that follows it."""

from __future__ import annotations

from typing import Any

import torch


def compute_dtype(use_cpu: bool = False) -> torch.dtype:
    """What the hardware computes in fastest without hurting: bfloat16, else float16 on a GPU, else float32.

    bfloat16 that a GPU only emulates (NVIDIA before Ampere: T4, V100, RTX 20) does not count.

    Args:
        use_cpu (`bool`, *optional*, defaults to `False`): The run leaves an accelerator alone.

    >>> compute_dtype(use_cpu=True)
    torch.float32
    """
    if use_cpu or not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def settle_mixed_precision(training_args: Any, dtype: torch.dtype) -> None:
    """Fills in `bf16` and `fp16` where neither is set, in place.

    Args:
        training_args ([`~transformers.TrainingArguments`]): Whose `bf16` is `None` where it is left open, as TRL's is.
        dtype (`torch.dtype`): What the hardware computes in.

    >>> from trl import SFTConfig
    >>> args = SFTConfig("runs/x", use_cpu=True, bf16=False)
    >>> args.bf16 = None
    >>> settle_mixed_precision(args, torch.float16)
    >>> args.bf16, args.fp16
    (False, True)
    """
    if training_args.bf16 is None:
        training_args.fp16 = training_args.fp16 or dtype == torch.float16
        training_args.bf16 = not training_args.fp16 and dtype == torch.bfloat16


def settle_training_args(training_args: Any) -> None:
    """Fills in what TRL's configs leave to their `__post_init__`, in place; to be called at the beginning of that.

    Mixed precision follows the hardware. `activation_checkpointing` is TRL's default of `gradient_checkpointing`, its
    former name.

    Args:
        training_args ([`~transformers.TrainingArguments`]): A config of TRL.
    """
    settle_mixed_precision(training_args, compute_dtype(training_args.use_cpu))
    if training_args.activation_checkpointing is None:
        training_args.activation_checkpointing = training_args.gradient_checkpointing
