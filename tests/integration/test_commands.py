"""The same recipe by every door: TRL's own command, accelerate with two processes, adapters, and Python."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import Dataset
from peft import LoraConfig
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, GRPOTrainer

from r1_trl import R1GRPOConfig, R1GRPOTrainer, accuracy_reward, format_reward, language_consistency_reward
from r1_trl.cli import main
from r1_trl.tasks.arithmetic import question_rows

RECIPE = Path("recipes/miniature_cpu")
BIN = Path(sys.executable).parent
REWARDS = ("accuracy_reward", "format_reward", "language_consistency_reward")
SHORT = {
    "model_name_or_path": "miniature:base",
    "max_steps": 2,
    "logging_steps": 1,
    "eval_strategy": "no",
    "eval_on_start": False,
    "save_strategy": "no",
    "report_to": "none",
    "log_completions": False,
    "max_completion_length": 32,
    "per_device_train_batch_size": 32,
}


def flags(**values):
    return [word for key, value in values.items() for word in (f"--{key}", str(value))]


def run(*words, timeout=300):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def reward_logs(folder):
    history = json.loads((Path(folder) / "trainer_state.json").read_text())["log_history"]
    return [log for log in history if "reward" in log]


def test_rewards_in_trl_grpo(tmp_path, base_path):
    """TRL's own command, its own trainer and defaults, our rewards by their dotted paths."""
    data = tmp_path / "data"
    data.mkdir()
    rows = map(json.dumps, question_rows("train", 64))
    (data / "train.jsonl").write_text("\n".join(rows))
    named = [f"r1_trl.rewards.{name}" for name in (*REWARDS, "think_only_format_reward")]
    settings = {**SHORT, "model_name_or_path": base_path, "output_dir": tmp_path / "run", "num_generations": 8}
    settings |= {"use_cpu": True, "bf16": False, "dataset_name": data, "save_strategy": "steps", "save_steps": 2}
    run(BIN / "trl", "grpo", *flags(**settings), "--reward_funcs", *named)
    logs = reward_logs(tmp_path / "run" / "checkpoint-2")
    assert len(logs) == 2
    assert all(log[f"rewards/{name.rsplit('.')[-1]}/mean"] is not None for log in logs for name in named)


def test_rewards_in_plain_grpo_trainer(cpu_args, base_path):
    """Text prompts, where completions are strings."""
    rows = Dataset.from_list([{"prompt": "question : what is 5 + 3 ? solution", "solution": "8"}] * 16)
    args = GRPOConfig(**cpu_args, max_steps=1, per_device_train_batch_size=16)
    trainer = GRPOTrainer(base_path, [accuracy_reward, format_reward, language_consistency_reward], args, rows)
    trainer.train()
    assert all(f"rewards/{name}/mean" in trainer.state.log_history[0] for name in REWARDS)


def test_two_processes(tmp_path):
    settings = {**SHORT, "output_dir": tmp_path / "run", "per_device_train_batch_size": 16}
    # On machines without a GPU, `--multi_gpu` is how accelerate starts several processes; the recipe's `use_cpu` keeps
    # them on the CPU.
    launch = [BIN / "accelerate", "launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--num_cpu_threads_per_process", "1"]
    run(*launch, "-m", "r1_trl", "grpo", "--config", RECIPE / "grpo.yaml", *flags(**settings))
    record = json.loads((tmp_path / "run" / "stage.json").read_text())
    assert record["processes"] == 2
    assert record["arguments"]["generation_batch_size"] == 32
    assert len(reward_logs(tmp_path / "run")) == 2
    AutoModelForCausalLM.from_pretrained(tmp_path / "run")


@pytest.mark.parametrize("quantized", [False, True], ids=["LoRA", "QLoRA"])
def test_adapters_by_the_same_command(tmp_path, capfd, quantized):
    settings = {**SHORT, "output_dir": tmp_path / "run", "learning_rate": 1e-3}
    words = [*flags(**settings), "--use_peft", "--lora_target_modules", "all-linear", *["--load_in_4bit"] * quantized]
    assert main(["grpo", "--config", str(RECIPE / "grpo.yaml"), *words]) == 0
    assert (tmp_path / "run" / "adapter_model.safetensors").is_file()
    weights = load_file(tmp_path / "run" / "adapter_model.safetensors")
    moved = [name for name, weight in weights.items() if "lora_B" in name and weight.abs().max() > 0]
    assert moved, "B starts at zero"
    evaluate = flags(model_name_or_path=tmp_path / "run", output_dir=tmp_path / "evaluation", num_questions=8)
    assert main(["evaluate", "--config", str(RECIPE / "evaluate.yaml"), *evaluate]) == 0
    metrics = json.loads((tmp_path / "evaluation" / "stage.json").read_text())["metrics"]
    assert metrics["questions"] == 8
    assert "pass@1" in capfd.readouterr().out


def test_reward_rises_under_lora(cpu_args, base_path):
    """40 steps from the base: accuracy on the training questions rises by more than chance allows."""
    questions = Dataset.from_list(question_rows("train", 2048))
    args = R1GRPOConfig(
        **{**cpu_args, "max_completion_length": 40},
        max_steps=40,
        per_device_train_batch_size=128,
        learning_rate=1.5e-3,
        reward_weights=[1.0, 1.0, 0.1],
        seed=0,
    )
    trainer = R1GRPOTrainer(
        base_path,
        [accuracy_reward, format_reward, language_consistency_reward],
        args=args,
        train_dataset=questions,
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    trainer.train()
    accuracy = [log["rewards/accuracy_reward/mean"] for log in trainer.state.log_history if "reward" in log]
    first, last = sum(accuracy[:5]) / 5, sum(accuracy[-5:]) / 5
    assert last > first + 0.1, f"accuracy went from {first:.3f} to {last:.3f}"


def test_cold_start_by_the_command(tmp_path):
    settings = {"output_dir": tmp_path / "run", "max_steps": 3, "logging_steps": 1, "report_to": "none"}
    assert main(["sft", "--config", str(RECIPE / "sft.yaml"), *flags(**settings)]) == 0
    record = json.loads((tmp_path / "run" / "stage.json").read_text())
    assert record["stage"] == "sft"
    assert record["metrics"]["train_loss"] > 0
    assert all(len(record["inputs"][name]["sha256"]) == 64 for name in ("model", "train_dataset"))
    assert record["versions"]["trl"]
    AutoModelForCausalLM.from_pretrained(tmp_path / "run")
