"""Adapter folders, and short runs that start from them, for the tests of the stages."""

import json

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from r1_trl.cli import main
from r1_trl.miniature import resolve_model_path

BASE = resolve_model_path("miniature:base")
COMMON = {"use_cpu": True, "bf16": False, "report_to": "none", "save_strategy": "no"}
SFT = {**COMMON, "dataset_name": "{folder}/rows.jsonl", "max_steps": 2, "per_device_train_batch_size": 4}
GRPO = {
    **COMMON,
    "dataset_name": "miniature:questions",
    "reward_funcs": ["accuracy_reward", "format_reward"],
    "per_device_train_batch_size": 16,
    "max_completion_length": 12,
    "max_steps": 2,
    "logging_steps": 1,
    "learning_rate": 1e-2,
}
STAGES = {"sft": SFT, "grpo": GRPO}


def save_adapter(folder, tokenizer=True, trained=None, base=BASE, **settings):
    """An adapter on the miniature that changes what it says, as a stage leaves it.

    `trained` are the arguments that `stage.json` records; without them there is none.
    """
    torch.manual_seed(0)
    lora = LoraConfig(**{"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **settings})
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(BASE), lora)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.05)
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(folder)
    if tokenizer:
        AutoTokenizer.from_pretrained(BASE).save_pretrained(folder)
    if trained is not None:
        record = {"stage": "sft", "arguments": {"learning_rate": 1e-3, **trained}}
        (folder / "stage.json").write_text(json.dumps(record))
    return folder


def run_stage(stage, folder, **settings):
    """Runs a stage by a config file in a folder; returns its exit code."""
    row = {"prompt": "question : what is 5 + 3 ?", "completion": " <think> 5 + 3 </think> <answer> 8 </answer>"}
    (folder / "rows.jsonl").write_text((json.dumps(row) + "\n") * 16)
    config = folder / f"{stage}.yaml"
    config.write_text(json.dumps({**STAGES[stage], **settings}).replace("{folder}", str(folder)))  # JSON is YAML
    return main([stage, "--config", str(config)])
