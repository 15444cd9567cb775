"""Folders of runs as stages, pipelines and quickstarts leave them, finished or not."""

import json
import os

import pytest

from r1_trl.errors import InputError
from r1_trl.stages.record import write_stage_record
from r1_trl.tracking.run_folder import read_run


def stage(folder, command="sft", logs=None, seconds=1.0, **cost):
    write_stage_record(str(folder), command, {"seed": 1}, {}, {"train_loss": 0.5}, seconds, cost or None)
    if logs is not None:
        state(folder, logs)


def state(folder, logs, step=None):
    folder.mkdir(parents=True, exist_ok=True)
    content = {"global_step": logs[-1]["step"] if step is None else step, "log_history": logs}
    (folder / "trainer_state.json").write_text(json.dumps(content))


def test_one_stage(tmp_path):
    stage(tmp_path / "sft", logs=[{"step": 1, "loss": 2.0}])
    run = read_run(str(tmp_path / "sft"))
    assert run.name == "sft"
    (only,) = run.stages
    assert (only.name, only.command, only.path) == ("sft", "sft", tmp_path / "sft")
    assert only.record["metrics"] == {"train_loss": 0.5}
    assert only.log_history == [{"step": 1, "loss": 2.0}]
    assert only.evaluation is None


def test_a_pipeline_in_the_order_of_its_plan(tmp_path):
    names = ["zeta", "zeta_evaluation", "alpha", "alpha_evaluation", "data"]
    for name in names:
        stage(tmp_path / name, "evaluate" if name.endswith("_evaluation") else "grpo")
    (tmp_path / "pipeline.json").write_text(json.dumps({"stages": {name: {} for name in names}}))
    (tmp_path / ".pipeline").mkdir()
    stage(tmp_path / "alpha.replaced-1")
    run = read_run(tmp_path)
    assert [found.name for found in run.stages] == names
    zeta, evaluated = run.stages[:2]
    assert zeta.evaluation is evaluated
    assert run.stages[-1].evaluation is None
    assert evaluated.evaluation is None


def test_a_quickstart(tmp_path):
    names = ["cold_start", "cold_start_evaluation", "grpo", "grpo_evaluation"]
    for name in reversed(names):
        stage(tmp_path / name)
    (tmp_path / "results.json").write_text(json.dumps({"wall_seconds": {**dict.fromkeys(names, 1.0), "total": 4.0}}))
    (tmp_path / "curves.png").touch()
    assert [found.name for found in read_run(tmp_path).stages] == names


def test_a_pipeline_that_has_not_ended_in_the_order_of_its_starts(tmp_path):
    (tmp_path / ".pipeline").mkdir()
    for second, name in enumerate(["zeta", "alpha", "middle"]):
        start = tmp_path / ".pipeline" / f"{name}.json"
        start.write_text("{}")
        os.utime(start, (1000 + second, 1000 + second))
    stage(tmp_path / "zeta")
    stage(tmp_path / "alpha")
    state(tmp_path / "middle" / "checkpoint-5", [{"step": 5, "loss": 1.0}])
    (tmp_path / "middle" / "checkpoint-5" / "complete.json").write_text("{}")
    (tmp_path / "not_begun").mkdir()
    run = read_run(tmp_path)
    assert [found.name for found in run.stages] == ["zeta", "alpha", "middle"]
    assert run.stages[-1].record == {}
    assert run.stages[-1].command is None
    assert run.stages[-1].log_history == [{"step": 5, "loss": 1.0}]


def test_stages_behind_the_last_results_come_last(tmp_path):
    """A stage was added to a pipeline that had ended, and runs."""
    stage(tmp_path / "old")
    stage(tmp_path / "new")
    os.utime(tmp_path / "new" / "stage.json", (1, 1))
    (tmp_path / "pipeline.json").write_text(json.dumps({"stages": {"old": {}}}))
    assert [found.name for found in read_run(tmp_path).stages] == ["old", "new"]


def test_logs_are_those_that_are_furthest_on(tmp_path):
    """Of whole checkpoints; by their number, not their name; or of the folder, when the run has ended."""
    for step in (9, 10):
        state(tmp_path / f"checkpoint-{step}", [{"step": step}])
        (tmp_path / f"checkpoint-{step}" / "complete.json").write_text("{}")
    state(tmp_path / "checkpoint-11", [{"step": 11}])  # a kill came before its mark
    assert read_run(tmp_path).stages[0].log_history == [{"step": 10}]
    state(tmp_path, [{"step": 12}])
    assert read_run(tmp_path).stages[0].log_history == [{"step": 12}]
    state(tmp_path, [{"step": 8}])  # of a shorter run that is going on
    assert read_run(tmp_path).stages[0].log_history == [{"step": 10}]


def test_a_stage_that_samples_shows_from_its_first_answer_on(tmp_path):
    (tmp_path / "samples.jsonl").write_text("{}\n")
    assert read_run(tmp_path).stages[0].record == {}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "is no run: neither it nor a folder in it has a stage.json"),
        ({"notes/readme.txt": ""}, "is no run"),
        ({"sft/stage.json": "{"}, "sft/stage.json is no JSON"),
        ({"sft/stage.json": "[]"}, "sft/stage.json holds no JSON mapping"),
        ({"sft/stage.json": "{}", "pipeline.json": "oops"}, "pipeline.json is no JSON"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_run(tmp_path)
