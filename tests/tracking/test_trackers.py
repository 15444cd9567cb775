"""Other trackers than W&B, in real runs; and a tracker that is missing stops none."""

import json
import os
import sqlite3
import subprocess
import sys

import pytest

from r1_trl.cli import main
from r1_trl.tracking import trackers

MISSING = "import sys; sys.modules[{name!r}] = None; from r1_trl.cli import main; sys.exit(main(sys.argv[1:]))"


def run(words, report_to, environment=None, program=None):
    start = ["-m", "r1_trl"] if program is None else ["-c", program]
    command = [sys.executable, *start, *words, "--report_to", *report_to]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stderr


@pytest.mark.slow
def test_trackio_keeps_metrics_and_completions_in_a_local_folder(tmp_path, words):
    evaluation = ["--eval_strategy", "steps", "--eval_steps", "2", "--num_generations_eval", "2"]
    run([*words, *evaluation], ["trackio"], {"TRACKIO_DIR": str(tmp_path / "trackio")})
    (path,) = (tmp_path / "trackio").glob("*.db")
    rows = [json.loads(row) for (row,) in sqlite3.connect(path).execute("select metrics from metrics")]
    logged = {key: row[key] for row in rows for key in row}
    assert 0 <= logged["train/pass@1"] <= 1
    assert 0 <= logged["eval/pass@1"] <= 1
    tables = {key: [row[key]["_value"] for row in rows if key in row] for key in ("completions", "eval/completions")}
    assert [len(table) for table in tables["completions"]] == [32, 32]  # one for each step
    assert len(tables["eval/completions"]) == 1
    assert {"prompt", "reasoning", "answer", "verdict", "accuracy_reward"} <= tables["completions"][0][0].keys()


def test_tensorboard_keeps_metrics(tmp_path, words, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tensorboard"))
    assert main([*words, "--report_to", "tensorboard"]) == 0
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/pass@1")] == [1, 2]
    assert "train/reflection/changed_answers" in events.Tags()["scalars"]


@pytest.mark.parametrize(("rank", "lines"), [(None, 1), ("0", 1), ("1", 0)])
def test_one_process_tells_of_a_missing_tracker(monkeypatch, caplog, rank, lines):
    monkeypatch.setitem(trackers._INSTALLED, "trackio", lambda: False)
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    assert trackers.installed_trackers(["trackio", "tensorboard"]) == ["tensorboard"]
    assert len(caplog.records) == lines


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_missing_tracker_stops_no_run(tmp_path, words, name):
    told = run([*words, "--max_steps", "1"], [name], program=MISSING.format(name=name))
    assert told.count(f"{name} is not installed: the run goes on without it") == 1
    assert json.loads((tmp_path / "run" / "stage.json").read_text())["stage"] == "grpo"
    assert not (tmp_path / "run" / "wandb").exists()
