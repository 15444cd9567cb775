"""The whole road: the miniature learns to reason, within five minutes on two cores."""

import json

import pytest

from r1_trl.cli import main
from tests.learning import assert_learned


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_miniature_learns(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["quickstart", "--output_dir", str(tmp_path / "run"), "--seed", "3"]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert_learned(results)
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000
