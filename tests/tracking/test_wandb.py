"""A run tracked offline, read back from disk: what W&B users look for is there."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import wandb

from r1_trl.cli import main
from r1_trl.tracking.wandb import log_evaluation, open_wandb_run
from tests.tracking.offline_run import read_offline


def test_offline_run_holds_what_its_users_expect(tmp_path, words, offline, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_GROUP", "my-pipeline")
    held_out = ["--eval_strategy", "steps", "--eval_steps", "1", "--eval_on_start", "true"]
    limit = ["--num_generations_eval", "2", "--per_device_eval_batch_size", "64"]
    assert main([*words, *held_out, *limit]) == 0
    run = read_offline(tmp_path / "run")
    assert (run.run.job_type, run.run.run_group, run.run.project) == ("grpo", "my-pipeline", "r1-trl")
    assert run.config["beta"] == 0.001
    assert run.config["epsilon"] == 10.0

    logged = {key for row in run.history for key in row}
    rewards = ("accuracy_reward", "format_reward", "language_consistency_reward")
    expected = {f"train/rewards/{name}/{part}" for name in rewards for part in ("mean", "std")}
    expected |= {"train/reward", "train/reward_std", "train/completions/mean_length", "train/kl", "train/entropy"}
    expected |= {f"{mode}/{name}" for mode in ("train", "eval") for name in ("pass@1", "reflection/changed_answers")}
    assert expected - logged == set()
    assert all("train/global_step" in row for row in run.history)
    assert run.metrics["*"].step_metric or run.metrics["*"].step_metric_index  # transformers' x-axis for all

    held_out = {row["train/global_step"]: row["eval/pass@1"] for row in run.history if "eval/pass@1" in row}
    assert held_out.keys() == {0, 1, 2}
    assert run.summary["eval/pass@1"]["max"] == run.summary["best/pass@1"] == max(held_out.values())
    assert held_out[run.summary["best/pass@1_step"]] == run.summary["best/pass@1"]
    assert (run.summary["final/pass@1"], run.summary["final/pass@1_step"]) == (held_out[2], 2)


def test_completions_of_every_step_stay_reachable(tmp_path, words, offline):
    evaluation = ["--eval_strategy", "steps", "--eval_steps", "2", "--num_generations_eval", "2"]
    assert main([*words, *evaluation, "--per_device_eval_batch_size", "64"]) == 0
    run = read_offline(tmp_path / "run")
    training, held_out = run.table("completions"), run.table("eval/completions")
    assert [row["step"] for row in training] == [1] * 32 + [2] * 32  # each row once, the last step not again
    assert {row["step"] for row in held_out} == {2}
    columns = {"prompt", "completion", "reasoning", "answer", "solution", "verdict", "advantage"}
    for row in training:
        assert columns | {"accuracy_reward", "format_reward", "language_consistency_reward"} <= row.keys()
        assert row["prompt"].startswith(("what is", "请"))
        assert (row["verdict"] == "right") == (row["accuracy_reward"] == 1.0)
    files = sorted((tmp_path / "run" / "completions").glob("completions_*"))
    kept = pd.concat(map(pd.read_parquet, files))
    assert [row["answer"] or "" for row in training] == kept["answer"].fillna("").tolist()
    increments = [a for a in run.artifacts if a.type == "wandb-run-incremental-table" and "eval" not in a.name]
    assert [a.manifest.contents[0].path.split("-")[0] for a in increments] == ["0", "1"]  # no step over another


@pytest.mark.slow
def test_a_resumed_run_goes_on_under_its_id(tmp_path, words, offline):
    save = ["--save_strategy", "steps", "--save_steps", "1"]
    for more in (["--max_steps", "1"], ["--resume_from_checkpoint", "true"]):  # each its own process, as in life
        subprocess.run([sys.executable, "-m", "r1_trl", *words, *save, *more], check=True, capture_output=True)
    ids = {path.name.rpartition("-")[2].removesuffix(".wandb") for path in tmp_path.glob("run/wandb/*/run-*.wandb")}
    assert ids == {(tmp_path / "run" / "wandb" / "run_id").read_text()}
    assert len(list(tmp_path.glob("run/wandb/offline-run-*"))) == 2


@pytest.mark.parametrize(
    ("environment", "line"),
    [
        pytest.param({}, "no W&B key: tracking offline below", id="no key", marks=pytest.mark.slow),
        pytest.param(
            {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:9"},
            "no answer from W&B at http://127.0.0.1:9",
            id="no network",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_training_goes_on_offline(tmp_path, words, environment, line):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    command = [sys.executable, "-m", "r1_trl", *words, "--max_steps", "1"]
    environment = {**inherited, **environment, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count(line) == 1
    assert len(list(tmp_path.glob("run/wandb/offline-run-*"))) == 1
    read_offline(tmp_path / "run")


def test_disabled_leaves_nothing(tmp_path, words, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert main([*words, "--max_steps", "1"]) == 0
    assert not list((tmp_path / "run").glob("wandb/*run*"))
    assert json.loads((tmp_path / "run" / "stage.json").read_text())["stage"] == "grpo"


def test_an_evaluation_is_a_run_of_its_own(tmp_path, offline):
    metrics = {"pass@1": 0.5, "pass@1_ci95": [0.25, 0.75], "by_source": {"aime": {"pass@1": 0.5}}}
    samples = pd.DataFrame({"question": ["2 + 2", "1 + 1"], "answer": ["4", None], "correct": [1.0, None]})
    log_evaluation(tmp_path / "evaluation", "evaluate", metrics, samples, ["wandb"])
    run = read_offline(tmp_path / "evaluation")
    assert (run.run.job_type, run.run.display_name) == ("evaluate", f"{tmp_path.name}-evaluation")
    assert {name: run.summary[name] for name in metrics} == metrics
    assert run.table("samples") == [
        {"question": "2 + 2", "answer": "4", "correct": 1.0},
        {"question": "1 + 1", "answer": None, "correct": None},
    ]


@pytest.mark.parametrize("server", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_without_a_network_it_waits_for_a_later_time(tmp_path, offline, monkeypatch, caplog, server):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", server)
    for stage in ("one", "two"):
        log_evaluation(tmp_path / stage, "evaluate", {"pass@1": 0.5}, pd.DataFrame({"answer": ["4"]}), ["wandb"])
        assert read_offline(tmp_path / stage).summary["pass@1"] == 0.5
    lines = [record.message for record in caplog.records if record.name == "r1_trl.tracking.wandb"]
    assert [line.startswith(f"no answer from W&B at {server}") for line in lines] == [True, True]  # one a run
    assert "WANDB_MODE" not in os.environ


TAKES_NONE = "W&B takes no run"


@pytest.mark.parametrize("refused", [401, 403], indirect=True)
@pytest.mark.parametrize("mode", [None, "online"])
def test_a_server_that_refuses_ends_no_evaluation(tmp_path, refused, monkeypatch, caplog, mode):
    if mode is not None:
        monkeypatch.setenv("WANDB_MODE", mode)
    log_evaluation(tmp_path / "one", "evaluate", {"pass@1": 0.5}, pd.DataFrame({"answer": ["4"]}), ["wandb"])
    assert read_offline(tmp_path / "one").summary["pass@1"] == 0.5
    lines = [record.message for record in caplog.records if record.name == "r1_trl.tracking.wandb"]
    assert [line.startswith(TAKES_NONE) for line in lines] == [True]
    assert os.environ.get("WANDB_MODE") == mode


@pytest.mark.parametrize("refused", [403], indirect=True)
def test_a_server_that_refuses_ends_no_training(tmp_path, refused, words, caplog):
    assert main([*words, "--max_steps", "1"]) == 0
    run = read_offline(tmp_path / "run")
    assert (run.run.job_type, run.run.display_name) == ("grpo", f"{tmp_path.name}-run")
    assert run.run.run_id == (tmp_path / "run" / "wandb" / "run_id").read_text()
    assert (run.config["beta"], run.config["max_steps"]) == (0.001, 1)
    assert any("train/pass@1" in row for row in run.history)
    assert sum(TAKES_NONE in record.message for record in caplog.records) == 1


def test_a_key_that_is_none_ends_no_evaluation(tmp_path, offline, monkeypatch, caplog):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "abc")
    log_evaluation(tmp_path / "one", "evaluate", {"pass@1": 0.5}, pd.DataFrame({"answer": ["4"]}), ["wandb"])
    assert read_offline(tmp_path / "one").summary["pass@1"] == 0.5
    assert "WANDB_API_KEY invalid" in caplog.text


def test_what_cannot_be_tracked_is_told(tmp_path, offline, caplog):
    (tmp_path / "file").touch()
    log_evaluation(tmp_path / "file" / "run", "evaluate", {}, pd.DataFrame(), ["wandb"])
    assert "W&B does not get the evaluation" in caplog.text


def test_all_samples_are_in_the_table_as_text(tmp_path, offline):
    prompt = [{"role": "user", "content": "2 + 2"}]
    samples = pd.DataFrame({"prompt": [prompt] * 10_001, "completion": ["<think>4</think>4"] * 10_001})
    log_evaluation(tmp_path / "evaluation", "evaluate", {}, samples, ["wandb"])
    table = read_offline(tmp_path / "evaluation").table("samples")
    assert len(table) == 10_001
    assert table[0] == {"prompt": "2 + 2", "completion": "<think>4</think>4"}


def test_without_wandb_in_report_to_nothing_starts(tmp_path, offline):
    log_evaluation(tmp_path / "evaluation", "evaluate", {}, pd.DataFrame(), ["tensorboard"])
    assert not (tmp_path / "evaluation").exists()


def test_a_run_that_the_caller_has_opened_goes_on(tmp_path, offline, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = wandb.init()
    with open_wandb_run(tmp_path / "stage", "report", ["wandb"]):
        pass
    assert wandb.run is own
    wandb.finish()
    wandb.teardown()
