"""What the hardware computes in, and the precision of a run that follows it."""

from __future__ import annotations

import pytest
import torch

from r1_trl import R1GRPOConfig
from r1_trl.precision import compute_dtype
from r1_trl.stages.reward_config import R1RewardConfig
from r1_trl.stages.sft_config import R1SFTConfig


@pytest.mark.parametrize(
    ("available", "native", "use_cpu", "expected"),
    [
        (True, True, False, torch.bfloat16),
        (True, False, False, torch.float16),
        (False, False, False, torch.float32),
        (True, True, True, torch.float32),
    ],
    ids=["Ampere", "T4", "no GPU", "GPU left alone"],
)
def test_compute_dtype_follows_the_hardware(monkeypatch, available, native, use_cpu, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native
    )
    assert compute_dtype(use_cpu) == expected


@pytest.mark.parametrize("config", [R1GRPOConfig, R1RewardConfig, R1SFTConfig])
@pytest.mark.parametrize(
    ("given", "hardware", "expected"),
    [
        ({}, torch.float32, (False, False)),
        ({}, torch.bfloat16, (True, False)),
        ({}, torch.float16, (False, True)),
        ({"fp16": True}, torch.bfloat16, (False, True)),
        ({"bf16": False}, torch.float16, (False, False)),
    ],
)
def test_mixed_precision_follows_it_unless_given(tmp_path, monkeypatch, config, given, hardware, expected):
    monkeypatch.setattr("r1_trl.precision.compute_dtype", lambda use_cpu: hardware)
    args = config(output_dir=str(tmp_path), use_cpu=True, **given)
    assert (args.bf16, args.fp16) == expected
    assert args.activation_checkpointing is True  # TRL's default
