"""A run goes on with an adapter, merges it first, or starts from the base again: with exactly those weights."""

import json

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from r1_trl import InputError
from r1_trl.stages.start import find_base
from tests.stages.adapter_folders import BASE, run_stage, save_adapter

FROZEN = {"learning_rate": 1e-12, "max_steps": 1, "weight_decay": 0.0}  # what comes out is what it started from


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return save_adapter(tmp_path_factory.mktemp("adapters") / "plain", trained={"dtype": "float32"})


def base_weights():
    return AutoModelForCausalLM.from_pretrained(BASE).state_dict()


def merged_weights(folder):
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    return PeftModel.from_pretrained(base, folder).merge_and_unload().state_dict()


def distance(found, wanted):
    return max((found[name] - wanted[name]).abs().max().item() for name in wanted)


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_merged_in_full(tmp_path, adapter, stage):
    settings = {**FROZEN, "model_name_or_path": str(adapter), "output_dir": str(tmp_path / "run")}
    assert run_stage(stage, tmp_path, **settings, merge_adapter=True) == 0
    assert not (tmp_path / "run" / "adapter_config.json").exists()
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "run").state_dict()
    assert distance(found, merged_weights(adapter)) < 1e-6
    assert distance(found, base_weights()) > 0.01


def test_merged_with_a_new_adapter(tmp_path, adapter):
    lora = {"use_peft": True, "lora_r": 2, "lora_target_modules": ["all-linear"]}
    settings = {**FROZEN, **lora, "model_name_or_path": str(adapter), "output_dir": str(tmp_path / "run")}
    assert run_stage("sft", tmp_path, **settings, merge_adapter=True) == 0
    written = json.loads((tmp_path / "run" / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == str(tmp_path / "run" / "merged")
    assert written["r"] == 2
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "merged").state_dict()
    assert distance(found, merged_weights(adapter)) < 1e-6


def test_resumed_run_does_not_merge_again(tmp_path, adapter):
    settings = {**FROZEN, "model_name_or_path": str(adapter), "output_dir": str(tmp_path / "run")}
    assert run_stage("sft", tmp_path, **settings, merge_adapter=True) == 0
    before = (tmp_path / "run" / "merged" / "model.safetensors").stat().st_mtime_ns
    assert run_stage("sft", tmp_path, **settings, merge_adapter=True) == 0
    assert (tmp_path / "run" / "merged" / "model.safetensors").stat().st_mtime_ns == before


def test_folder_of_another_merge(tmp_path, adapter, capsys):
    torch.manual_seed(1)
    other = save_adapter(tmp_path / "other", r=2, trained={"dtype": "float32"})
    settings = {**FROZEN, "output_dir": str(tmp_path / "run"), "merge_adapter": True}
    assert run_stage("sft", tmp_path, **settings, model_name_or_path=str(adapter)) == 0
    assert run_stage("sft", tmp_path, **settings, model_name_or_path=str(other)) == 2
    assert "merged from another adapter" in capsys.readouterr().err


def test_from_the_base_of_an_adapter(tmp_path, adapter):
    settings = {**FROZEN, "model_name_or_path": str(adapter), "output_dir": str(tmp_path / "run"), "from_base": True}
    assert run_stage("sft", tmp_path, **settings) == 0
    assert distance(AutoModelForCausalLM.from_pretrained(tmp_path / "run").state_dict(), base_weights()) < 1e-6
    assert json.loads((tmp_path / "run" / "stage.json").read_text())["inputs"]["model"]["name"] == BASE


def test_from_the_base_of_a_chain_of_stages(tmp_path):
    """miniature:base → trained in full → trained in full: the base is the first."""
    train = {"learning_rate": 1e-2, "max_steps": 1}
    for start, folder in (("miniature:base", "one"), (str(tmp_path / "one"), "two")):
        assert run_stage("sft", tmp_path, **train, model_name_or_path=start, output_dir=str(tmp_path / folder)) == 0
    assert find_base(str(tmp_path / "two")) == ("miniature:base", "main")
    settings = {**FROZEN, "model_name_or_path": str(tmp_path / "two"), "output_dir": str(tmp_path / "again")}
    assert run_stage("sft", tmp_path, **settings, from_base=True) == 0
    assert distance(AutoModelForCausalLM.from_pretrained(tmp_path / "again").state_dict(), base_weights()) < 1e-6


def test_record_that_is_broken(tmp_path):
    (tmp_path / "stage.json").write_text("{")
    with pytest.raises(InputError, match=r"stage\.json is no JSON"):
        find_base(str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"merge_adapter": True, "from_base": True}, ["`merge_adapter`", "`from_base`", "exclude each other"]),
        (
            {"merge_adapter": True, "model_name_or_path": "miniature:base"},
            ["`merge_adapter`", "miniature:base", "whole model", "Leave it out"],
        ),
        ({"from_base": True, "model_name_or_path": "miniature:base"}, ["`from_base`", "Name the base itself"]),
        ({"merge_adapter": True, "load_in_4bit": True}, ["`load_in_4bit`", "`use_peft`"]),
    ],
    ids=["both", "nothing to merge", "no base behind it", "4-bit in full"],
)
@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_contradictions_are_refused(tmp_path, adapter, capsys, stage, settings, words):
    settings = {"model_name_or_path": str(adapter), "output_dir": str(tmp_path / "run"), **settings}
    assert run_stage(stage, tmp_path, **settings) == 2
    message = capsys.readouterr().err
    assert [word for word in words if word not in message] == []
    assert not (tmp_path / "run").exists()
