"""A run tracked offline, read back from disk: what W&B users look for is there."""

import json
import os
import subprocess
import sys

import pytest

from r1_trl.cli import main
from tests.tracking.offline_run import read_run


@pytest.fixture
def words(tmp_path):
    flags = {
        "output_dir": tmp_path / "run",
        "model_name_or_path": "miniature:base",
        "max_steps": 2,
        "logging_steps": 1,
        "per_device_train_batch_size": 32,
        "eval_strategy": "no",
        "eval_on_start": False,
        "save_strategy": "no",
        "max_completion_length": 24,
    }
    named = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
    return ["grpo", "--config", "recipes/miniature_cpu/grpo.yaml", *named]


def test_offline_run_holds_what_its_users_expect(tmp_path, words, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DIR", "WANDB_JOB_TYPE"):
        monkeypatch.delenv(name, raising=False)
    assert main(words) == 0
    run_dir, config, history = read_run(tmp_path / "run")
    assert config["beta"] == 0.001
    assert config["epsilon"] == 10.0
    logged = {key for row in history for key in row}
    rewards = ("accuracy_reward", "format_reward", "language_consistency_reward")
    expected = {f"train/rewards/{name}/{part}" for name in rewards for part in ("mean", "std")}
    expected |= {"train/reward", "train/reward_std", "train/completions/mean_length", "train/kl", "train/entropy"}
    assert expected - logged == set()
    tables = {row["completions/path"] for row in history if row.get("completions/nrows") == 32}
    assert len(tables) >= 2  # one for each step, and the last one again at the end
    table = json.loads((run_dir / "files" / min(tables)).read_text())
    assert {"prompt", "completion", "accuracy_reward", "format_reward", "advantage"} <= set(table["columns"])


def test_a_resumed_run_goes_on_under_its_id(tmp_path, words, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DIR", "WANDB_JOB_TYPE"):
        monkeypatch.delenv(name, raising=False)
    save = ["--save_strategy", "steps", "--save_steps", "1"]
    for more in (["--max_steps", "1"], ["--resume_from_checkpoint", "true"]):  # each its own process, as in life
        subprocess.run([sys.executable, "-m", "r1_trl", *words, *save, *more], check=True, capture_output=True)
    ids = {path.name.rpartition("-")[2].removesuffix(".wandb") for path in tmp_path.glob("run/wandb/*/run-*.wandb")}
    assert ids == {(tmp_path / "run" / "wandb" / "run_id").read_text()}
    assert len(list(tmp_path.glob("run/wandb/offline-run-*"))) == 2


def test_without_a_key_it_is_tracked_offline(tmp_path, words):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    command = [sys.executable, "-m", "r1_trl", *words, "--max_steps", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env={**environment, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr[-2000:]
    assert "no W&B key: tracking offline" in done.stderr
    assert len(list(tmp_path.glob("run/wandb/offline-run-*"))) == 1


def test_disabled_leaves_nothing(tmp_path, words, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main([*words, "--max_steps", "1"]) == 0
    assert not list((tmp_path / "run").glob("wandb/*run*"))
    assert json.loads((tmp_path / "run" / "stage.json").read_text())["stage"] == "grpo"
