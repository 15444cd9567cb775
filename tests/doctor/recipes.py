"""Recipes for the doctor, read on any machine as if for a GPU."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from transformers import AutoTokenizer, Qwen2Config
from trl import ModelConfig

from r1_trl.doctor.command import RecipeConfig, settle_device
from r1_trl.doctor.device import Device, named_device
from r1_trl.doctor.recipe import Recipe, read_recipe
from r1_trl.stages.models import R1ModelConfig

GIB = 2**30


def save_config(folder, base_path: str, **settings: Any) -> str:
    """A Qwen2 of the shape of Qwen2.5-0.5B, without weights, with the miniature's tokenizer."""
    shape = {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 2,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151_936,
        "tie_word_embeddings": True,
        "architectures": ["Qwen2ForCausalLM"],
    }
    Qwen2Config(**{**shape, **settings}).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(base_path)
    tokenizer.save_pretrained(folder)
    return str(folder)


def recipe(
    model: str,
    training: dict[str, Any] | None = None,
    model_settings: dict[str, Any] | None = None,
    gpu: str | Device | None = "24GB",
    rewards: tuple[Any, ...] = (),
    rows: list[dict[str, Any]] | None = None,
) -> Recipe:
    """A recipe with r1-trl's defaults and completions of 256 tokens, on a GPU of 24 GB or whatever is named."""
    args = RecipeConfig(output_dir="runs/x", **{"max_completion_length": 256, **(training or {})})
    device = gpu
    if not isinstance(gpu, Device):
        device = settle_device(gpu, args)
    settings: ModelConfig = R1ModelConfig(model_name_or_path=model, **(model_settings or {}))
    return read_recipe(args, settings, device or named_device("24GB"), rewards, rows and Dataset.from_list(rows))
