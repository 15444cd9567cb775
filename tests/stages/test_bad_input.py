"""Bad input ends before any model loads, with exit code 2 and one message: the place, the value and the remedy."""

import json
import sys

import pytest
from transformers import PreTrainedModel

from r1_trl.cli import main
from r1_trl.verifiers import grading
from r1_trl.verifiers.bubblewrap import find_bubblewrap
from r1_trl.verifiers.sandbox import check_sandbox

GRPO = {
    "output_dir": "{tmp}/run",
    "model_name_or_path": "miniature:base",
    "dataset_name": "miniature:questions",
    "reward_funcs": ["accuracy_reward", "format_reward"],
    "per_device_train_batch_size": 16,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
}
EVALUATE = {key: GRPO[key] for key in ("output_dir", "model_name_or_path", "dataset_name", "use_cpu")}
SFT = {**{k: v for k, v in GRPO.items() if k != "reward_funcs"}, "dataset_name": "miniature:cold_start"}

# (stage, changed keys, flags, words that the message has, reason)
SETTINGS = {"grpo": GRPO, "sft": SFT, "evaluate": EVALUATE, "verify": {"dataset_name": "miniature:questions"}}
CASES = [
    ("grpo", {"learning_rat": 1}, [], ["config.yaml", "`learning_rat`", "did you mean `learning_rate`"], "YAML key"),
    ("sft", {"max_lenght": 1}, [], ["config.yaml", "`max_lenght`", "did you mean `max_length`"], "YAML key"),
    ("evaluate", {"temprature": 1}, [], ["config.yaml", "`temprature`", "did you mean `temperature`"], "YAML key"),
    ("grpo", {}, ["--learning_rat", "1"], ["command line", "`--learning_rat`", "`--learning_rate`"], "flag"),
    ("grpo", {}, ["--num_generations", "many"], ["command line", "num_generations", "'many'"], "a flag's value"),
    ("grpo", {"num_generations": "many"}, [], ["config.yaml", "`num_generations: many`", "int"], "a key's value"),
    ("grpo", {"num_generations": 2.5}, [], ["config.yaml", "`num_generations: 2.5`", "int"], "a number's type"),
    ("grpo", {"use_cpu": "perhaps"}, [], ["config.yaml", "`use_cpu: perhaps`", "bool"], "a boolean"),
    ("grpo", {"reward_funcs": "accuracy_reward"}, [], ["config.yaml", "`reward_funcs", "list"], "a list"),
    (
        "grpo",
        {"num_generations": None, "max_steps": "{null}"},
        [],
        ["config.yaml", "`max_steps: None`", "int"],
        "null",
    ),
    ("grpo", {"model_name_or_path": 7}, [], ["config.yaml", "`model_name_or_path: 7`", "str"], "a number for a name"),
    (
        "grpo",
        {"reward_weights": ["a", "b"]},
        [],
        ["config.yaml", "`reward_weights", "list of float"],
        "a list's items",
    ),
    ("grpo", {"datasets": [{"paht": "x"}]}, [], ["config.yaml", "`datasets", "DatasetConfig"], "an entry's key"),
    ("grpo", {"reward_kwargs": {"language_consistency_reward": ["en"]}}, [], ["`reward_kwargs", "map"], "a shape"),
    (
        "grpo",
        {
            "reward_funcs": ["language_consistency_reward"],
            "reward_kwargs": {"language_consistency_reward": {"languages": "en"}},
        },
        [],
        ["config.yaml", "`reward_funcs`", "'en'", "[en, zh]"],
        "a string for a list",
    ),
    ("grpo", {"report_to": "wandbb"}, [], ["config.yaml", "`report_to: wandbb`", "wandb"], "unknown tracker"),
    ("sft", {"load_in_4bit": True}, [], ["config.yaml", "`load_in_4bit`", "`use_peft`"], "4-bit without adapter"),
    ("grpo", {"dataset_name": "{tmp}/numbers.jsonl"}, [], ["numbers.jsonl", "`solution`", "int64"], "numbers"),
    ("evaluate", {"dataset_name": "{tmp}/numbers.jsonl"}, [], ["numbers.jsonl", "`solution`", "int64"], "numbers"),
    ("evaluate", {"dataset_name": "{tmp}/ungradable.jsonl"}, [], ["ungradable.jsonl", "can be graded"], "no gold"),
    ("grpo", {"model_name_or_path": "{tmp}/broken"}, [], ["broken", "cannot be loaded"], "a broken config.json"),
    ("grpo", {"dataset_name": "{tmp}/cut.jsonl"}, [], ["cut.jsonl", "cannot be read as json"], "a broken file"),
    ("evaluate", {"top_p": 5.0}, [], ["config.yaml", "`top_p: 5.0`"], "top-p above 1"),
    ("evaluate", {"num_questions": 0}, [], ["config.yaml", "`num_questions: 0`"], "no question"),
    (
        "grpo",
        {"eval_strategy": "steps", "dataset_name": "{tmp}/folder"},
        [],
        ["folder", "column `verifier`", "'mathh'"],
        "unknown verifier in the held-out set",
    ),
    (
        "grpo",
        {"dataset_name": None, "datasets": [{"path": "{tmp}/folder"}], "eval_strategy": "steps"},
        [],
        ["config.yaml", "`test_split_size`"],
        "a mixture without held-out rows",
    ),
    ("grpo", {"num_generations": 12}, [], ["config.yaml", "`num_generations: 12`", "Set `per_device"], "G and batch"),
    ("grpo", {"num_generations": 1}, [], ["config.yaml", "at least 2"], "G of one"),
    (
        "grpo",
        {"reward_funcs": ["acuracy_reward"]},
        [],
        ["config.yaml", "`reward_funcs`", "you mean 'accuracy_reward'"],
        "unknown reward",
    ),
    (
        "grpo",
        {"reward_funcs": ["nowhere.my_reward"]},
        [],
        ["config.yaml", "`reward_funcs`", "nowhere.my_reward"],
        "unknown dotted reward",
    ),
    ("grpo", {"reward_funcs": None}, [], ["`reward_funcs` is missing", "accuracy_reward"], "no reward"),
    (
        "grpo",
        {"reward_kwargs": {"language_consistency_reward": {"languages": ["en"]}}},
        [],
        ["`reward_kwargs`", "language_consistency_reward", "add it there"],
        "arguments of a reward that is not used",
    ),
    ("grpo", {}, ["--reward_kwargs", "{"], ["`reward_kwargs: {`", "JSON"], "JSON of a flag"),
    ("grpo", {"reward_weights": [1.0]}, [], ["reward_weights", "2"], "weights do not match the rewards"),
    ("grpo", {"dataset_name": "{tmp}/none.jsonl"}, [], ["dataset_name", "none.jsonl", "no such file"], "no file"),
    ("grpo", {"dataset_name": "./nowhere"}, [], ["`dataset_name: ./nowhere`", "no such folder"], "missing folder"),
    ("grpo", {"dataset_name": None}, [], ["`dataset_name`"], "no dataset"),
    ("grpo", {"dataset_train_split": "trian"}, [], ["`trian`", "train, validation, test"], "unknown split"),
    ("grpo", {"dataset_name": "{tmp}/renamed.jsonl"}, [], ["renamed.jsonl", "`solution`", "`gold`"], "no column"),
    (
        "grpo",
        {"dataset_name": "{tmp}/verifier.jsonl"},
        [],
        ["column `verifier`", "'mathh'", "math"],
        "unknown verifier",
    ),
    ("evaluate", {"dataset_name": "{tmp}/renamed.jsonl"}, [], ["renamed.jsonl", "`solution`"], "no column"),
    (
        "evaluate",
        {"dataset_name": "{tmp}/verifier.jsonl"},
        [],
        ["column `verifier`", "'mathh'", "math"],
        "unknown verifier",
    ),
    (
        "grpo",
        {"dataset_name": "{tmp}/verifier.jsonl", "dataset_streaming": True, "max_steps": 1},
        [],
        ["column `verifier`", "'mathh'", "math"],
        "unknown verifier in a stream",
    ),
    ("grpo", {"dataset_name": "{tmp}/extra.jsonl"}, [], ["column `verifier`", "r1-trl[reasoning-gym]"], "no extra"),
    (
        "grpo",
        {"dataset_name": "{tmp}/code.jsonl"},
        [],
        ["column `verifier`", "apt-get install bubblewrap"],
        "no sandbox",
    ),
    ("evaluate", {"dataset_name": "{tmp}/code.jsonl"}, [], ["column `verifier`", "bubblewrap"], "no sandbox"),
    ("verify", {"dataset_name": "{tmp}/code.jsonl"}, [], ["column `verifier`", "bubblewrap"], "no sandbox"),
    ("verify", {"dataset_name": None}, [], ["`dataset_name` is missing"], "no dataset"),
    ("verify", {"dataset_name": "{tmp}/renamed.jsonl"}, [], ["renamed.jsonl", "`solution`"], "no column"),
    ("verify", {"dataset_name": "{tmp}/verifier.jsonl"}, [], ["column `verifier`", "'mathh'", "math"], "no verifier"),
    ("verify", {"limit": 0}, [], ["config.yaml", "`limit: 0`", "positive"], "no row"),
    ("verify", {}, ["--limt", "3"], ["command line", "`--limt`", "`--limit`"], "flag"),
    (
        "grpo",
        {"reward_kwargs": {"accuracy_reward": {"deadline": -1}}},
        [],
        ["`reward_funcs`", "`deadline: -1`"],
        "a reward's argument",
    ),
    ("evaluate", {"languages": ["xx"]}, [], ["xx"], "unknown language"),
    ("evaluate", {"num_generations": 0}, [], ["config.yaml", "`num_generations: 0`", "at least 1"], "k of none"),
    ("sft", {"dataset_name": "{tmp}/renamed.jsonl"}, [], ["renamed.jsonl", "`completion`"], "no column"),
    ("grpo", {"model_name_or_path": "{tmp}/empty"}, [], ["empty", "no config.json", "Name a folder"], "no model"),
    ("grpo", {"model_name_or_path": "./nowhere"}, [], ["`model_name_or_path: ./nowhere`", "no such folder"], "path"),
    ("sft", {"model_name_or_path": None}, [], ["`model_name_or_path` is missing"], "no model named"),
    ("evaluate", {"model_name_or_path": "miniature:bas"}, [], ["miniature:bas", "`miniature:base`"], "embedded name"),
    (
        "grpo",
        {"dataset_name": "{tmp}/small.jsonl", "per_device_train_batch_size": 64},
        [],
        ["1 question", "4"],
        "rows",
    ),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    def no_model(*args, **kwargs):
        raise AssertionError("a model was loaded before its input was checked")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", no_model)
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)  # as if it were not installed
    monkeypatch.setenv("PATH", str(tmp_path))  # without bubblewrap
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.jsonl").write_text('{"prompt": "1 + 1", "solu')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "nothing"}')
    row = {"prompt": "1 + 1", "solution": "2"}
    for name, content in {
        "renamed": {"prompt": "1 + 1", "gold": "2"},
        "verifier": {**row, "verifier": "mathh"},
        "small": row,
        "extra": {**row, "verifier": "reasoning_gym", "verifier_args": '{"task": "countdown"}'},
        "code": {**row, "verifier": "code", "verifier_args": '{"tests": [{"input": "", "output": "2"}]}'},
        "numbers": {**row, "solution": 2},
        "ungradable": {**row, "solution": "a poem"},
    }.items():
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(content) + "\n")
    for found in (check_sandbox, find_bubblewrap, grading._seconds):
        found.cache_clear()  # what an earlier test found on the PATH
    yield tmp_path
    grading.get_grader(None, 5.0, 2048).pool.close()  # its processes have this PATH


def write_config(folder, content):
    (folder / "folder").mkdir(exist_ok=True)
    row = {"prompt": "1 + 1", "solution": "2", "verifier": "math"}
    (folder / "folder" / "train.jsonl").write_text((json.dumps(row) + "\n") * 4)
    (folder / "folder" / "test.jsonl").write_text(json.dumps({**row, "verifier": "mathh"}))
    text = json.dumps({key: value for key, value in content.items() if value is not None})  # JSON is YAML
    path = folder / "config.yaml"
    path.write_text(text.replace("{tmp}", str(folder)).replace('"{null}"', "null"))
    return path


@pytest.mark.parametrize(("stage", "changes", "flags", "words", "reason"), CASES, ids=[case[-1] for case in CASES])
def test_is_refused(folder, capsys, stage, changes, flags, words, reason):
    config = write_config(folder, {**SETTINGS[stage], **changes})
    assert main([stage, "--config", str(config), *flags]) == 2, reason
    captured = capsys.readouterr()
    message = captured.err.strip().splitlines()[-1]
    assert message.startswith(f"r1-trl {stage}")
    assert str(config) in message or message.startswith(f"r1-trl {stage}: command line: ")
    assert "Traceback" not in captured.err
    assert [word for word in words if word not in message] == []
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["config.yaml", "no such file", "r1-trl recipes"]),
        ("a: [1", ["config.yaml", "no valid YAML", "line"]),
        ("- a\n- b\n", ["config.yaml", "`key: value`", "list"]),
        ("", ["config.yaml", "`key: value`"]),
    ],
    ids=["missing file", "broken YAML", "a list", "empty"],
)
def test_config_file_is_refused(folder, capsys, content, words):
    if content is not None:
        (folder / "config.yaml").write_text(content)
    assert main(["grpo", "--config", str(folder / "config.yaml")]) == 2
    message = capsys.readouterr().err
    assert [word for word in words if word not in message] == []


def test_config_flag_without_a_file(capsys):
    assert main(["grpo", "--config"]) == 2
    assert "--config needs the path" in capsys.readouterr().err


def test_unknown_command(capsys):
    assert main(["grpoo"]) == 2
    assert "unknown command `grpoo`" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["grpo", "evaluate"])
def test_language_that_needs_an_extra(folder, capsys, monkeypatch, stage):
    """Told at the start, not by the first rollout or after the sampling."""
    monkeypatch.setattr("r1_trl.language._detector_installed", lambda: False)
    row = {"prompt": "1 + 1", "solution": "2", "language": "fr"}
    (folder / "french.jsonl").write_text((json.dumps(row) + "\n") * 4)
    content = {"grpo": {**GRPO, "reward_funcs": ["language_consistency_reward"]}, "evaluate": EVALUATE}[stage]
    config = write_config(folder, {**content, "dataset_name": "{tmp}/french.jsonl"})
    assert main([stage, "--config", str(config)]) == 2
    assert 'pip install "r1-trl[language]"' in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--config", "{path}"], ["--config={path}"]], ids=["two words", "one word"])
def test_both_ways_to_name_the_config(folder, capsys, words):
    config = write_config(folder, {**GRPO, "dataset_name": "./nowhere"})
    assert main(["grpo", *(word.replace("{path}", str(config)) for word in words)]) == 2
    assert str(config) in capsys.readouterr().err
