"""What is wrong with an adapter is told before anything loads: the place, the value and the remedy."""

import json
import shutil

import pytest
from transformers import PreTrainedModel
from trl import ModelConfig

from r1_trl import InputError
from r1_trl.stages.adapters import find_adapter
from r1_trl.stages.models import check_model
from tests.stages.adapter_folders import BASE, run_stage, save_adapter


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return save_adapter(tmp_path_factory.mktemp("adapters") / "plain")


def broken(folder, **changes):
    """An adapter folder whose adapter_config.json has other values; `None` takes a key out."""
    path = folder / "adapter_config.json"
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


CASES = [
    ({}, {"lora_r": 16}, ["`lora_r: 16`", "conflicts with `4`", "r1-trl merge"], "another rank, TRL's default"),
    ({}, {"lora_alpha": 64}, ["`lora_alpha: 64`", "`8`"], "another alpha"),
    ({}, {"lora_target_modules": ["q_proj"]}, ["`lora_target_modules: q_proj`", "down_proj"], "other modules"),
    ({}, {"use_dora": True}, ["`use_dora: True`", "`False`"], "another kind"),
    ({}, {"use_peft": False}, ["`use_peft: False`", "merge it first"], "no adapter"),
    ({}, {"load_in_4bit": True, "dtype": "auto"}, ["`dtype: auto`", "`load_in_4bit`"], "no dtype to compute in"),
    ({"base_model_name_or_path": None}, {}, ["adapter_config.json", "names no base"], "no base"),
    (
        {"base_model_name_or_path": "/nowhere/base"},
        {},
        ["adapter_config.json", "`/nowhere/base`", "no such folder", "Move the base back"],
        "the base is gone",
    ),
    (
        {"base_model_name_or_path": "someone/no-base"},
        {},
        ["adapter_config.json", "`someone/no-base`", "cannot be loaded", "`base_model_name_or_path`"],
        "no such base on the Hub",
    ),
    ({"task_type": "SEQ_CLS"}, {}, ["`task_type: SEQ_CLS`", "CAUSAL_LM"], "a reward model's"),
    ({"peft_type": "FANCY"}, {}, ["`peft_type: FANCY`"], "an unknown kind"),
    ({"peft_type": "PROMPT_TUNING"}, {}, ["PROMPT_TUNING", "training takes LoRA"], "virtual tokens"),
]


@pytest.mark.parametrize("stage", ["sft", "grpo"])
@pytest.mark.parametrize(("changes", "settings", "words", "reason"), CASES, ids=[case[-1] for case in CASES])
def test_adapter_is_refused(tmp_path, capsys, monkeypatch, adapter, stage, changes, settings, words, reason):
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", None)  # nothing may load
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    broken(folder, **changes)
    run = {"output_dir": str(tmp_path / "run"), "model_name_or_path": str(folder), **settings}
    assert run_stage(stage, tmp_path, **run) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{stage}.yaml" in message
    assert [word for word in words if word not in message] == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("adapter_config.json", "{", ["adapter_config.json cannot be read"]),
        ("stage.json", "{", ["stage.json is no JSON"]),
        ("adapter_model.safetensors", None, ["holds no adapter_model.safetensors"]),
    ],
)
def test_broken_adapter_folder(tmp_path, adapter, file, content, words):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    (folder / file).unlink(missing_ok=True)
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(InputError) as refused:
        check_model(ModelConfig(model_name_or_path=str(folder)), allow_adapter=True)
    assert [word for word in words if word not in str(refused.value)] == []


def test_neither_adapter_nor_base_has_a_tokenizer(tmp_path):
    base = tmp_path / "base"
    shutil.copytree(BASE, base, ignore=shutil.ignore_patterns("tokenizer*"))
    folder = save_adapter(tmp_path / "adapter", tokenizer=False, base=base)
    with pytest.raises(InputError, match=r"neither .* holds a tokenizer"):
        find_adapter(str(folder))


def test_stage_that_takes_whole_models_alone(adapter):
    with pytest.raises(InputError, match=r"is an adapter and no whole model: merge it .*r1-trl merge"):
        check_model(ModelConfig(model_name_or_path=str(adapter)))
