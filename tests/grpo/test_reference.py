"""Reference replacement means the same for all weights and for an adapter."""

import pytest
import torch
from peft import LoraConfig
from transformers import TrainerCallback

from r1_trl import R1GRPOConfig, R1GRPOTrainer


def varied_reward(completion_ids, **kwargs):
    """Differs within every group."""
    return [float(index % 5) for index, _ in enumerate(completion_ids)]


class RecordKL(TrainerCallback):
    """Keeps the KL of each step."""

    def __init__(self):
        self.kl = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "kl" in logs:
            self.kl.append(logs["kl"])


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "LoRA"])
@pytest.mark.parametrize(("alpha", "least", "most"), [(1.0, 0.0, 1e-6), (0.0, 1e-5, 10.0)], ids=["replaced", "kept"])
def test_kl_after_the_replacement(cpu_args, base_path, questions, adapter, alpha, least, most):
    args = R1GRPOConfig(
        **{**cpu_args, "max_completion_length": 16},
        max_steps=3,
        per_device_train_batch_size=32,
        learning_rate=1e-3,
        ref_model_sync_steps=2,
        ref_model_mixup_alpha=alpha,
        max_grad_norm=1.0,
    )
    record = RecordKL()
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    trainer = R1GRPOTrainer(
        base_path,
        varied_reward,
        args=args,
        train_dataset=questions,
        callbacks=[record],
        peft_config=lora if adapter else None,
    )
    trainer.train()
    assert record.kl[1] > 1e-5, "after the first step the policy has moved away from its reference"
    assert least <= abs(record.kl[2]) <= most, "the third step stands on the policy of the second"


def test_reference_adapter_is_frozen_and_the_policy_trains(cpu_args, base_path, questions):
    args = R1GRPOConfig(**cpu_args, max_steps=1, per_device_train_batch_size=16, learning_rate=1e-3)
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = R1GRPOTrainer(base_path, varied_reward, args=args, train_dataset=questions, peft_config=lora)
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    moved = {name for name, weight in trainer.model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved
    assert all(".default." in name for name in moved)
    assert not any(weight.requires_grad for name, weight in before.items() if ".ref." in name)
