"""Reference replacement means the same for all weights and for an adapter."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, TrainerCallback

from r1_trl import R1GRPOConfig, R1GRPOTrainer
from r1_trl.grpo.reference import add_reference_adapter


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


def trained_kl(model, args, questions, **others):
    """The KL of each step of a short run."""
    record = RecordKL()
    R1GRPOTrainer(model, varied_reward, args, questions, callbacks=[record], **others).train()
    return record.kl


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
    lora = LoraConfig(
        r=4, lora_dropout=0.5, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    kl = trained_kl(base_path, args, questions, peft_config=lora if adapter else None)
    assert abs(kl[0]) <= 1e-6, "at first the policy is its reference, with dropout off in both"
    assert kl[1] > 1e-5, "after the first step the policy has moved away from its reference"
    assert least <= abs(kl[2]) <= most, "the third step stands on the policy of the second"


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


@pytest.mark.parametrize(
    "settings",
    [{}, {"init_lora_weights": "pissa"}, {"target_modules": ["embed_tokens", "q_proj"]}, {"use_dora": True}],
    ids=["LoRA", "PiSSA", "embeddings", "DoRA"],
)
def test_reference_adapter_is_a_copy_and_leaves_the_base_alone(base_path, settings):
    base = AutoModelForCausalLM.from_pretrained(base_path)
    config = LoraConfig(**{"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **settings})
    model = get_peft_model(base, config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "default" in name.split("."):
                weight.add_(0.1)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    add_reference_adapter(model)
    after = dict(model.named_parameters())
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    copies = [name for name in after if "ref" in name.split(".")]
    assert copies
    assert all(torch.equal(after[name], after[name.replace("ref", "default")]) for name in copies)
    assert not any(after[name].requires_grad for name in copies)
    assert model.active_adapter == "default"


def test_quantised_policy_starts_at_its_reference(cpu_args, base_path, questions):
    """TRL casts the trained adapter of a 4-bit model to bfloat16; the reference has to follow."""
    args = R1GRPOConfig(**{**cpu_args, "max_completion_length": 16}, max_steps=2, learning_rate=1e-2)
    kl = trained_kl(
        base_path,
        args,
        questions,
        quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False),
    )
    assert abs(kl[0]) <= 1e-6
    assert kl[1] > 1e-5
