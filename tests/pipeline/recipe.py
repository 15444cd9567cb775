"""A small pipeline of real stages, and ways to run it."""

import json
import os
import subprocess
import sys

from r1_trl.tasks.arithmetic import cold_start_rows, question_rows

COMMON = {
    "model_name_or_path": "miniature:base",
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "dataloader_pin_memory": False,
    "report_to": "none",
    "logging_steps": 1,
    "save_steps": 2,
}
SFT = {
    **COMMON,
    "dataset_name": "rows.jsonl",
    "per_device_train_batch_size": 4,
    "max_steps": 6,
    "max_length": 48,
    "learning_rate": 1e-3,
}
GRPO = {
    **COMMON,
    "dataset_name": "questions.jsonl",
    "reward_funcs": ["format_reward", "language_consistency_reward"],
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_completion_length": 24,
    "max_steps": 8,
    "learning_rate": 1e-4,
}
EVALUATE = {"dataset_name": "questions.jsonl", "num_questions": 4, "num_generations": 2, "use_cpu": True}
EVALUATE |= {"max_completion_length": 24, "dataset_test_split": "train"}
STAGES = {
    "cold_start": {"command": "sft", "config": "sft.yaml"},
    "rl_1": {"command": "grpo", "config": "grpo.yaml", "arguments": {"model_name_or_path": "{cold_start}"}},
}


def write_recipe(folder, **content):
    """Writes a pipeline with its configs and data, to be run in that folder; returns the path of its file."""
    for name, rows in (("rows", cold_start_rows(32)), ("questions", question_rows("train", 32))):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name, settings in (("sft", SFT), ("grpo", GRPO), ("evaluate", EVALUATE)):
        write_config(folder, name, settings)
    path = folder / "pipeline.yaml"
    path.write_text(json.dumps({"output_dir": "run", "stages": STAGES, **content}))
    return path


def write_config(folder, name, settings):
    (folder / f"{name}.yaml").write_text(json.dumps(settings))  # JSON is YAML


def start(path, *flags):
    """The pipeline as a process of its own; its output is beside its file."""
    words = [sys.executable, "-c", "import sys; from r1_trl.pipeline.command import main; main(sys.argv[1:])"]
    log = open(path.parent / "log.txt", "ab")  # noqa: SIM115
    words += ["--config", path.name, *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(words, stdout=log, stderr=log, env=environment, cwd=path.parent)


def run(path, *flags):
    """Runs the pipeline to its end, which must be a good one."""
    running = start(path, *flags)
    assert running.wait(300) == 0, (path.parent / "log.txt").read_text()[-3000:]


def times(folder):
    """When each file was written."""
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}
