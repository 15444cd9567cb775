"""Fewer passes, the same gradient as TRL's own trainer from the same weights and seed, hence the same rollout."""

from __future__ import annotations

import re

import pytest
import torch
from peft import LoraConfig
from transformers import TrainerCallback
from trl import GRPOTrainer

from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.grpo.trainer import R1GRPOTrainer


def length_reward(completion_ids, **kwargs):
    """Different in most groups; the same for all answers of a group whose prompt has a 7."""
    return [float(len(ids) % 5) for ids in completion_ids]


def group_reward(prompts, completion_ids, **kwargs):
    """Zero spread in about half of the groups."""
    return [
        float(len(ids) % 5) if "7" in str(prompt) else 1.0 for prompt, ids in zip(prompts, completion_ids, strict=True)
    ]


class Gradients(TrainerCallback):
    """The gradient before each optimizer step."""

    def __init__(self):
        self.steps = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        self.steps.append(
            {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
        )


def run(kind, base_path, questions, cpu_args, reward=length_reward, steps=2, peft_config=None, **changes):
    settings = {
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 4,
        "num_generations": 4,
        "max_grad_norm": 0.0,
        "learning_rate": 1e-5,
        "max_steps": steps,
        "sync_ref_model": False,
        "beta": 0.1,
        "seed": 3,
    }
    args = R1GRPOConfig(**cpu_args, **{**settings, **changes})
    trainer = kind(base_path, reward, args, train_dataset=questions, peft_config=peft_config)
    forwards = []
    trainer.model.register_forward_pre_hook(
        lambda module, _, kwargs: forwards.append(tuple(kwargs["input_ids"].shape)) if "labels" in kwargs else None,
        with_kwargs=True,
    )
    gradients = Gradients()
    trainer.add_callback(gradients)
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    return gradients.steps, logs, forwards


def assert_same(ours, theirs, relative=1e-5):
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        difference = torch.sqrt(sum((mine[name] - other[name]).square().sum() for name in mine))
        norm = torch.sqrt(sum(weight.square().sum() for weight in other.values()))
        assert norm > 0
        assert difference <= relative * norm, (difference / norm).item()


@pytest.mark.parametrize(
    "changes",
    [
        {"loss_type": "grpo"},
        {"loss_type": "dapo"},
        {"loss_type": "dr_grpo"},
        {"loss_type": "bnpo"},
        {"loss_type": "grpo", "steps_per_generation": 8},  # two optimizer steps from one rollout: old log-probs
        {"loss_type": "dapo", "steps_per_generation": 8, "num_iterations": 2, "steps": 3},
        {"loss_type": "grpo", "gradient_accumulation_steps": 2, "steps_per_generation": 1},
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "steps_per_generation": 8},
        {"loss_type": "grpo", "mask_truncated_completions": True},
        {"loss_type": "grpo", "entropy_coef": 0.01},
        {"loss_type": "grpo", "top_entropy_quantile": 0.5},
        {"loss_type": "grpo", "pad_to_multiple_of": 8},
    ],
    ids=str,
)
def test_gradient_and_loss_are_trls(base_path, questions, cpu_args, changes):
    ours = run(R1GRPOTrainer, base_path, questions, cpu_args, **changes)
    theirs = run(GRPOTrainer, base_path, questions, cpu_args, **changes)
    assert_same(ours[0], theirs[0])
    assert [entry["loss"] for entry in ours[1]] == pytest.approx([entry["loss"] for entry in theirs[1]], abs=1e-6)
    tokens, all_tokens = (sum(rows * width for rows, width in some[2]) for some in (ours, theirs))
    assert tokens < all_tokens or changes.get("steps_per_generation") == 1  # one micro-batch is cut by TRL itself


def test_gradient_of_an_adapter_is_trls(base_path, questions, cpu_args):
    peft = LoraConfig(r=8, target_modules="all-linear")
    ours = run(R1GRPOTrainer, base_path, questions, cpu_args, peft_config=peft)
    theirs = run(GRPOTrainer, base_path, questions, cpu_args, peft_config=peft)
    assert_same(ours[0], theirs[0])


def test_switched_off_it_is_trls_pass_by_pass(base_path, questions, cpu_args):
    off = {"sort_by_length": False, "skip_zero_advantages": False}
    ours = run(R1GRPOTrainer, base_path, questions, cpu_args, **off)
    theirs = run(GRPOTrainer, base_path, questions, cpu_args, **off)
    assert ours[2] == theirs[2]
    assert_same(ours[0], theirs[0], relative=0)


@pytest.mark.parametrize("loss_type", ["grpo", "dapo", "dr_grpo"])
@pytest.mark.parametrize("sort_by_length", [True, False])
def test_completions_without_a_gradient_cost_no_pass(base_path, questions, cpu_args, loss_type, sort_by_length):
    changes = {"beta": 0.0, "loss_type": loss_type, "reward": group_reward, "sort_by_length": sort_by_length}
    ours = run(R1GRPOTrainer, base_path, questions, cpu_args, **changes)
    theirs = run(GRPOTrainer, base_path, questions, cpu_args, **changes)
    assert_same(ours[0], theirs[0])
    passed, all_rows = (sum(shape[0] for shape in some[2]) for some in (ours, theirs))
    skipped = [entry["skipped_completions"] for entry in ours[1]]
    assert 0.2 < sum(skipped) / len(skipped) < 0.9
    assert passed == pytest.approx(all_rows * (1 - sum(skipped) / len(skipped)))
    assert len(ours[2]) < len(theirs[2])


def test_nothing_is_skipped_where_all_have_a_gradient(base_path, questions, cpu_args):
    _, logs, forwards = run(R1GRPOTrainer, base_path, questions, cpu_args, reward=group_reward, beta=0.1)
    assert "skipped_completions" not in logs[0]
    assert sum(shape[0] for shape in forwards) == 2 * 32
    _, logs, _ = run(R1GRPOTrainer, base_path, questions, cpu_args, beta=0.0, loss_type="bnpo")
    assert "skipped_completions" not in logs[0]


@pytest.mark.parametrize("size", [1, 5, 32])
def test_generation_in_chunks(base_path, questions, cpu_args, size):
    def run_once():
        args = R1GRPOConfig(
            **cpu_args,
            per_device_train_batch_size=32,
            num_generations=4,
            generation_chunk_size=size,
            max_steps=1,
            seed=5,
        )
        seen, sizes = [], []

        def record(prompts, completions, **kwargs):
            seen.extend(zip(prompts, completions, strict=True))
            return [0.0] * len(prompts)

        trainer = R1GRPOTrainer(base_path, record, args, train_dataset=questions)
        generate = trainer.model.generate
        trainer.model.generate = lambda *a, **k: sizes.append(len(k["input_ids"])) or generate(*a, **k)
        trainer.train()
        return seen, sizes

    seen, sizes = run_once()
    assert max(sizes) == size
    assert sum(sizes) == 32
    assert (seen, sizes) == run_once()  # the seed decides
    # Each completion answers the question beside it: this model repeats its numbers.
    numbers = re.compile(r"\d+")
    own = [set(numbers.findall(str(prompt))) for prompt, _ in seen]
    used = [set(numbers.findall(str(completion))) for _, completion in seen]
    shared = sum(len(mine & theirs) for mine, theirs in zip(own, used, strict=True))
    shifted = sum(len(mine & theirs) for mine, theirs in zip(own[4:] + own[:4], used, strict=True))
    assert shared > 1.5 * shifted
