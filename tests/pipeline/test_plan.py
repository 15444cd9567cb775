"""What has to run, and why."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl import InputError
from r1_trl.files import write_json
from r1_trl.pipeline import plan as plan_module
from r1_trl.pipeline.command import make_parser, remember_forced
from r1_trl.pipeline.folder import PipelineFolder
from r1_trl.pipeline.inputs import describe_changes, hash_path, stage_inputs
from r1_trl.pipeline.plan import format_plan, make_plan
from tests.pipeline.recipe import SFT, STAGES, write_config, write_recipe
from tests.pipeline.test_definition import read

CHAIN = {  # data needs rl_1, other needs nothing
    **STAGES,
    "data": {"command": "verify", "arguments": {"dataset_name": "{rl_1}/rows.jsonl"}},
    "other": {"command": "sft", "config": "other.yaml"},
}


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, "other", SFT)
    return write_recipe(tmp_path, stages=CHAIN)


def finish(path, *names):
    """As if these stages had run."""
    folder = PipelineFolder(Path("run"))
    for stage in read(path):
        if stage.name in names:
            runs = {name: folder.record(name)["run"] for name in stage.needs}
            begun = {"run": f"{stage.name}-1", "starts": 1, "r1-trl": "0.1.0", "inputs": stage_inputs(stage, runs)}
            write_json(folder.start_file(stage.name), begun)
            write_json(folder.record_file(stage.name), {**begun, "seconds": 1.0})
    return folder


def planned(path, **options):
    steps = make_plan(read(path), PipelineFolder(Path("run")), **options)
    return {step.stage.name: (step.state.removeprefix("will "), step.why) for step in steps}


def states(path, **options):
    return [state for state, _ in planned(path, **options).values()]


def edit(path, name, **settings):
    file = path.parent / f"{name}.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def test_at_first_all_run(path):
    assert planned(path) == dict.fromkeys(CHAIN, ("run", "never run"))


def test_then_nothing(path):
    finish(path, *CHAIN)
    assert planned(path) == dict.fromkeys(CHAIN, ("done", ""))


def test_comments_and_order_change_nothing(path):
    finish(path, *CHAIN)
    file = path.parent / "sft.yaml"
    content = json.loads(file.read_text())
    file.write_text("# a comment\n" + "\n".join(f"{key}: {json.dumps(content[key])}" for key in reversed(content)))
    assert states(path) == ["done"] * 4


def test_an_edit_runs_the_stage_and_what_needs_it(path):
    finish(path, *CHAIN)
    edit(path, "grpo", learning_rate=2e-4)
    assert planned(path) == {
        "cold_start": ("done", ""),
        "rl_1": ("run", "`learning_rate` 0.0001 → 0.0002"),
        "data": ("run", "`rl_1` runs again"),
        "other": ("done", ""),
    }


def test_a_file_that_changes(path):
    finish(path, *CHAIN)
    rows = Path("questions.jsonl")
    rows.write_text(rows.read_text() + "\n")
    assert planned(path)["rl_1"] == ("run", f"`{rows}` has changed")
    assert states(path) == ["done", "run", "run", "done"]


def test_the_accelerate_config_counts(path):
    finish(path, *CHAIN)
    (path.parent / "accelerate.yaml").write_text("num_processes: 2")
    path.write_text(json.dumps({**json.loads(path.read_text()), "accelerate_config": "accelerate.yaml"}))
    assert planned(path)["cold_start"] == ("run", "accelerate's `num_processes` (not set) → 2")
    assert states(path) == ["run", "run", "run", "run"]


def test_a_stage_that_ran_again_is_another(path):
    """Though its settings are the same: on a GPU, what comes out need not be."""
    folder = finish(path, *CHAIN)
    record = folder.record("cold_start")
    write_json(folder.record_file("cold_start"), {**record, "run": "cold_start-2"})
    assert planned(path)["rl_1"] == ("run", "`cold_start` ran again")


def test_interrupted(path):
    folder = finish(path, "cold_start", "rl_1")
    folder.record_file("rl_1").unlink()
    (folder.path / "rl_1" / "checkpoint-2").mkdir()
    assert planned(path)["rl_1"] == ("resume", "was interrupted")
    edit(path, "grpo", learning_rate=2e-4)
    assert planned(path)["rl_1"] == ("run", "`learning_rate` 0.0001 → 0.0002")


def test_interrupted_before_it_wrote_anything(path):
    folder = finish(path, "cold_start")
    write_json(folder.start_file("rl_1"), {"inputs": {}})
    assert planned(path)["rl_1"] == ("run", "never run")


def test_a_folder_of_somebody_else(path):
    Path("run/cold_start").mkdir(parents=True)
    Path("run/cold_start/model.safetensors").touch()
    assert planned(path)["cold_start"] == ("run", "its folder is not this pipeline's")


def test_from(path):
    finish(path, *CHAIN)
    assert states(path, from_stage="rl_1") == ["done", "run", "run", "run"]
    assert planned(path, from_stage="rl_1")["other"] == ("run", "--from rl_1")


def interrupt(path, *flags):
    """As if a call with these flags had been killed in its first stage."""
    folder, config = PipelineFolder(Path("run")), parse(path, *flags)
    steps = make_plan(read(path), folder, config.from_stage, config.only)
    remember_forced(steps, folder, config)
    first = next(step.stage.name for step in steps if step.state == "will run")
    folder.record_file(first).rename(folder.path / first / "checkpoint-2")
    forced = folder.forced
    folder.forced = replace(forced, stages={name: why for name, why in forced.stages.items() if name != first})


def parse(path, *flags):
    return make_parser().parse(["--config", str(path), *flags])[0]


@pytest.mark.parametrize("from_stage", ["rl_1", None])
def test_from_that_was_interrupted_goes_on(path, from_stage):
    finish(path, *CHAIN)
    interrupt(path, "--from", "rl_1")
    assert planned(path, from_stage=from_stage) == {
        "cold_start": ("done", ""),
        "rl_1": ("resume", "was interrupted"),
        "data": ("run", "--from rl_1"),
        "other": ("run", "--from rl_1"),
    }


def test_another_from_is_added_to_one_that_was_interrupted(path):
    finish(path, *CHAIN)
    interrupt(path, "--from", "rl_1")
    assert states(path, from_stage="cold_start") == ["run"] * 4
    assert planned(path, from_stage="other")["data"] == ("run", "--from rl_1")


def test_from_and_only_force_no_other_later(path):
    finish(path, *CHAIN)
    interrupt(path, "--from", "rl_1", "--only", "rl_1")
    assert states(path, from_stage="rl_1", only="rl_1") == ["done", "resume", "left out", "done"]
    assert states(path) == ["done", "resume", "run", "done"], "data needs rl_1"


def test_a_command_that_wants_an_empty_folder_starts_over(path):
    content = json.loads(path.read_text())
    merged = {"command": "merge", "arguments": {"model_name_or_path": "{cold_start}"}}
    path.write_text(json.dumps({**content, "stages": {**content["stages"], "merged": merged}}))
    folder = finish(path, *CHAIN, "merged")
    folder.record_file("merged").rename(folder.path / "merged" / "model.safetensors")
    assert planned(path)["merged"] == ("run", "was interrupted"), "run moves the folder aside"


def test_secrets_are_in_no_record(path):
    secrets = {"hub_token": "hf_abc", "env": {"WANDB_API_KEY": "key_abc"}, "eos_token": "<|end|>"}
    edit(path, "other", **secrets)
    folder = finish(path, *CHAIN)
    written = folder.start_file("other").read_text() + folder.record_file("other").read_text()
    assert "hf_abc" not in written
    assert "key_abc" not in written
    assert "<|end|>" in written
    assert states(path) == ["done"] * 4
    edit(path, "other", env={"WANDB_API_KEY": "key_b"})
    assert states(path) == ["done"] * 4
    edit(path, "other", hub_token="hf_other")
    state, why = planned(path)["other"]
    assert state == "run"
    assert why.startswith("`hub_token` secret, SHA-256 ")


def test_only_the_user_reads_the_whole_settings(path):
    folder = PipelineFolder(Path("run"))
    folder.own.mkdir(parents=True)
    folder.config_file("a").touch(mode=0o644)
    file = folder.write_config("a", {"hub_token": "hf_abc"})
    assert file.stat().st_mode & 0o777 == 0o600
    assert "hf_abc" in file.read_text()


def test_only(path):
    finish(path, *CHAIN)
    edit(path, "grpo", learning_rate=2e-4)
    edit(path, "other", learning_rate=2e-4)
    assert states(path, only="other") == ["done", "left out", "left out", "run"]
    assert states(path, only="rl_1", from_stage="rl_1") == ["done", "run", "left out", "left out"]
    edit(path, "sft", learning_rate=2e-4)
    with pytest.raises(InputError, match=r"`--only rl_1`: it needs `cold_start`"):
        planned(path, only="rl_1")


def test_another_version_is_told_and_not_run(path, monkeypatch):
    finish(path, *CHAIN)
    monkeypatch.setattr(plan_module, "__version__", "0.2.0")
    assert planned(path)["rl_1"] == ("done", "by r1-trl 0.1.0, this is 0.2.0")


def test_broken_record(path):
    folder = finish(path, *CHAIN)
    folder.record_file("rl_1").write_text("{")
    with pytest.raises(InputError, match=r"rl_1/pipeline\.json is no JSON"):
        planned(path)


def test_table(path):
    finish(path, "cold_start")
    lines = format_plan(make_plan(read(path), PipelineFolder(Path("run")))).splitlines()
    assert lines[:3] == [
        "stage       command  state     why",
        "cold_start  sft      done",
        "rl_1        grpo     will run  never run",
    ]


def test_many_changes_are_counted():
    empty = {"command": "sft", "settings": {}, "files": {}, "accelerate_config": {}, "stages": {}}
    text = describe_changes(empty, {**empty, "settings": dict.fromkeys("abcde", "x" * 60)})
    assert text.startswith("`a` (not set) → xxx")
    assert text.endswith("…, and 2 more")
    assert len(text) < 250


@given(st.dictionaries(st.text(max_size=3), st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers())))
def test_equal_settings_have_no_changes(settings):
    inputs = {"command": "sft", "settings": settings, "files": {}, "accelerate_config": {}, "stages": {}}
    assert describe_changes(inputs, json.loads(json.dumps(inputs))) == ""
    other = {**inputs, "settings": {**settings, "new": "value"}}
    assert settings.get("new") == "value" or describe_changes(inputs, other)


def test_a_folder_is_known_by_its_files(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("1")
    before = hash_path(tmp_path / "model")
    assert hash_path(tmp_path / "model") == before
    (tmp_path / "model" / "weights").write_text("22")
    assert hash_path(tmp_path / "model") != before
