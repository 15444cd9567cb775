"""Real short runs of the miniature: their ledgers are the trainers' own numbers, and go on over a resume."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from r1_trl import R1GRPOConfig, R1GRPOTrainer, format_reward
from r1_trl.cli import main
from r1_trl.grpo.resume import ResumableRollouts
from r1_trl.preference.trainers import PointwiseRewardTrainer
from r1_trl.stages.cost import main as cost_main
from r1_trl.stages.reward_config import R1RewardConfig
from r1_trl.tracking.run_folder import read_run

LOGGED = ("wall_hours", "device_hours", "tokens_generated", "tokens_trained", "peak_memory_gb", "usd")
SHORT = {
    "model_name_or_path": "miniature:base",
    "report_to": "none",
    "per_device_train_batch_size": 32,
    "logging_steps": 1,
    "max_steps": 2,
}
SFT = ["sft", "--config", "recipes/miniature_cpu/sft.yaml"]
GRPO = ["grpo", "--config", "recipes/miniature_cpu/grpo.yaml", "--max_completion_length", "32"]
WEIGHTS = 976_192  # of miniature:base


def words(command, **settings):
    return [*command, *(word for key, value in {**SHORT, **settings}.items() for word in (f"--{key}", str(value)))]


@pytest.fixture
def command(request, tmp_path_factory):
    """Words of a stage, with few rows where TRL tokenises all of them first."""
    if request.param == "grpo":
        return [*GRPO, "--eval_strategy", "no", "--eval_on_start", "false", "--log_completions", "false"]
    question = [{"role": "user", "content": "what is 5 + 3 ?"}]
    answers = ["<think> 8 </think> <answer> 8 </answer>", "<think> add 3 gives 8 . </think> <answer> 8 </answer>"]
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rows = [{"prompt": question, "completion": [{"role": "assistant", "content": answers[n % 2]}]} for n in range(64)]
    file.write_text("\n".join(map(json.dumps, rows)))
    return [*SFT, "--dataset_name", str(file)]


def cost_logs(folder):
    (stage,) = read_run(folder).stages
    return [log for log in stage.log_history if "cost/wall_hours" in log]


def completion_tokens(log, completions):
    return round(log["completions/mean_length"] * completions)


@pytest.mark.parametrize("command", ["sft"], indirect=True)
def test_sft_counts_what_the_trainer_counts(tmp_path, command, capsys):
    assert main(words(command, output_dir=tmp_path, save_strategy="no", gpu_hour_usd=3.0)) == 0
    (stage,) = read_run(tmp_path).stages
    cost, logs = stage.record["cost"], cost_logs(tmp_path)
    *steps, summary = logs
    assert [log["cost/tokens_trained"] for log in steps] == [log["num_tokens"] for log in steps]
    assert 0 < steps[0]["cost/tokens_trained"] < steps[1]["cost/tokens_trained"] == cost["tokens_trained"]
    assert "train_runtime" in summary
    assert all(f"cost/{name}" in log for log in logs for name in LOGGED)
    assert cost["tokens_generated"] == 0
    assert cost["device"] == "cpu"
    assert cost["wall_seconds"] == pytest.approx(stage.record["wall_seconds"], abs=0.5)
    assert cost["usd"] == pytest.approx(cost["wall_seconds"] / 3600 * 3, abs=1e-4)
    assert cost["model_params"] == WEIGHTS
    capsys.readouterr()
    cost_main([str(tmp_path), "--model_params", str(cost["model_params"])])
    *_, projected = (line for line in capsys.readouterr().out.splitlines() if line.startswith("total"))
    assert float(projected.split()[1]) == pytest.approx(cost["device_hours"], abs=1e-4)


def test_grpo_counts_completions_of_training_and_of_held_out_questions(tmp_path):
    settings = {"eval_strategy": "steps", "eval_steps": 2, "eval_on_start": True, "save_strategy": "no"}
    assert main(words(GRPO, output_dir=tmp_path, per_device_eval_batch_size=32, **settings)) == 0
    (stage,) = read_run(tmp_path).stages
    history, cost = stage.log_history, stage.record["cost"]
    training = [log for log in history if "reward" in log]
    held_out = [log for log in history if "eval_reward" in log]
    assert len(training) == len(held_out) == 2
    assert not any(name.startswith("cost/") for log in held_out for name in log)
    batch = stage.record["arguments"]["generation_batch_size"]
    trained = [completion_tokens(log, batch) for log in training]
    questions = stage.record["arguments"]["num_generations_eval"] or stage.record["arguments"]["num_generations"]
    rows = round(held_out[0]["eval_samples_per_second"] * held_out[0]["eval_runtime"])
    evaluated = [round(log["eval_completions/mean_length"] * rows * questions) for log in held_out]
    assert training[0]["cost/tokens_generated"] == evaluated[0] + trained[0]
    assert training[1]["cost/tokens_generated"] == evaluated[0] + sum(trained)
    assert cost["tokens_generated"] == sum(evaluated) + sum(trained)
    assert [log["cost/tokens_trained"] for log in training] == [log["num_tokens"] for log in training]
    assert cost["tokens_trained"] == training[-1]["num_tokens"]


def test_iterations_train_on_a_rollout_again(cpu_args, base_path, questions):
    args = R1GRPOConfig(
        **cpu_args, max_steps=2, per_device_train_batch_size=8, num_generations=4, num_iterations=2, beta=0.0
    )
    trainer = R1GRPOTrainer(base_path, format_reward, args, train_dataset=questions)
    trainer.train()
    assert trainer.cost()["tokens_trained"] == 2 * trainer.state.num_input_tokens_seen > 0


def test_a_pointwise_reward_model_counts_its_tokens(cpu_args, base_path):
    cpu_args.pop("max_completion_length")
    args = R1RewardConfig(**cpu_args, max_steps=1, per_device_train_batch_size=2)
    tokenizer = AutoTokenizer.from_pretrained(base_path)
    rows = [{"prompt": "1 + 1 = ", "completion": answer, "label": label} for answer, label in (("2", 1), ("9 9", 0))]
    model = AutoModelForSequenceClassification.from_pretrained(base_path, num_labels=1)
    model.config.pad_token_id = tokenizer.pad_token_id
    trainer = PointwiseRewardTrainer(
        model, args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer, record={}
    )
    trainer.train()
    seen = sum(len(row["input_ids"]) for row in trainer.train_dataset)
    assert trainer.cost()["tokens_trained"] == seen > 0
    assert trainer.state.log_history[0]["num_tokens"] == seen


@pytest.mark.parametrize("command", ["sft", "grpo"], indirect=True)
def test_sums_go_on_over_a_resume(tmp_path, command):
    """Two starts of one step have the tokens of one start of two steps, and the time of both."""
    more = {"save_strategy": "steps", "save_steps": 1}
    apart, alone = tmp_path / "apart", tmp_path / "alone"
    assert main(words(command, output_dir=alone, **more)) == 0
    for extra in (["--max_steps", "1"], ["--resume_from_checkpoint", "true"]):
        assert main([*words(command, output_dir=apart, **more), *extra]) == 0
    (whole,), (resumed,) = read_run(alone).stages, read_run(apart).stages
    for name in ("tokens_generated", "tokens_trained"):
        assert resumed.record["cost"][name] == whole.record["cost"][name]
    saved = json.loads((apart / "checkpoint-1" / "cost.json").read_text())
    assert saved["tokens_trained"] < resumed.record["cost"]["tokens_trained"]
    second = resumed.record["wall_seconds"]
    assert resumed.record["cost"]["wall_seconds"] == pytest.approx(saved["wall_seconds"] + second, abs=0.3)
    hours = [log["cost/wall_hours"] for log in cost_logs(apart)]
    assert hours == sorted(hours)


def test_rejection_sampling_counts_its_answers(tmp_path):
    config = ["rejection-sample", "--config", "recipes/miniature_cpu/rejection_sampling.yaml"]
    flags = {"output_dir": tmp_path, "model_name_or_path": "miniature:base", "num_questions": 4, "num_generations": 4}
    call = [*config, *(word for key, value in flags.items() for word in (f"--{key}", str(value)))]
    assert main(call) == 0
    first = json.loads((tmp_path / "stage.json").read_text())["cost"]
    answers = pd.read_json(tmp_path / "samples.jsonl", lines=True)
    assert first["tokens_generated"] == answers["num_tokens"].sum() > 0
    assert first["model_params"] == WEIGHTS
    assert main(call) == 0  # samples nothing again
    second = json.loads((tmp_path / "stage.json").read_text())["cost"]
    assert second["tokens_generated"] == first["tokens_generated"]
    sampling = json.loads((tmp_path / "samples.run.json").read_text())["seconds"]
    assert second["wall_seconds"] > sampling > 0


def test_the_ledger_stands_where_it_sees_what_trl_logs():
    """`log` before TRL's, which empties its metrics; completions before TRL grades them."""
    order = [cls.__name__ for cls in ResumableRollouts.__mro__]
    assert order.index("WholeCheckpoints") < order.index("CostLedger") < order.index("GRPOTrainer")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["grpo"], indirect=True)
def test_two_processes_count_once(tmp_path, command):
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    call = words(command, output_dir=tmp_path, max_steps=1, save_strategy="no")
    subprocess.run([*launch, "-m", "r1_trl", *call], check=True, capture_output=True, cwd=Path.cwd())
    (stage,) = read_run(tmp_path).stages
    cost, (log, *_) = stage.record["cost"], stage.log_history
    assert cost["processes"] == 2
    assert cost["device_hours"] == pytest.approx(2 * cost["wall_seconds"] / 3600, abs=1e-4)
    batch = stage.record["arguments"]["generation_batch_size"]
    assert cost["tokens_generated"] == completion_tokens(log, batch)
    assert cost["tokens_trained"] == log["num_tokens"]
