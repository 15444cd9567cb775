"""The pipeline file: what it means, and what is refused before anything runs."""

import json
from pathlib import Path

import pytest
import yaml

from r1_trl import InputError
from r1_trl.pipeline.check import Question, check_stage
from r1_trl.pipeline.command import main
from r1_trl.pipeline.definition import read_stages, refuse_duplicates
from r1_trl.recipe_catalog import recipes_folder
from tests.pipeline.recipe import GRPO, SFT, STAGES, write_config, write_recipe


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # which the paths in the recipe are relative to


def read(path):
    content = yaml.safe_load(path.read_text())
    options = {name: content.get(name) for name in ("evaluate", "accelerate_config")}
    return read_stages(path, content["stages"], Path("run"), **options)


def test_stages_and_their_evaluations(tmp_path):
    stages = read(write_recipe(tmp_path, evaluate="evaluate.yaml"))
    assert [stage.name for stage in stages] == ["cold_start", "cold_start_evaluation", "rl_1", "rl_1_evaluation"]
    assert [stage.needs for stage in stages] == [(), ("cold_start",), ("cold_start",), ("rl_1",)]
    assert stages[2].settings["model_name_or_path"] == "{cold_start}", "an argument wins over the file"
    assert stages[2].settings["learning_rate"] == 1e-4


def test_stage_overrides(tmp_path):
    (tmp_path / "accelerate.yaml").write_text("num_processes: 2")
    stages = {
        "a": {"command": "sft", "config": "sft.yaml", "evaluate": None, "accelerate_config": None},
        "b": {"command": "sft", "config": "sft.yaml"},
        "c": {"command": "merge", "arguments": {"model_name_or_path": "{b}"}, "evaluate": False},
    }
    read_back = read(
        write_recipe(tmp_path, stages=stages, evaluate="evaluate.yaml", accelerate_config="accelerate.yaml")
    )
    assert [stage.name for stage in read_back] == ["a", "b", "b_evaluation", "c"]
    launched = [stage.accelerate_config is not None for stage in read_back]
    assert launched == [False, True, False, False], "training alone, and not where it is taken back"


def test_references_in_a_config_file(tmp_path):
    path = write_recipe(tmp_path)
    settings = {**GRPO, "model_name_or_path": "{cold_start}/checkpoint-2", "chat_template": r"\boxed{answer} {other}"}
    write_config(tmp_path, "grpo", settings)
    path.write_text(path.read_text().replace(', "arguments": {"model_name_or_path": "{cold_start}"}', ""))
    assert read(path)[1].needs == ("cold_start",), "and braces that begin no path are text"


def test_braces_and_paths_outside_are_text(tmp_path):
    write_recipe(tmp_path)
    write_config(tmp_path, "grpo", {**GRPO, "model_name_or_path": "run_2/cold_start"})
    assert read(tmp_path / "pipeline.yaml")[1].needs == ("cold_start",)


@pytest.mark.parametrize("text", ["a: 1\nb: {c: 1, c: 2}", "a: 1\na: 2", "- {a: 1}\n- {a: 1, a: 2}"])
def test_duplicates(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(InputError, match=r"p\.yaml: `[ac]` stands twice, again in line \d"):
        refuse_duplicates(tmp_path / "p.yaml")


SECOND = STAGES["rl_1"]
CASES = [  # changed keys of the pipeline, flags, words of the message, reason
    ({"stages": {}}, [], ["`stages` is empty"], "no stage"),
    ({"stages": None}, [], ["stages"], "stages missing"),
    ({"output_dir": None}, [], ["`output_dir` is missing"], "no folder"),
    ({"evaluat": "evaluate.yaml"}, [], ["`evaluat`", "did you mean `evaluate`"], "a key"),
    ({"evaluate": "nowhere.yaml"}, [], ["`nowhere.yaml`: no such file", "relative to the folder"], "no evaluation"),
    ({"accelerate_config": "nowhere.yaml"}, [], ["`nowhere.yaml`: no such file"], "no accelerate config"),
    ({"stages": {"a b": {"command": "sft"}}}, [], ["stage `a b`", "a name is letters"], "a name"),
    ({"stages": {"../a": {"command": "sft"}}}, [], ["stage `../a`", "a name is letters"], "a name that leaves"),
    ({"stages": {"a": {"config": "sft.yaml"}}}, [], ["stage `a`", "`command`"], "no command"),
    ({"stages": {"a": "sft"}}, [], ["stage `a`", "mapping"], "no mapping"),
    ({"stages": {"a": {"command": "sft", "confg": "x"}}}, [], ["`confg`", "did you mean `config`"], "a stage's key"),
    ({"stages": {"a": {"command": "sft", "config": "no.yaml"}}}, [], ["stage `a`", "`no.yaml`: no such"], "no config"),
    (
        {"stages": {"a": {"command": "sft", "arguments": {"output_dir": "x"}}}},
        [],
        ["leave `output_dir` out"],
        "its folder",
    ),
    ({"stages": {"rl_1": SECOND}}, [], ["`{cold_start}` is no stage before it", "none before it"], "unknown stage"),
    ({"stages": {"rl_1": SECOND, **STAGES}}, [], ["`{cold_start}` is no stage before it"], "a later stage"),
    (
        {"stages": {**STAGES, "x": {"command": "merge", "arguments": {"model_name_or_path": "{rl1}"}}}},
        [],
        ["stage `x`", "`{rl1}`", "did you mean `rl_1`"],
        "a stage's name",
    ),
    (
        {"stages": {**STAGES, "x": {"command": "merge", "arguments": {"model_name_or_path": "run/rl_1"}}}},
        [],
        ["is in the folder of stage `rl_1`", "write `{rl_1}`"],
        "a folder as text",
    ),
    (
        {"evaluate": "evaluate.yaml", "stages": {**STAGES, "rl_1_evaluation": SECOND}},
        [],
        ["`rl_1_evaluation`", "name it differently"],
        "the name of an evaluation",
    ),
    ({}, ["--from", "rl1"], ["`--from rl1`", "did you mean `rl_1`"], "--from"),
    ({}, ["--only", "other"], ["`--only other`", "cold_start, rl_1"], "--only"),
    ({}, ["--only", "rl_1"], ["`--only rl_1`", "`cold_start`, which is not done"], "--only without what it needs"),
]


@pytest.mark.parametrize(("changes", "flags", "words", "reason"), CASES, ids=[case[-1] for case in CASES])
def test_is_refused(tmp_path, changes, flags, words, reason):
    path = write_recipe(tmp_path, **changes)
    content = {key: value for key, value in json.loads(path.read_text()).items() if value is not None}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError) as error:
        main(["--config", str(path), "--dry_run", *flags])
    assert [word for word in words if word not in str(error.value)] == [], reason
    assert not (tmp_path / "run").exists()


def _grpo(**settings):
    return {
        "a": {
            "command": "grpo",
            "config": "grpo.yaml",
            "arguments": {"model_name_or_path": "miniature:base", **settings},
        }
    }


CHECKED = [  # stages that only the parsers of their commands can refuse
    ({"a": {"command": "sfft"}}, ["stage `a`", "`command: sfft`", "did you mean `sft`"], "a command"),
    ({"a": {"command": "verify it"}}, ["`command: verify it`", "no command of r1-trl"], "of two words"),
    ({"a": {"command": "recipes"}}, ["`command: recipes`", "is no stage"], "a command without settings"),
    (
        {"a": {"command": "sft", "config": "sft.yaml", "arguments": {"learning_rat": 1}}},
        ["stage `a`", "sft.yaml", "unknown key `learning_rat`", "did you mean `learning_rate`"],
        "an argument",
    ),
    (
        {"a": {"command": "sft", "config": "sft.yaml", "arguments": {"max_steps": "many"}}},
        ["`max_steps: many`", "int"],
        "a value",
    ),
    (
        {"a": {"command": "grpo", "config": "grpo.yaml", "arguments": {"per_device_train_batch_size": 6}}},
        ["stage `a`", "`num_generations: 4`"],
        "a batch",
    ),
    (
        {"a": {"command": "sft", "config": "sft.yaml", "accelerate_config": "rows.jsonl"}},
        ["`accelerate_config:", "rows.jsonl"],
        "an accelerate config that is none",
    ),
    (_grpo(reward_funcs=["acuracy_reward"]), ["`reward_funcs`", "did you mean 'accuracy_reward'"], "a reward"),
    (_grpo(reward_kwargs={"format_reward": {"a": 1}}), ["`reward_funcs`", "takes no arguments"], "its arguments"),
    (_grpo(reward_weights=[1.0]), ["`reward_weights: [1.0]`", "2 `reward_funcs`"], "weights"),
    (_grpo(reward_funcs=["helpful_reward"]), ["'helpful_reward' does not take {}", "model_name"], "a reward model"),
    (_grpo(model_name_or_path="./nowhere"), ["`model_name_or_path: ./nowhere`: no such folder"], "a model"),
    (_grpo(dataset_name="./nowhere.jsonl"), ["`dataset_name: ./nowhere.jsonl`: no such file"], "a data file"),
    (
        _grpo(dataset_name=None, datasets=[{"path": "./nowhere"}]),
        ["`path: ./nowhere`: no such folder"],
        "a source of a mixture",
    ),
]


def test_what_an_earlier_stage_makes_need_not_be_there(tmp_path):
    write_recipe(tmp_path)
    made = {"model_name_or_path": "run/sft", "dataset_name": "run/data/rl.jsonl", "reward_funcs": ["helpful_reward"]}
    made |= {"reward_kwargs": {"helpful_reward": {"model_name_or_path": "run/helpful"}}}
    question = Question("grpo", "here", {**GRPO, **made}, None)
    with pytest.raises(InputError, match="no such file"):
        check_stage(question)
    assert check_stage(question._replace(made=["run/sft", "run/data", "run/helpful"]))


@pytest.mark.parametrize(("stages", "words", "reason"), CHECKED, ids=[case[-1] for case in CHECKED])
def test_refused_by_the_commands_parsers(tmp_path, stages, words, reason):
    stage = read(write_recipe(tmp_path, stages=stages))[0]
    launch = None if stage.accelerate_config is None else str(stage.accelerate_config)
    with pytest.raises(InputError) as error:
        check_stage(Question(stage.command, stage.place, stage.settings, launch))
    message = f"{stage.place}: {error.value}"
    assert [word for word in words if word not in message] == [], reason


def test_refused_before_the_first_stage_runs(tmp_path):
    stages = {"a": {"command": "sft", "config": "sft.yaml"}, "b": {"command": "sfft"}}
    path = write_recipe(tmp_path, stages=stages)
    with pytest.raises(InputError, match=r"pipeline\.yaml, stage `b`: `command: sfft`"):
        main(["--config", str(path)])
    assert not (tmp_path / "run" / "a").exists()


def test_a_batch_for_two_processes(tmp_path):
    """2 of 4 answers a process: right for two processes, wrong for one."""
    write_recipe(tmp_path)
    accelerate = str(recipes_folder() / "accelerate" / "ddp.yaml")
    settings = {**GRPO, "per_device_train_batch_size": 2}
    assert check_stage(Question("grpo", "here", settings, accelerate)) == ["output_dir", "resume_from_checkpoint"]
    with pytest.raises(InputError, match="num_generations"):
        check_stage(Question("grpo", "here", settings, None))
    assert check_stage(Question("sft", "here", {**SFT, "preset": "sft"}, accelerate))
