"""The presets of SFT are the paper's, leave alone what the user sets, and the schedule ends at a tenth."""

import dataclasses
import json

import pytest
from transformers import AutoConfig, Qwen2Config
from trl import SFTConfig

from r1_trl import InputError
from r1_trl.cli import main
from r1_trl.recipe_catalog import recipes_folder
from r1_trl.stages.arguments import read_yaml
from r1_trl.stages.sft import make_parser
from r1_trl.stages.sft_config import (
    R1SFTConfig,
    count_parameters,
    distillation_learning_rate,
    settle_learning_rate,
)

# From the paper [N; v2 B.4.3]: peak, epochs (2-3), tokens, batch.
PAPER = {"cold_start": (5e-5, 32768, 128), "sft": (5e-5, 32768, 128), "distillation": (None, 32768, 64)}


def config(tmp_path, **settings):
    return R1SFTConfig(output_dir=str(tmp_path), use_cpu=True, report_to="none", **settings)


@pytest.mark.parametrize(("preset", "stated"), PAPER.items())
def test_preset(tmp_path, preset, stated):
    args = config(tmp_path, preset=preset, per_device_train_batch_size=8)
    assert (args.learning_rate, args.max_length) == stated[:2]
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == stated[2]
    assert 2 <= args.num_train_epochs <= 3
    assert args.lr_scheduler_type == "cosine_with_min_lr"
    assert args.lr_scheduler_kwargs == {"min_lr_rate": 0.1}


def test_what_is_set_stays(tmp_path):
    own = {"learning_rate": 2e-5, "num_train_epochs": 1.0, "max_length": 64, "gradient_accumulation_steps": 3}
    args = config(tmp_path, preset="sft", per_device_train_batch_size=5, **own)
    assert {name: getattr(args, name) for name in own} == own
    assert config(tmp_path, preset="sft", max_length=None).max_length is None, "no limit is a setting too"
    assert config(tmp_path, preset="sft", lr_scheduler_type="linear").lr_scheduler_kwargs is None
    assert config(tmp_path, lr_scheduler_kwargs={"min_lr": 1e-6}).lr_scheduler_kwargs == {"min_lr": 1e-6}


def test_without_a_preset_the_rest_is_trls(tmp_path):
    args = config(tmp_path)
    found = (args.learning_rate, args.num_train_epochs, args.max_length, args.gradient_accumulation_steps)
    assert found == (2e-5, 3.0, 1024, 1)
    assert args.completion_only_loss is None, "TRL's: on completions where there are some"
    assert args.lr_scheduler_kwargs == {"min_lr_rate": 0.1}


@pytest.mark.parametrize("recipe", ["sft.yaml", "base.yaml"])
def test_recipes_train_as_with_trls_own_config(recipe):
    settings = read_yaml(str(recipes_folder() / "miniature_cpu" / recipe))
    fields = {field.name for field in dataclasses.fields(SFTConfig)}
    settings = {key: value for key, value in settings.items() if key in fields}
    ours, trls = R1SFTConfig(**settings).to_dict(), SFTConfig(**settings).to_dict()
    assert ours.pop("preset") is None
    assert {key: (ours[key], trls[key]) for key in trls if ours[key] != trls[key]} == {}


def test_batch_that_cannot_be_made(tmp_path):
    with pytest.raises(InputError, match=r"`preset: sft`.*128 rows.*`per_device_train_batch_size: 12` on 1 process"):
        config(tmp_path, preset="sft", per_device_train_batch_size=12)
    with pytest.raises(InputError, match=r"256` on 1 process"):
        config(tmp_path, preset="sft", per_device_train_batch_size=256)


def test_processes_share_the_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(R1SFTConfig, "world_size", 4)
    assert config(tmp_path, preset="distillation", per_device_train_batch_size=4).gradient_accumulation_steps == 4


@pytest.mark.parametrize(
    ("model_type", "billions", "rate", "reason"),
    [
        ("qwen2", 1.54, 1e-4, "Qwen2.5-Math-1.5B"),
        ("qwen2", 7.62, 8e-5, "Qwen2.5-Math-7B"),
        ("qwen2", 14.8, 7e-5, "Qwen2.5-14B"),
        ("qwen2", 32.8, 6e-5, "Qwen2.5-32B"),
        ("llama", 8.03, 5e-5, "Llama-3.1-8B"),
        ("llama", 70.6, 2e-5, "Llama-3.3-70B-Instruct"),
        ("qwen3", 0.6, 1e-4, "smaller than all: the smallest"),
        ("mistral", 7.2, 8e-5, "another family: Qwen's"),
        ("llama", 1.2, 5e-5, "a small Llama: the smaller Llama"),
        ("qwen2", 3.1, 1e-4, "between 1.5 and 7.6, nearer to 1.5 in ratio"),
    ],
)
def test_learning_rate_of_distillation(model_type, billions, rate, reason):
    assert distillation_learning_rate(model_type, int(billions * 1e9)) == rate, reason


def test_parameters_are_counted_without_weights(base_path):
    shape = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28}
    qwen_7b = Qwen2Config(**shape, num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False)
    assert count_parameters(qwen_7b) == 7_615_616_512
    assert 5e5 < count_parameters(AutoConfig.from_pretrained(base_path)) < 2e6


def test_learning_rate_of_distillation_is_settled(tmp_path, base_path):
    args = config(tmp_path, preset="distillation")
    settle_learning_rate(args, base_path)
    assert args.learning_rate == 1e-4
    args = config(tmp_path, preset="distillation", learning_rate=3e-4)
    settle_learning_rate(args, base_path)
    assert args.learning_rate == 3e-4


def test_max_length_on_the_command_line(tmp_path):
    def parsed(value):
        words = ["--output_dir", str(tmp_path), "--use_cpu", "true", "--max_length", value]
        return make_parser().parse(words)[0].max_length

    assert [parsed(value) for value in ("48", "auto", "none")] == [48, 1024, None]
    with pytest.raises(InputError, match="`max_length: long`"):
        parsed("long")


def run(folder, **settings):
    """A short run by the command; its log history."""
    folder.mkdir()
    base = {
        "output_dir": str(folder / "run"),
        "model_name_or_path": "miniature:base",
        "dataset_name": "{rows}",
        "per_device_train_batch_size": 8,
        "max_length": 64,
        "logging_steps": 1,
        "save_strategy": "no",
        "activation_checkpointing": False,
        "use_cpu": True,
        "report_to": "none",
        "seed": 0,
    }
    row = {"prompt": [{"role": "user", "content": "what is 5 + 3 ?"}]}
    answers = ["<think> 8 </think> <answer> 8 </answer>", "<think> add 3 gives 8 . </think> <answer> 8 </answer>"]
    rows = [{**row, "completion": [{"role": "assistant", "content": answers[n % 2]}]} for n in range(64)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    content = json.dumps({**base, **settings}).replace("{rows}", str(folder / "rows.jsonl"))
    (folder / "sft.yaml").write_text(content)
    assert main(["sft", "--config", str(folder / "sft.yaml")]) == 0
    state = json.loads((folder / "run" / "trainer_state.json").read_text())
    return [log for log in state["log_history"] if "loss" in log]


def test_schedule_ends_at_a_tenth(tmp_path):
    rates = [log["learning_rate"] for log in run(tmp_path / "a", max_steps=21, learning_rate=1e-3, warmup_steps=1)]
    assert rates[1] == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(1e-4, rel=0.1)  # the last step but one of the cosine: the log precedes the step
    assert all(rate >= 1e-4 for rate in rates[1:])


def test_preset_by_the_command(tmp_path):
    logs = run(tmp_path / "a", preset="distillation", max_steps=1)
    record = json.loads((tmp_path / "a" / "run" / "stage.json").read_text())["arguments"]
    assert logs[0]["learning_rate"] == 1e-4
    found = [record[name] for name in ("preset", "learning_rate", "gradient_accumulation_steps", "num_train_epochs")]
    assert found == ["distillation", 1e-4, 8, 2.0]


def test_packing_keeps_the_loss_on_completions(tmp_path):
    """One step over the same 64 rows at learning rate 0: the same mean over the same completion tokens."""
    one_step = {"max_steps": 1, "learning_rate": 1e-9, "gradient_accumulation_steps": 1}
    plain = run(tmp_path / "plain", per_device_train_batch_size=64, **one_step)[0]
    packed = run(tmp_path / "packed", per_device_train_batch_size=64, packing=True, max_length=128, **one_step)[0]
    assert packed["num_tokens"] == plain["num_tokens"], "all rows are in the step"
    assert packed["loss"] == pytest.approx(plain["loss"], rel=1e-4)
    whole = run(tmp_path / "whole", per_device_train_batch_size=64, completion_only_loss=False, **one_step)[0]
    assert whole["loss"] != pytest.approx(plain["loss"], rel=0.1), "the prompt would count"


@pytest.mark.parametrize(
    ("row", "settings", "words"),
    [
        ({"text": "5 + 3 = 8"}, {"completion_only_loss": True}, ["`completion_only_loss: true`", "false"]),
        ({"text": "5 + 3 = 8"}, {"preset": "sft"}, ["`preset: sft`", "`completion_only_loss: false`"]),
        ({"messages": [{"role": "user", "content": "a"}]}, {"preset": "sft"}, ["`assistant_only_loss: true`"]),
        ({"prompt": "a", "completion": "b"}, {"preset": "stf"}, ["preset", "'stf'", "'cold_start', 'sft'"]),
        (
            {"prompt": "a", "completion": "b"},
            {"preset": "sft", "per_device_train_batch_size": 7},
            ["`per_device_train_batch_size: 7`", "`gradient_accumulation_steps`"],
        ),
    ],
    ids=["plain text", "plain text, preset", "messages, preset", "unknown preset", "batch"],
)
def test_is_refused(tmp_path, capsys, row, settings, words):
    (tmp_path / "rows.jsonl").write_text((json.dumps(row) + "\n") * 8)
    flags = {"model_name_or_path": "miniature:base", "dataset_name": tmp_path / "rows.jsonl", "use_cpu": True}
    flags |= {"output_dir": tmp_path / "run", **settings}
    assert main(["sft", *[word for key, value in flags.items() for word in (f"--{key}", str(value))]]) == 2
    message = capsys.readouterr().err
    assert [word for word in words if word not in message] == []
    assert not (tmp_path / "run").exists()
