"""Schedules: what changes when, in a real run."""

from __future__ import annotations

import pytest
import torch
from trl import GRPOConfig

from r1_trl.errors import InputError
from r1_trl.grpo.config import R1GRPOConfig
from r1_trl.grpo.trainer import R1GRPOTrainer


def ones(completions, **kwargs):
    return [1.0] * len(completions)


def twos(completions, **kwargs):
    twos.calls += 1
    return [2.0] * len(completions)


def test_everything_changes_at_its_step(base_path, questions, cpu_args):
    twos.calls = 0
    args = R1GRPOConfig(
        **{**cpu_args, "max_completion_length": 1},
        per_device_train_batch_size=8,
        num_generations=4,
        max_steps=4,
        max_completion_length_schedule=[[0, 6], [2, 20]],
        temperature_schedule="[[0, 1.0], [3, 0.5]]",
        reward_weights_schedule=[[0, [1.0, 1.0]], [2, [0.5, 1.0]]],
        reward_windows={"twos": {"last_steps": 1}},
        beta=0.1,
    )
    trainer = R1GRPOTrainer(base_path, [ones, twos], args, train_dataset=questions)
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert [entry["completions/max_length"] <= 6 for entry in logs[:2]] == [True, True]
    assert logs[0]["completions/max_length"] == 6
    assert max(entry["completions/max_length"] for entry in logs[2:]) > 6
    assert [entry["schedule/max_completion_length"] for entry in logs] == [6, 6, 20, 20]
    assert [entry["schedule/temperature"] for entry in logs] == [1.0, 1.0, 1.0, 0.5]
    assert [entry["schedule/reward_weight/ones"] for entry in logs] == [1.0, 1.0, 0.5, 0.5]
    assert [entry["reward"] for entry in logs] == [1.0, 1.0, 0.5, 2.5]
    assert [entry["rewards/twos/mean"] for entry in logs] == [None, None, None, 2.0]
    assert twos.calls == 1  # a reward that does not count is not computed


def test_the_loss_follows_the_temperature(base_path, questions, cpu_args):
    """The log-probabilities are those of the sampling distribution, before and after the change."""
    args = R1GRPOConfig(
        **cpu_args,
        per_device_train_batch_size=4,
        num_generations=4,
        temperature_schedule=[[0, 1.0], [1, 0.5]],
        max_steps=2,
    )
    trainer = R1GRPOTrainer(base_path, ones, args, train_dataset=questions)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    mask = torch.ones_like(ids)

    def logps():
        with torch.no_grad():
            return trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, 3)[0]

    def expected(temperature):
        with torch.no_grad():
            logits = trainer.model(input_ids=ids, attention_mask=mask).logits[:, 1:-1] / temperature
        return logits.log_softmax(-1).gather(-1, ids[:, 2:].unsqueeze(-1)).squeeze(-1)

    torch.testing.assert_close(logps(), expected(1.0))
    trainer.train()
    torch.testing.assert_close(logps(), expected(0.5))
    assert trainer.generation_config.temperature == 0.5


def test_a_rollout_keeps_what_it_was_made_with(base_path, questions, cpu_args):
    """Four steps share a rollout: with frozen weights, neither KL nor ratio may change within it."""
    args = R1GRPOConfig(
        **cpu_args,
        per_device_train_batch_size=8,
        num_generations=4,
        steps_per_generation=4,
        gradient_accumulation_steps=1,
        learning_rate=0.0,
        beta=0.1,
        epsilon=0.2,
        max_steps=8,
        temperature_schedule=[[0, 1.0], [2, 0.5]],
    )
    trainer = R1GRPOTrainer(
        base_path, lambda completion_ids, **_: [len(i) % 5 for i in completion_ids], args, train_dataset=questions
    )
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert max(entry["kl"] for entry in logs) < 1e-6
    assert max(entry["clip_ratio/region_mean"] for entry in logs) == 0
    assert [entry.get("schedule/temperature") for entry in logs] == [1.0, None, None, None, 0.5, None, None, None]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature_schedule": [[1, 1.0]]}, ["temperature_schedule", "from step 0"]),
        ({"temperature_schedule": [[0, 1.0], [0, 2.0]]}, ["rising steps"]),
        ({"temperature_schedule": [[0, "hot"]]}, ["[step, float]"]),
        ({"temperature_schedule": "{"}, ["`temperature_schedule: {`"]),
        ({"temperature_schedule": []}, ["temperature_schedule"]),
        ({"max_completion_length_schedule": [[0, 1.5]]}, ["[step, int]"]),
        ({"max_completion_length_schedule": [[0, True]]}, ["[step, int]"]),
        ({"reward_weights_schedule": [[0, 1.0]]}, ["[step, list]"]),
        ({"reward_windows": {"ones": {"first_steps": 3}}}, ["reward_windows", "last_steps"]),
        ({"reward_windows": {"ones": 3}}, ["reward_windows"]),
        ({"reward_windows": [1]}, ["reward_windows"]),
        (
            {"use_vllm": True, "vllm_max_model_length": 64, "max_completion_length_schedule": [[0, 32], [5, 64]]},
            ["64", "`vllm_max_model_length: 64`", "raise"],
        ),
        ({"use_vllm": True, "max_completion_length_schedule": [[0, 32], [5, 64]]}, ["needs `vllm_max_model_length`"]),
        ({"generation_chunk_size": 0}, ["`generation_chunk_size: 0`"]),
    ],
    ids=str,
)
def test_what_cannot_be_followed_is_refused(cpu_args, settings, words):
    with pytest.raises(InputError) as error:
        R1GRPOConfig(**cpu_args, **settings)
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"reward_windows": {"twoes": {"from_step": 3}}}, ["`twoes`", "ones, twos"]),
        ({"reward_weights_schedule": [[0, [1.0]]], "reward_weights": None}, ["1 weights", "2 rewards"]),
    ],
    ids=str,
)
def test_what_does_not_fit_the_rewards_is_refused(base_path, questions, cpu_args, settings, words):
    args = R1GRPOConfig(**cpu_args, **settings)
    args.reward_weights = None
    with pytest.raises(InputError) as error:
        R1GRPOTrainer(base_path, [ones, twos], args, train_dataset=questions)
    assert [word for word in words if word not in str(error.value)] == []


def test_another_config_is_refused(base_path, questions, tmp_path):
    with pytest.raises(InputError, match="R1GRPOConfig"):
        R1GRPOTrainer(base_path, ones, GRPOConfig(str(tmp_path), use_cpu=True, bf16=False), train_dataset=questions)
