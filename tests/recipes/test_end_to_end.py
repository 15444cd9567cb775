"""A whole recipe runs, with the miniature in the place of its models."""

import json

import pytest

from r1_trl.cli import main
from tests.recipes.folders import ROOT
from tests.recipes.shrunk import shrink


@pytest.mark.slow
def test_every_stage_of_a_recipe_runs(tmp_path):
    pipeline = shrink(ROOT / "qwen2.5_1.5b_lora_16gb", tmp_path)
    assert main(["pipeline", "--config", str(pipeline)]) == 0
    run = tmp_path / "run"
    for trained in ("cold_start", "rl_1", "sft", "helpful", "safety", "rl_2"):
        assert (run / trained / "adapter_model.safetensors").exists()
    for sampled in ("chains", "reasoning_data", "general_data"):
        assert (run / sampled / "sft.jsonl").read_text().strip()
    metrics = json.loads((run / "rl_2_evaluation" / "stage.json").read_text())["metrics"]
    assert set(metrics["by_source"]) == {"gsm8k", "math500"}
