"""Pipelines of real stages: run, run again, killed, and gone on with."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from r1_trl import InputError
from r1_trl.pipeline.command import main
from r1_trl.pipeline.definition import Stage
from r1_trl.pipeline.folder import PipelineFolder
from r1_trl.pipeline.plan import make_plan
from r1_trl.pipeline.run import run_steps
from r1_trl.recipe_catalog import recipes_folder
from tests.pipeline.recipe import GRPO, run, start, times, write_config, write_recipe


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A pipeline that was left alone: cold start and RL."""
    folder = tmp_path_factory.mktemp("alone")
    path = write_recipe(folder)
    run(path)
    return path


@pytest.fixture
def copy(finished, tmp_path):
    """The same, to change."""
    shutil.copytree(finished.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "pipeline.yaml"


def weights(path, stage):
    return load_file(path.parent / "run" / stage / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_finished(finished):
    results = json.loads((finished.parent / "run" / "pipeline.json").read_text())
    assert list(results["stages"]) == ["cold_start", "rl_1"]
    assert all(stage["seconds"] > 0 and stage["starts"] == 1 for stage in results["stages"].values())
    assert results["stages"]["cold_start"]["metrics"]["train_loss"] > 0
    assert not same(weights(finished, "cold_start"), weights(finished, "rl_1")), "it has learnt something"
    record = json.loads((finished.parent / "run" / "rl_1" / "stage.json").read_text())
    assert record["inputs"]["model"]["name"] == "run/cold_start"
    log = (finished.parent / "log.txt").read_text()
    assert "[2/2] rl_1: never run" in log
    assert "stage       seconds" in log
    assert "rl_1" in (finished.parent / "run" / "report.html").read_text()


def test_second_run_does_nothing(finished, capfd, monkeypatch):
    monkeypatch.chdir(finished.parent)
    before = times(finished.parent / "run")
    main(["--config", str(finished)])
    main(["--config", str(finished), "--dry-run"])
    assert times(finished.parent / "run") == before
    assert capfd.readouterr().out.count("done") == 4


@pytest.mark.slow
def test_edited_stage_runs_again_and_no_other(copy):
    before = times(copy.parent / "run" / "cold_start")
    old = weights(copy, "rl_1")
    write_config(copy.parent, "grpo", {**GRPO, "max_steps": 1})
    run(copy)
    assert times(copy.parent / "run" / "cold_start") == before
    assert not same(weights(copy, "rl_1"), old)
    assert same(load_file(copy.parent / "run" / "rl_1.replaced-1" / "model.safetensors"), old), "nothing is lost"


def test_a_failed_stage_stops_it_with_its_code(tmp_path, capfd):
    folder = PipelineFolder(tmp_path)
    stages = [Stage(name, "recipes", "here", {}, ()) for name in ("a", "b")]  # takes no --config
    with folder.lock() as lock, pytest.raises(SystemExit) as ended:
        run_steps(make_plan(stages, folder), {"a": {}, "b": {}}, folder, lock)
    assert ended.value.code == 2
    assert "stage `a` ended with code 2: see its message above" in capfd.readouterr().err
    assert not folder.start_file("b").exists()
    assert folder.record("a") is None


def kill(running):
    """With -9, and the pipeline alone: what it started has to end by itself."""
    os.kill(running.pid, signal.SIGKILL)
    running.wait()


def wait_for(check, running, seconds=120):
    deadline = time.monotonic() + seconds
    while not check():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_killed_in_training(finished, copy):
    running = start(copy, "--from", "rl_1")
    moved = copy.parent / "run" / "rl_1.replaced-1"
    checkpoint = copy.parent / "run" / "rl_1" / "checkpoint-4" / "complete.json"
    wait_for(lambda: moved.is_dir() and checkpoint.is_file(), running)
    kill(running)
    run(copy, "--from", "rl_1")  # the same command goes on
    assert same(weights(copy, "rl_1"), weights(finished, "rl_1"))
    assert not (copy.parent / "run" / ".pipeline" / "_from.json").exists()
    assert "rl_1        grpo     will resume  was interrupted" in (copy.parent / "log.txt").read_text()
    stages = json.loads((copy.parent / "run" / "pipeline.json").read_text())["stages"]
    assert [stage["starts"] for stage in stages.values()] == [1, 2]


def test_two_at_once(finished, monkeypatch):
    monkeypatch.chdir(finished.parent)
    monkeypatch.setattr("r1_trl.pipeline.folder.PATIENCE", 0.2)
    with (
        PipelineFolder(Path("run")).lock(),
        pytest.raises(InputError, match="another pipeline, or a stage of one that was killed"),
    ):
        main(["--config", str(finished)])


@pytest.mark.slow
@pytest.mark.parametrize("launch", [False, True], ids=["alone", "accelerate"])
def test_killed_at_random(tmp_path, launch):
    rng = random.Random(launch)
    accelerate = {"accelerate_config": str(recipes_folder() / "accelerate" / "cpu.yaml")} if launch else {}
    paths = {}
    for name in ("left_alone", "killed"):
        (tmp_path / name).mkdir()
        paths[name] = write_recipe(tmp_path / name, evaluate="evaluate.yaml", **accelerate)
        write_config(tmp_path / name, "grpo", {**GRPO, "max_steps": 30})
    run(paths["left_alone"])
    for _ in range(6):
        running = start(paths["killed"])
        time.sleep(rng.uniform(1, 25))
        if running.poll() is not None:
            assert running.returncode == 0
            break
        kill(running)
    run(paths["killed"])
    for stage in ("cold_start", "rl_1"):
        assert same(weights(paths["killed"], stage), weights(paths["left_alone"], stage))
    metrics = [
        json.loads((tmp_path / name / "run/rl_1_evaluation/stage.json").read_text())["metrics"] for name in paths
    ]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
def test_what_accelerate_started_ends_with_the_pipeline(tmp_path):
    path = write_recipe(tmp_path, accelerate_config=str(recipes_folder() / "accelerate" / "cpu.yaml"))
    write_config(tmp_path, "grpo", {**GRPO, "max_steps": 2000})
    running = start(path)
    wait_for((tmp_path / "run" / "rl_1" / "checkpoint-2" / "complete.json").is_file, running)
    kill(running)
    time.sleep(2)
    alive = [file.parent.name for file in Path("/proc").glob("[0-9]*/cmdline") if _in_folder(file.parent, tmp_path)]
    assert alive == []


def _in_folder(process, folder):
    try:
        return Path(os.readlink(process / "cwd")) == folder and b"r1_trl" in (process / "cmdline").read_bytes()
    except OSError:
        return False
