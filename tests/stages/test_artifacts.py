"""`log_artifacts`: what stages write reaches the offline W&B run, with what it was made from."""

import json

import pytest

from r1_trl.cli import main
from tests.tracking.offline_run import read_offline

SHORT = ["--max_steps", "1", "--save_strategy", "no", "--per_device_train_batch_size", "2"]


@pytest.fixture
def rows(tmp_path):
    question = [{"role": "user", "content": "what is 5 + 3 ?"}]
    answer = [{"role": "assistant", "content": "<think> 8 </think> <answer> 8 </answer>"}]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join([json.dumps({"prompt": question, "completion": answer})] * 4))
    return str(file)


def test_a_model_and_the_rows_that_it_sampled(tmp_path, rows, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DIR", "WANDB_JOB_TYPE"):
        monkeypatch.delenv(name, raising=False)
    model, data = tmp_path / "model", tmp_path / "data"
    sft = ["sft", "--config", "recipes/miniature_cpu/sft.yaml", "--dataset_name", rows, *SHORT]
    assert main([*sft, "--output_dir", str(model), "--log_artifacts", "true"]) == 0
    name = f"{tmp_path.name}-model"
    assert read_offline(model).artifacts_of("model") == [(name, False)]
    sample = ["rejection-sample", "--config", "recipes/miniature_cpu/rejection_sampling.yaml"]
    sample += ["--model_name_or_path", str(model), "--num_questions", "2", "--num_generations", "2"]
    assert main([*sample, "--output_dir", str(data), "--log_artifacts", "true"]) == 0
    run = read_offline(data)
    assert run.artifacts_of("model") == [(name, True)]  # its input
    assert run.artifacts_of("dataset") == [("data-sft.jsonl", False)]
    assert run.summary["sampled"] == 4


def test_nothing_unless_asked(tmp_path, rows, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    sft = ["sft", "--config", "recipes/miniature_cpu/sft.yaml", "--dataset_name", rows, *SHORT]
    assert main([*sft, "--output_dir", str(tmp_path / "model")]) == 0
    assert read_offline(tmp_path / "model").artifacts == []
