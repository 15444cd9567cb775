"""The paper's settings are the defaults, and what the paper leaves open is TRL's."""

from dataclasses import fields

import pytest
from trl import GRPOConfig

from r1_trl import InputError, R1GRPOConfig

CPU = {"use_cpu": True, "report_to": "none"}
PAPER = {  # value, source
    "learning_rate": (3e-6, "Nature 2025; v2 §2.1"),
    "lr_scheduler_type": ("constant", "one rate is stated"),
    "beta": (0.001, "Nature 2025"),
    "use_bias_correction_kl": (False, "DeepSeekMath eq. 4: plain k3"),
    "epsilon": (10.0, "Nature 2025, RL stage 1"),
    "loss_type": ("grpo", "DeepSeekMath eq. 3: 1/|o|"),
    "scale_rewards": ("group", "A = (r - mean) / std"),
    "num_generations": (16, "Nature 2025"),
    "temperature": (1.0, "Nature 2025"),
    "max_completion_length": (32768, "Nature 2025"),
    "num_iterations": (1, "one inner epoch"),
    "sync_ref_model": (True, "reference replaced"),
    "ref_model_sync_steps": (400, "every 400 steps"),
    "ref_model_mixup_alpha": (1.0, "by the latest policy"),
    "top_p": (1.0, "plain sampling"),
    "disable_dropout": (True, "the ratio is 1 on the policy"),
}


@pytest.fixture
def args(tmp_path):
    return R1GRPOConfig(output_dir=str(tmp_path), **CPU)


@pytest.mark.parametrize(("name", "value", "source"), [(k, *v) for k, v in PAPER.items()])
def test_default_is_the_papers(args, name, value, source):
    found = getattr(args, name)
    assert getattr(found, "value", found) == value, source


def test_every_other_default_is_trls(args, tmp_path):
    ours = {
        *PAPER,
        "bf16",
        "activation_checkpointing",
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "output_dir",
        "logging_dir",
    }
    added = {field.name for field in fields(R1GRPOConfig)} - {field.name for field in fields(GRPOConfig)}
    derived = {"generation_batch_size", "steps_per_generation", "run_name"}
    theirs = GRPOConfig(output_dir=str(tmp_path), num_generations=2, bf16=False, **CPU).to_dict()
    differing = {
        name for name, value in args.to_dict().items() if name not in ours | derived | added and theirs[name] != value
    }
    assert not differing


def test_cpu_trains_in_float32(args):
    assert args.bf16 is False


def test_without_kl_there_is_no_reference_to_replace(tmp_path):
    assert not R1GRPOConfig(output_dir=str(tmp_path), beta=0.0, **CPU).sync_ref_model


@pytest.mark.parametrize("batch", [{"per_device_train_batch_size": 6}, {"generation_batch_size": 24}])
def test_batch_that_the_group_does_not_divide(tmp_path, batch):
    batch = {"per_device_train_batch_size": 8, **batch}
    with pytest.raises(InputError, match="`num_generations: 16` does not divide"):
        R1GRPOConfig(output_dir=str(tmp_path), **batch, **CPU)
