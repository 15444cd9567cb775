"""A run starts from a whole model or from an adapter, loaded as it was trained."""

import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from trl import ModelConfig, SFTConfig

from r1_trl import R1GRPOConfig
from r1_trl.stages.adapters import find_adapter
from r1_trl.stages.models import (
    R1ModelConfig,
    check_model,
    check_training,
    default_dtype,
    given_settings,
    load_policy,
    policy_arguments,
    settle_model_args,
)
from tests.stages.adapter_folders import BASE, run_stage, save_adapter

ELSEWHERE = "/opt/python/site-packages/r1_trl/miniature/base"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return save_adapter(tmp_path_factory.mktemp("adapters") / "plain")


@pytest.fixture
def training_args(tmp_path):
    return R1GRPOConfig(output_dir=str(tmp_path / "run"), use_cpu=True, report_to="none")


def settled(path, training_args, given=(), **settings):
    model_args = R1ModelConfig(model_name_or_path=str(path), **settings)
    settle_model_args(check_model(model_args, allow_adapter=True), model_args, training_args, set(given))
    return model_args


# --- the dtype of the weights


@pytest.mark.parametrize(
    ("native", "cuda", "use_cpu", "frozen"),
    [
        pytest.param(True, True, False, "bfloat16", id="Ampere"),
        pytest.param(False, True, False, "float16", id="T4, which emulates bfloat16"),
        pytest.param(False, False, False, "float32", id="no GPU"),
        pytest.param(True, True, True, "float32", id="GPU left alone"),
    ],
)
def test_default_dtype(monkeypatch, native, cuda, use_cpu, frozen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native
    )
    assert default_dtype(ModelConfig(use_peft=True), use_cpu) == frozen
    assert default_dtype(ModelConfig(use_peft=True, load_in_4bit=True), use_cpu) == frozen
    assert default_dtype(ModelConfig(), use_cpu) == "float32", "weights that train"
    trains_layers = ModelConfig(use_peft=True, lora_modules_to_save=["lm_head"])
    assert default_dtype(trains_layers, use_cpu) == "float32", "layers that train whole"


def test_dtype_that_is_given(training_args, adapter):
    assert settled(adapter, training_args, dtype="bfloat16").dtype == "bfloat16"
    assert settled("miniature:base", training_args, dtype="bfloat16").dtype == "bfloat16"
    assert settled("miniature:base", training_args).dtype == "float32"


# --- an adapter as the start


def test_whole_model_stays_a_path(training_args):
    model_args = settled("miniature:base", training_args, use_peft=True)
    start = policy_arguments(BASE, model_args, training_args)
    assert (start["model"], start["quantization_config"], start["peft_config"].r) == (BASE, None, 16)
    assert training_args.model_init_kwargs["dtype"] == "float32"


def test_revision_of_the_base_is_written_into_a_new_adapter(training_args):
    model_args = settled("miniature:base", training_args, use_peft=True, model_revision="v2")
    assert policy_arguments(BASE, model_args, training_args)["peft_config"].revision == "v2"


@pytest.mark.parametrize("bits", [16, 4])
def test_adapter_is_loaded_to_train_on(adapter, training_args, bits):
    model_args = settled(adapter, training_args, dtype="bfloat16", load_in_4bit=bits == 4)
    start = policy_arguments(str(adapter), model_args, training_args)
    policy = start["model"]
    assert start.keys() == {"model", "processing_class"}
    assert getattr(policy, "is_loaded_in_4bit", False) == (bits == 4)
    assert policy.get_base_model().model.embed_tokens.weight.dtype == torch.bfloat16
    trained = {name: weight for name, weight in policy.named_parameters() if weight.requires_grad}
    saved = load_file(adapter / "adapter_model.safetensors")
    assert len(trained) == len(saved) == 42
    assert all(torch.equal(trained[name.replace(".weight", ".default.weight")], saved[name]) for name in saved)


def test_adapters_own_configuration_is_recorded(adapter, training_args):
    model_args = settled(adapter, training_args)
    assert (model_args.use_peft, model_args.lora_r, model_args.lora_dropout) == (True, 4, 0.0)
    assert set(model_args.lora_target_modules) == {
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("up_proj", "gate_proj", "down_proj"),
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (True, False, "fp4")),
        ({"load_in_4bit": False}, (False, False, "nf4")),
        ({"load_in_8bit": True}, (False, True, "nf4")),
        ({"bnb_4bit_quant_type": "nf4"}, (True, False, "nf4")),
    ],
)
@pytest.mark.parametrize("place", ["the run", "its checkpoint"])
def test_base_is_quantised_as_it_was_in_training(tmp_path, training_args, given, expected, place):
    folder = save_adapter(tmp_path / "run", trained={"load_in_4bit": True, "bnb_4bit_quant_type": "fp4"})
    if place == "its checkpoint":
        shutil.copytree(folder, folder / "checkpoint-2", ignore=shutil.ignore_patterns("stage.json"))
        folder = folder / "checkpoint-2"
    args = settled(folder, training_args, given, **given)
    assert (args.load_in_4bit, args.load_in_8bit, args.bnb_4bit_quant_type) == expected


def test_record_of_an_evaluation_says_nothing_about_training(adapter, tmp_path):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    (folder / "stage.json").write_text(json.dumps({"stage": "evaluate", "arguments": {"load_in_4bit": True}}))
    assert find_adapter(str(folder)).trained == {}


def test_embedded_base_is_found_wherever_the_package_is_installed(tmp_path, training_args):
    folder = save_adapter(tmp_path / "adapter", base=ELSEWHERE)
    assert find_adapter(str(folder)).base == BASE
    policy = load_policy(find_adapter(str(folder)), settled(folder, training_args), training_args)
    assert policy.peft_config["default"].base_model_name_or_path == BASE


def test_tokenizer_of_the_base(tmp_path, training_args):
    folder = save_adapter(tmp_path / "adapter", tokenizer=False)
    assert find_adapter(str(folder)).tokenizer == (BASE, "main")
    start = policy_arguments(str(folder), settled(folder, training_args), training_args)
    assert start["processing_class"].chat_template


def test_adapter_of_the_hub(adapter, tmp_path, monkeypatch, training_args):
    """A repository of the Hub, as it lies in the cache."""
    repository = tmp_path / "models--someone--an-adapter"
    shutil.copytree(adapter, repository / "snapshots" / "abc123")
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text("abc123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    path = check_model(ModelConfig("someone/an-adapter", model_revision="v1"), allow_adapter=True)
    assert path == str(repository / "snapshots" / "abc123")
    model_args = settled("someone/an-adapter", training_args, model_revision="v1")
    assert model_args.lora_r == 4
    start = policy_arguments(path, model_args, training_args)
    assert isinstance(start["model"], PeftModel)
    assert len(start["processing_class"]) == 141


# --- by the commands


@pytest.mark.parametrize("bits", [16, 4])
def test_from_sft_to_grpo_by_the_commands(tmp_path, bits):
    """The adapter of one stage is the start of the next, which loads the base as the first did."""
    peft = {"use_peft": True, "lora_target_modules": ["all-linear"], "lora_r": 8, "load_in_4bit": bits == 4}
    first, second, third = tmp_path / "sft", tmp_path / "more_sft", tmp_path / "grpo"
    assert run_stage("sft", tmp_path, **peft, output_dir=str(first), model_name_or_path="miniature:base") == 0
    assert run_stage("sft", tmp_path, learning_rate=0.0, output_dir=str(second), model_name_or_path=str(first)) == 0
    assert run_stage("grpo", tmp_path, output_dir=str(third), model_name_or_path=str(second)) == 0

    weights = [load_file(folder / "adapter_model.safetensors") for folder in (first, second, third)]
    assert {weight.dtype for weight in weights[0].values()} == {torch.float32}
    if bits == 4:
        assert any(not torch.equal(weight, weight.bfloat16().float()) for weight in weights[0].values())
    assert all(torch.equal(weights[1][name], weights[0][name]) for name in weights[0]), "at a learning rate of 0"
    assert any(not torch.equal(weights[2][name], weights[1][name]) for name in weights[1])
    reference = load_file(third / "ref" / "adapter_model.safetensors")
    assert all(torch.equal(reference[name], weights[1][name]) for name in weights[1])
    arguments = json.loads((third / "stage.json").read_text())["arguments"]
    assert (arguments["load_in_4bit"], arguments["lora_r"], arguments["dtype"]) == (bits == 4, 8, "float32")


# --- flags


def test_flags_that_agree_with_the_adapter(adapter, training_args):
    given = {"use_peft": True, "lora_r": 4, "lora_target_modules": ["all-linear"], "load_in_4bit": True}
    model_args = settled(adapter, training_args, given, **given)
    check_training(training_args, model_args)
    modules = list(reversed(json.loads((adapter / "adapter_config.json").read_text())["target_modules"]))
    settled(adapter, training_args, {"lora_target_modules"}, lora_target_modules=modules)


def test_given_settings_come_from_flags_and_file(tmp_path):
    (tmp_path / "config.yaml").write_text("lora_r: 16\nseed: 1\n")
    words = ["--config", str(tmp_path / "config.yaml"), "--use_peft", "--lora-alpha=32"]
    assert given_settings(words) == {"config", "lora_r", "seed", "use_peft", "lora_alpha"}
    assert given_settings([f"--config={tmp_path / 'config.yaml'}"]) == {"config", "lora_r", "seed"}


@pytest.mark.parametrize(("stage", "side"), [("sft", "right"), ("grpo", "left")])
def test_padding_side_is_trls(adapter, tmp_path, training_args, stage, side):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**tokenizer, "padding_side": "right"}))
    if stage == "sft":
        training_args = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none")
    start = policy_arguments(str(folder), settled(folder, training_args), training_args)
    assert start["processing_class"].padding_side == side
