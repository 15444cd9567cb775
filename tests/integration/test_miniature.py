"""The whole road: the miniature learns to reason, within five minutes on two cores."""

import json

import pytest

from r1_trl.cli import main


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_miniature_learns(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["quickstart", "--output_dir", str(tmp_path / "run"), "--seed", "3"]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    before, after = results["cold_start"], results["grpo"]
    assert after["pass@1"] >= max(0.90, 2.5 * before["pass@1"])
    assert after["mean_completion_tokens"] >= 1.8 * before["mean_completion_tokens"]
    assert before["language_consistency"] <= 0.4
    assert after["language_consistency"] >= 0.95
    assert after["well_formed"] >= 0.98
    assert before["questions"] == after["questions"] >= 512
    assert before["num_generations"] == after["num_generations"] == 16
    assert results["wall_seconds"]["total"] <= 300
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000
