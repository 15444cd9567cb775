"""What `r1-trl merge` writes is the model that was trained, up to 16-bit rounding."""

import json

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel

from r1_trl import InputError
from r1_trl.stages import merge, merging
from tests.stages.adapter_folders import BASE, save_adapter

BOUND = {"bfloat16": 4 * 2.0**-8, "float16": 4 * 2.0**-11}  # a few roundings of weights, seen in the logits
FLOAT32 = torch.float32
NF4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
FP4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="fp4", bnb_4bit_use_double_quant=True)
# By name: how the base is loaded in training, and what a stage records of it.
BASES = {
    "float32": ({"dtype": FLOAT32}, {"dtype": "float32"}),
    "bfloat16": ({"dtype": torch.bfloat16}, {"dtype": "bfloat16"}),
    "nf4": (
        {"dtype": FLOAT32, "quantization_config": NF4},
        {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "dtype": "float32"},
    ),
    "fp4, nested": (
        {"dtype": FLOAT32, "quantization_config": FP4},
        {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "use_bnb_nested_quant": True, "dtype": "float32"},
    ),
    "8-bit": (
        {"dtype": FLOAT32, "quantization_config": BitsAndBytesConfig(load_in_8bit=True)},
        {"load_in_8bit": True, "dtype": "float32"},
    ),
}


def logits(model):
    """The model's logits on a few rows; in training mode, where bitsandbytes keeps to its plain kernels."""
    ids = torch.arange(3, 123).view(6, 20)  # (6, 20)
    with torch.no_grad():
        return model.train()(input_ids=ids).logits.double()


def trained_logits(folder, kwargs):
    """Those of the adapter on the base that it was trained on, computed in float32."""
    base = AutoModelForCausalLM.from_pretrained(BASE, **kwargs)
    if not hasattr(base, "hf_quantizer"):
        base = base.float()
    return logits(PeftModel.from_pretrained(base, folder))


def merged_logits(folder):
    return logits(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))


def distance(one, other):
    return ((one - other).norm() / other.norm()).item()


def run(folder, output, *flags):
    merge.main(["--model_name_or_path", str(folder), "--output_dir", str(output), *flags])


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("base", BASES)
def test_merged_model_is_what_was_trained(tmp_path, base, dtype, capsys):
    kwargs, trained = BASES[base]
    folder = save_adapter(tmp_path / "adapter", trained=trained)
    run(folder, tmp_path / "merged", "--dtype", dtype)
    expected = trained_logits(folder, kwargs)
    assert distance(merged_logits(tmp_path / "merged"), expected) < BOUND[dtype]
    said = capsys.readouterr().out
    words = {"nf4": "4-bit base {} (nf4), dequantised", "fp4, nested": "4-bit base {} (fp4), dequantised"}
    words |= {"8-bit": "8-bit base {}, dequantised"}
    assert words.get(base, "its base {}, not quantised\n").format(BASE) in said
    config = json.loads((tmp_path / "merged" / "config.json").read_text())
    assert config["dtype"] == dtype
    assert "quantization_config" not in config


def test_merging_into_the_original_base_would_be_another_model(tmp_path):
    """The reason to dequantise: the naive merge is further off by two orders of magnitude."""
    kwargs, trained = BASES["nf4"]
    folder = save_adapter(tmp_path / "adapter", trained=trained)
    run(folder, tmp_path / "ours")
    run(folder, tmp_path / "naive", "--load_in_4bit", "false")
    expected = trained_logits(folder, kwargs)
    ours, naive = (distance(merged_logits(tmp_path / name), expected) for name in ("ours", "naive"))
    assert naive > 50 * ours


def test_flag_for_an_adapter_without_a_record(tmp_path, capsys):
    folder = save_adapter(tmp_path / "adapter")
    run(folder, tmp_path / "plain")
    assert "Nothing says how it was trained: if on the 4-bit base, add --load_in_4bit true" in capsys.readouterr().out
    run(folder, tmp_path / "merged", "--load_in_4bit", "true")
    expected = trained_logits(folder, BASES["nf4"][0])
    assert distance(merged_logits(tmp_path / "merged"), expected) < BOUND["bfloat16"]
    assert distance(merged_logits(tmp_path / "plain"), expected) > 0.1


def test_base_that_was_saved_in_4_bits(tmp_path, capsys):
    base = AutoModelForCausalLM.from_pretrained(BASE, **BASES["nf4"][0])
    base.save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(BASE).save_pretrained(tmp_path / "base")
    folder = save_adapter(tmp_path / "adapter", base=tmp_path / "base")
    run(folder, tmp_path / "merged")
    assert "4-bit base" in capsys.readouterr().out
    expected = trained_logits(folder, BASES["nf4"][0])
    assert distance(merged_logits(tmp_path / "merged"), expected) < BOUND["bfloat16"]


@pytest.mark.parametrize("modules", [["embed_tokens", "q_proj"], ["lm_head", "q_proj"]], ids=["input", "output"])
def test_adapter_of_one_of_two_tied_embeddings(tmp_path, modules):
    """The miniature's output embedding is its input embedding. The change of one does not go into the other."""
    folder = save_adapter(tmp_path / "adapter", trained=BASES["float32"][1], target_modules=modules)
    run(folder, tmp_path / "merged")
    expected = trained_logits(folder, BASES["float32"][0])
    assert distance(merged_logits(tmp_path / "merged"), expected) < BOUND["bfloat16"]


def test_folder_is_a_whole_model_with_a_record(tmp_path):
    folder = save_adapter(tmp_path / "adapter", trained=BASES["nf4"][1])
    (tmp_path / "merged").mkdir()
    run(folder, tmp_path / "merged")
    names = {file.name for file in (tmp_path / "merged").iterdir()}
    assert names >= {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "stage.json"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["adapter", "merged"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(BASE).chat_template
    record = json.loads((tmp_path / "merged" / "stage.json").read_text())
    assert record["stage"] == "merge"
    assert len(record["inputs"]["adapter"]["sha256"]) == len(record["inputs"]["base"]["sha256"]) == 64
    wanted = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "base_dtype": "float32", "dtype": "bfloat16"}
    assert record["arguments"].items() >= wanted.items()


def test_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    folder = save_adapter(tmp_path / "adapter")

    def full_disk(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(merging, "write_stage_record", full_disk)
    with pytest.raises(OSError, match="no space"):
        run(folder, tmp_path / "merged")
    assert [file.name for file in tmp_path.iterdir()] == ["adapter"]


@pytest.mark.parametrize(
    ("adapter", "output", "flags", "words"),
    [
        ("miniature:base", "new", [], ["`model_name_or_path: miniature:base`", "whole model"]),
        ("./nowhere", "new", [], ["`model_name_or_path: ./nowhere`", "no such folder"]),
        ("{tmp}/adapter", "taken", [], ["`output_dir: ", "taken`", "not empty", "new folder"]),
        ("{tmp}/adapter", "taken/file", [], ["`output_dir: ", "not empty"]),
        ("{tmp}/adapter", None, [], ["`output_dir` is missing"]),
        (None, "new", [], ["`model_name_or_path` is missing"]),
        ("{tmp}/adapter", "new", ["--dtype", "float32"], ["float32"]),
        ("{tmp}/adapter", "new", ["--load_in_4bits", "true"], ["`--load_in_4bits`", "`--load_in_4bit`"]),
    ],
)
def test_is_refused(tmp_path, monkeypatch, adapter, output, flags, words):
    save_adapter(tmp_path / "adapter")
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", None)  # nothing may load
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    given = {"--model_name_or_path": adapter and adapter.replace("{tmp}", str(tmp_path))}
    given["--output_dir"] = output and str(tmp_path / output)
    argv = [word for flag, value in given.items() if value for word in (flag, value)]
    with pytest.raises(InputError) as refused:
        merge.main([*argv, *flags])
    assert [word for word in words if word not in str(refused.value)] == []
    assert (tmp_path / "taken" / "file").read_text() == "mine"
    assert not (tmp_path / "new").exists()
