"""The quickstart: its plan, its table, and what it does when a stage fails. The whole road is in integration."""

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from r1_trl import quickstart
from r1_trl.cli import main
from tests.report.runs import write_run, write_stage

METRICS = {
    "pass@1": 0.25,
    "pass@1_ci95": [0.2, 0.3],
    "cons@16": 0.5,
    "mean_completion_tokens": 10.0,
    "language_consistency": 0.0,
    "well_formed": 1.0,
    "questions": 512,
}


def test_plan_calls_ordinary_commands():
    stages = quickstart.plan(Path("out"), seed=7)
    assert [stage.words[0] for stage in stages] == ["sft", "evaluate", "grpo", "evaluate"]
    assert all(Path(stage.words[stage.words.index("--config") + 1]).is_file() for stage in stages)
    assert [stage.words[-2:] for stage in stages if stage.words[0] != "evaluate"] == [["--seed", "7"]] * 2


def test_results_and_table(tmp_path):
    for name, value in (("cold_start", 0.25), ("grpo", 1.0)):
        folder = tmp_path / f"{name}_evaluation"
        folder.mkdir()
        (folder / "stage.json").write_text(json.dumps({"metrics": {**METRICS, "pass@1": value}}))
    seconds = {"cold_start": 20.0, "cold_start_evaluation": 15.0, "grpo": 100.0, "grpo_evaluation": 15.5}
    results = quickstart.collect_results(tmp_path, seconds)
    assert results["wall_seconds"] == {**seconds, "total": 150.5}
    assert results["grpo"]["pass@1"] == 1.0
    assert results["grpo"]["wall_seconds"] == 100.0
    table = quickstart.format_results(results, tmp_path)
    assert "x 4.00" in table
    assert "0.200 to 0.300, 512 held-out questions" in table


def test_example_is_an_answer_that_changed(tmp_path):
    rows = {"cold_start": [("right", 1.0), ("3", 0.0)], "grpo": [("right", 1.0), ("add 3 gives 8 .", 1.0)]}
    for part, samples in rows.items():
        (tmp_path / f"{part}_evaluation").mkdir()
        table = pd.DataFrame(samples, columns=["completion", "correct"])
        table["prompt"] = [[{"role": "user", "content": f"question {index}"}] for index in range(len(samples))]
        table.to_parquet(tmp_path / f"{part}_evaluation" / "samples.parquet")
    lines = quickstart.format_example(tmp_path).splitlines()
    assert lines[1:] == ["An answer that changed: question 1", "  cold start  3", "  GRPO        add 3 gives 8 ."]


def test_it_ends_with_a_report(tmp_path, monkeypatch, capsys):
    folder = write_run(tmp_path / "run", texts=("a",))
    measured = {**METRICS, "cons@16": 0.5}
    for name, share in (("cold_start", 0.25), ("grpo", 1.0)):
        write_stage(folder / f"{name}_evaluation", "evaluate", metrics={**measured, "pass@1": share})
    stages = [quickstart.Stage(name, name, ["recipes"]) for name in ("cold_start", "grpo")]
    monkeypatch.setattr(quickstart, "plan", lambda *_: stages)
    quickstart.main(["--output_dir", str(folder)])
    assert f"Report: {folder}/report.html" in capsys.readouterr().out
    assert "100.0%" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_failed_stage_ends_it_with_its_code(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    bad = quickstart.Stage("grpo", "a stage", ["grpo", "--config", "nowhere.yaml"])
    monkeypatch.setattr(quickstart, "plan", lambda *_: [bad])
    with pytest.raises(SystemExit) as ended:
        main(["quickstart"])
    assert ended.value.code == 2
    assert "nowhere.yaml: no such file" in capfd.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_environment_of_the_user_wins(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setattr(quickstart, "plan", lambda *_: [])
    monkeypatch.setattr(quickstart, "collect_results", lambda *_: (_ for _ in ()).throw(subprocess.SubprocessError))
    with pytest.raises(subprocess.SubprocessError):
        quickstart.main([])
    assert quickstart.os.environ["WANDB_MODE"] == "disabled"
