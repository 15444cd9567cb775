"""`r1-trl doctor`: what it prints, how it exits, what it refuses; and what `r1-trl grpo` tells at its start."""

from __future__ import annotations

import json

import pytest
from datasets import Dataset, IterableDataset
from transformers import PreTrainedModel
from trl import ModelConfig

from r1_trl import R1GRPOConfig
from r1_trl.doctor import Finding, command, diagnose, report_at_start
from r1_trl.doctor.device import Device
from r1_trl.doctor.diagnosis import find_traps
from r1_trl.errors import InputError
from tests.doctor.recipes import recipe, save_config

MINIATURE = {
    "output_dir": "runs/doctor",
    "model_name_or_path": "miniature:base",
    "dataset_name": "miniature:questions",
    "reward_funcs": ["accuracy_reward", "format_reward"],
    "max_completion_length": 48,
    "activation_checkpointing": False,
}


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", refuse)


@pytest.fixture
def run(tmp_path, capsys):
    def call(*flags, **changes):
        """The exit code and what was printed."""
        path = tmp_path / "recipe.yaml"
        content = {key: value for key, value in {**MINIATURE, **changes}.items() if value is not None}
        path.write_text(json.dumps(content))
        try:
            command.main(["--config", str(path), *flags])
        except SystemExit as end:
            return end.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return call


def test_sound_recipe_exits_with_0(run):
    code, out = run("--use_cpu", "true")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "0 errors, 0 warnings, 0 notes"
    assert lines[2].split() == ["memory", "(GB)", "rollout", "update"]
    assert lines[-1] == "Prompts of 15 tokens (the longest of the first ones), completions of 48."
    total, device = (line.split() for line in lines[-4:-2])
    assert total[0] == "total"
    assert device[:3] == ["this", "machine's", "CPU"]
    assert 0 < float(total[-1]) < float(device[-1])


def test_errors_come_first_and_exit_with_1(run):
    code, out = run("--loss_type", "dapo", reward_funcs=["trl.rewards.accuracy_reward"], gpu="24GB", bf16=True)
    assert code == 1
    heads = [line.split() for line in out.splitlines() if line and not line.startswith(" ")]
    assert heads[:2] == [["error", "trl-accuracy-reward"], ["note", "paper-loss-type"]]
    assert "1 error, 0 warnings, 1 note" in out
    assert "         Remedy: use `accuracy_reward`" in out


def test_recipe_for_another_machine(run):
    """Its precision is not checked against this one, and what is left open follows the card."""
    code, out = run("--gpu", "t4", use_peft=True, lora_target_modules=["all-linear"], learning_rate=1e-5)
    assert (code, "bf16-emulated" in out) == (0, False)
    assert "bf16-emulated" in run("--gpu", "t4", "--bf16", "true", tf32=True)[1]
    assert recipe("miniature:base", gpu="t4").mixed_precision == "fp16"
    assert recipe("miniature:base", gpu="24GB").mixed_precision == "bf16"
    assert recipe("miniature:base", {"use_cpu": True}, gpu=None).mixed_precision is None


def test_mixture_and_questions_are_read_as_grpo_reads_them(run, tmp_path):
    rows = [{"question": f"what is 5 + {n} ?", "solution": str(5 + n)} for n in range(16)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    whole = run("--gpu", "24GB", dataset_name=str(tmp_path / "rows.jsonl"))[1]
    assert "the longest of the first ones" in whole
    sources = [{"path": str(tmp_path / "rows.jsonl")}, {"path": "miniature:questions"}]
    code, out = run("--gpu", "24GB", dataset_name=None, datasets=sources)
    assert code == 0
    assert "the longest of the first ones" in out
    code, out = run("--gpu", "24GB", dataset_name=None, datasets=[*sources, {"path": "someone/questions"}])
    assert (code, "Prompts of 256 tokens (assumed)" in out) == (0, True)
    with pytest.raises(InputError, match="name the data once"):
        run(datasets=sources)


def test_data_that_is_not_here_is_not_fetched(run, monkeypatch):
    monkeypatch.setattr("r1_trl.doctor.command.load_datasets", lambda *args: pytest.fail("a dataset was loaded"))
    for changes in ({"dataset_name": "someone/questions"}, {"dataset_streaming": True}):
        code, out = run("--gpu", "24GB", **changes)
        assert code == 0
        assert "Prompts of 256 tokens (assumed)" in out


@pytest.mark.parametrize(
    ("flags", "changes", "words"),
    [
        (["--gpu", "rtx 9999"], {}, ["`gpu: rtx 9999`", "`24GB`", "t4"]),
        (["--gpu", "24GB"], {"use_cpu": True}, ["`gpu: 24GB`", "`use_cpu: true`"]),
        (["--gpu", "24GB"], {"bf16": True, "fp16": True}, ["`bf16: true`", "`fp16: true`", "keep one"]),
        ([], {"model_name_or_path": "./nowhere"}, ["`model_name_or_path: ./nowhere`", "no such folder"]),
        ([], {"dataset_name": "./nowhere"}, ["`dataset_name: ./nowhere`", "no such folder"]),
        ([], {"reward_funcs": ["acuracy_reward"]}, ["`reward_funcs`", "you mean 'accuracy_reward'"]),
        ([], {"reward_funcs": None}, ["`reward_funcs` is missing"]),
        ([], {"reward_funcs": ["./nowhere/model"]}, ["`./nowhere/model` has no config"]),
        ([], {"load_in_4bit": True}, ["`load_in_4bit`", "`use_peft`"]),
        ([], {"learning_rat": 1}, ["recipe.yaml", "`learning_rat`", "`learning_rate`"]),
        (["--gpuu", "24GB"], {}, ["`--gpuu`", "`--gpu`"]),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else None,
)
def test_bad_input(run, flags, changes, words):
    with pytest.raises(InputError) as error:
        run(*flags, **changes)
    assert [word for word in words if word not in str(error.value)] == []


def test_no_config_at_all():
    with pytest.raises(InputError, match="`model_name_or_path` is missing"):
        command.main([])


def report(training=None, model=None, rewards=("accuracy_reward",), rows=64):
    args = R1GRPOConfig(
        **{"output_dir": "runs/x", "use_cpu": True, "bf16": False, "max_completion_length": 48, **(training or {})}
    )
    dataset = Dataset.from_list([{"prompt": "5 + 3", "solution": "8"}] * rows)
    report_at_start(args, ModelConfig("miniature:base", **(model or {})), rewards, dataset)


def test_start_of_a_run(capsys):
    report({"loss_type": "dapo"}, rewards=("trl.rewards.accuracy_reward",))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [line.split(":")[:2] for line in lines[:2]] == [
        ["doctor", " error trl-accuracy-reward"],
        ["doctor", " warning checkpointing-on-cpu"],
    ]
    assert " of this machine's CPU" in lines[2]
    assert lines[3] == "doctor: 1 note more: `r1-trl doctor` tells it"


def test_start_of_a_sound_run_tells_its_memory_alone(capsys):
    report({"activation_checkpointing": False})
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_start_of_a_run_does_not_search_for_what_would_fit(capsys, monkeypatch):
    small = Device("a small CPU", 2**20, is_gpu=False, has_bf16=True)
    monkeypatch.setattr("r1_trl.doctor.diagnosis.device_at_hand", lambda use_cpu: small)
    monkeypatch.setattr("r1_trl.doctor.fit.estimate_phase", lambda *args: pytest.fail("it was searched for"))
    report({"activation_checkpointing": False})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in lines[:2]] == [" error rollout-does-not-fit", " error update-does-not-fit"]
    assert all("`r1-trl doctor` tells what would fit" in line for line in lines[:2])


def test_start_of_a_run_that_would_surely_fail(capsys):
    with pytest.raises(InputError, match="3 questions and one rollout takes 4"):
        report({"per_device_train_batch_size": 64}, rows=3)
    with pytest.raises(InputError, match="`lm_head`, which TRL refuses"):
        report(model={"use_peft": True, "lora_target_modules": ["q_proj", "lm_head"]})
    assert capsys.readouterr().err == ""


def test_only_one_process_tells(capsys, monkeypatch):
    monkeypatch.setattr(R1GRPOConfig, "process_index", 1)
    report({"loss_type": "dapo"})
    assert capsys.readouterr().err == ""


def test_in_plain_python(base_path, tmp_path):
    """`diagnose` takes reward functions and any dataset; a stream is not read."""
    args = R1GRPOConfig(output_dir="runs/x", use_cpu=True, max_completion_length=64, activation_checkpointing=False)
    stream = IterableDataset.from_generator(lambda: iter([{"prompt": "5 + 3"}]))
    found = diagnose(args, ModelConfig(save_config(tmp_path, base_path)), [lambda completions: None], stream, "200GB")
    assert found.findings == ()
    assert not found.has_errors
    assert found.recipe.questions is None
    assert found.estimate.peak > 0


def test_findings_are_sorted_and_have_names(base_path, tmp_path):
    model = save_config(tmp_path, base_path)
    settings = {"save_only_model": True, "loss_type": "dapo", "disable_dropout": False}
    found = recipe(model, settings, {"use_peft": True})
    levels = [finding.level for finding in command.examine(found).findings]
    assert levels == sorted(levels, key=("error", "warning", "note").index)
    assert set(levels) == {"error", "warning", "note"}
    assert all(isinstance(finding, Finding) and finding.trap == finding.trap.lower() for finding in find_traps(found))
