"""Runs that are killed and go on end as if they had been left alone: the same weights, bit for bit, and history."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasets import Dataset
from safetensors.torch import load_file

from r1_trl.cli import main
from r1_trl.tasks.arithmetic import question_rows

SETTINGS = {
    "model_name_or_path": "miniature:base",
    "dataset_name": "{tmp}/questions.jsonl",
    "reward_funcs": ["format_reward", "language_consistency_reward"],
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "gradient_accumulation_steps": 2,
    "steps_per_generation": 8,  # a rollout serves four optimizer steps
    "max_completion_length": 24,
    "max_steps": 14,
    "learning_rate": 1e-4,
    "beta": 0.1,
    "ref_model_sync_steps": 4,
    "save_steps": 3,
    "save_total_limit": 2,
    "logging_steps": 2,
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "dataloader_pin_memory": False,
    "report_to": "none",
    "seed": 1,
}
LORA = {"use_peft": True, "lora_r": 4, "lora_target_modules": ["all-linear"]}


@pytest.fixture
def recipe(tmp_path):
    def write(changes, size=48):
        rows = question_rows("train", size)  # 3 rollouts, so more than one epoch
        Dataset.from_list(rows).to_json(tmp_path / "questions.jsonl")
        path = tmp_path / "grpo.yaml"
        path.write_text(json.dumps({**SETTINGS, **changes}).replace("{tmp}", str(tmp_path)))
        return str(path)

    return write


def start(recipe, output_dir, processes):
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)]
    launch += ["--main_process_port", str(random.randint(20_000, 60_000))]
    words = ["-m", "r1_trl", "grpo", "--config", recipe, "--output_dir", str(output_dir)]
    command = [sys.executable, *(launch if processes > 1 else []), *words, "--resume_from_checkpoint", "true"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    log = open(f"{output_dir}.log", "ab")  # noqa: SIM115
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def history(output_dir):
    """What was logged, apart from times and from the summary of the last call."""
    entries = json.loads((output_dir / "trainer_state.json").read_text())["log_history"]
    timed = ("time", "second", "runtime", "train_loss", "hours", "memory")
    return [{k: v for k, v in entry.items() if not any(word in k for word in timed)} for entry in entries]


def run_and_kill(recipe, output_dir, processes, kills, seed):
    """Kills the run with -9 this often, each time at a random moment after its start, and lets it end."""
    rng = random.Random(seed)
    done = 0
    while done < kills:
        running = start(recipe, output_dir, processes)
        deadline = time.monotonic() + rng.uniform(4, 12)
        while time.monotonic() < deadline and running.poll() is None:
            time.sleep(0.01)
        if running.poll() is not None:
            assert running.returncode == 0, Path(f"{output_dir}.log").read_text()[-3000:]
            return done
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        done += 1
    running = start(recipe, output_dir, processes)
    assert running.wait(300) == 0, Path(f"{output_dir}.log").read_text()[-3000:]
    return done


def compare(recipe, tmp_path, weights, processes, kills):
    """Returns how often the run was killed before it ended."""
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert run_and_kill(recipe, alone, processes, 0, 0) == 0
    killed_times = run_and_kill(recipe, killed, processes, kills, 7)
    assert killed_times > 0
    mine, theirs = load_file(killed / weights), load_file(alone / weights)
    assert mine.keys() == theirs.keys()
    assert all(mine[name].equal(theirs[name]) for name in mine)
    assert history(killed) == history(alone)
    assert len(history(alone)) > 7
    return killed_times


@pytest.mark.parametrize(
    ("changes", "weights"), [({}, "model.safetensors"), (LORA, "adapter_model.safetensors")], ids=["full", "LoRA"]
)
def test_killed_and_resumed(recipe, tmp_path, changes, weights):
    compare(recipe(changes), tmp_path, weights, processes=1, kills=2)


@pytest.mark.parametrize("command", ["sft", "grpo"])
def test_resumed_from_its_last_step_it_takes_no_other(tmp_path, recipe, command):
    changes = {"max_steps": 4, "save_steps": 2, "max_completion_length": 8}
    config = recipe(changes) if command == "grpo" else "recipes/miniature_cpu/sft.yaml"
    words = [command, "--config", config, "--output_dir", str(tmp_path / "run"), "--report_to", "none"]
    words += ["--max_steps", "4", "--save_strategy", "steps", "--save_steps", "2", "--warmup_steps", "0"]
    assert main(words) == 0
    weights = load_file(tmp_path / "run" / "model.safetensors")
    assert main([*words, "--resume_from_checkpoint", "true"]) == 0  # killed between the checkpoint and its end
    again = load_file(tmp_path / "run" / "model.safetensors")
    assert all(weights[name].equal(again[name]) for name in weights)
    assert not (tmp_path / "run" / "checkpoint-5").exists()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("changes", "weights"), [({}, "model.safetensors"), (LORA, "adapter_model.safetensors")], ids=["full", "LoRA"]
)
def test_killed_ten_times(recipe, tmp_path, changes, weights, processes):
    # Slow steps, so that ten kills find it at work.
    settings = {"max_completion_length": 48, "per_device_train_batch_size": 32 // processes, "max_steps": 80}
    assert compare(recipe({**changes, **settings}, size=192), tmp_path, weights, processes, kills=10) == 10
