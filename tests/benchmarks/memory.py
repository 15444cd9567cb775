"""The doctor's estimate of peak memory beside the measured peak of two real steps of `R1GRPOTrainer`, on a CPU.

`python -m tests.benchmarks.memory` measures each configuration in a process of its own and writes `memory.json`. The
peak is the highest resident set (`VmHWM`) above what is resident once a run of the miniature has imported everything
and the allocator has given its free pages back. Each configuration is measured twice: with an allocator that gives
every page back at once, so that the peak is that of the tensors, and as glibc allocates by default. Completions always
have their full length.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_suffix(".json")
MIB = 2**20
RETURN_PAGES = {"MALLOC_MMAP_THRESHOLD_": "65536"}  # larger blocks are mapped, and unmapped when they are freed
LORA = {"use_peft": True, "lora_r": 16, "lora_target_modules": "all-linear"}
SMALL = {"per_device_train_batch_size": 8, "max_completion_length": 96}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    # name: (model, training arguments, model arguments)
    "1M, full, 256 × 48": ("miniature", {"per_device_train_batch_size": 256, "max_completion_length": 48}, {}),
    "1M, LoRA, 256 × 48": ("miniature", {"per_device_train_batch_size": 256, "max_completion_length": 48}, LORA),
    "93M, full, 8 × 96": ("93M", SMALL, {}),
    "93M, full, no reference, 8 × 96": ("93M", {**SMALL, "beta": 0.0}, {}),
    "93M, full, checkpointing, 4 × 8 × 96": (
        "93M",
        {**SMALL, "activation_checkpointing": True, "gradient_accumulation_steps": 4},
        {},
    ),
    "93M, LoRA, 8 × 96": ("93M", SMALL, LORA),
    "93M, LoRA, eager attention, 16 × 224": (
        "93M",
        {"per_device_train_batch_size": 16, "max_completion_length": 224},
        {**LORA, "attn_implementation": "eager"},
    ),
    "93M, LoRA, bfloat16, 8 × 96": ("93M", {**SMALL, "bf16": True}, {**LORA, "dtype": "bfloat16"}),
    "93M, QLoRA, 8 × 96": ("93M", SMALL, {**LORA, "load_in_4bit": True}),
    "93M, LoRA, rollout of 128, 2 × 96": (
        "93M",
        {**SMALL, "per_device_train_batch_size": 2, "steps_per_generation": 64},
        LORA,
    ),
}


def resident(field: str) -> int:
    """`VmRSS`, `VmHWM` or `RssFile` of this process, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def save_model(folder: Path) -> str:
    """A Qwen3 of 93 million random weights with a vocabulary of 32,000 words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    words = {"<pad>": 0, "<eos>": 1, "<unk>": 2} | {f"w{index}": index for index in range(3, 32_000)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = Qwen3Config(
        hidden_size=640,
        intermediate_size=2048,
        num_hidden_layers=14,
        num_attention_heads=10,
        num_key_value_heads=5,
        head_dim=64,
        vocab_size=32_000,
        tie_word_embeddings=True,
        eos_token_id=1,
        pad_token_id=0,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return str(folder)


def arguments(model: str, training: dict[str, Any], model_settings: dict[str, Any], folder: str) -> tuple[Any, Any]:
    from trl import ModelConfig

    from r1_trl import R1GRPOConfig

    settings = {"bf16": False, "activation_checkpointing": False, "num_generations": 4, **training}
    length = settings["max_completion_length"]
    training_args = R1GRPOConfig(
        output_dir=f"{folder}/run",
        max_steps=2,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        generation_kwargs={"min_new_tokens": length},
        **settings,
    )
    return training_args, ModelConfig(model_name_or_path=model, **model_settings)


def run(model: str, training: dict[str, Any], model_settings: dict[str, Any], folder: str) -> None:
    """Two steps of `R1GRPOTrainer` with a reward that costs nothing."""
    from trl import get_peft_config, get_quantization_config

    from r1_trl import R1GRPOTrainer
    from r1_trl.stages.models import model_init_kwargs

    training_args, model_args = arguments(model, training, model_settings, folder)
    training_args.model_init_kwargs = model_init_kwargs(model_args, training_args)
    trainer = R1GRPOTrainer(
        model,
        lambda completions, **kwargs: [float(index % 2) for index in range(len(completions))],
        training_args,
        train_dataset=prompts(model),
        quantization_config=get_quantization_config(model_args),
        peft_config=get_peft_config(model_args),
    )
    trainer.train()


def prompts(model: str) -> Any:
    """Prompts of two lengths, so that there is padding, as in any real run; the longest come first."""
    from datasets import Dataset

    if "base" in model:
        texts = ["5 + 3 - 7 + 2", "5 + 3"]
    else:
        texts = [" ".join(f"w{index}" for index in range(100, 100 + words)) for words in (32, 24)]
    return Dataset.from_list([{"prompt": text} for text in texts * 128])


def estimate(model: str, training: dict[str, Any], model_settings: dict[str, Any], folder: str) -> dict[str, int]:
    from dataclasses import asdict

    from r1_trl.doctor.device import device_at_hand
    from r1_trl.doctor.memory import estimate_memory
    from r1_trl.doctor.recipe import read_recipe
    from r1_trl.doctor.workload import workload_of

    training_args, model_args = arguments(model, training, model_settings, folder)
    recipe = read_recipe(training_args, model_args, device_at_hand(use_cpu=True), dataset=prompts(model))
    found = estimate_memory(workload_of(recipe))
    phase = max(found.phases, key=lambda name: found.phases[name].total)
    return {"phase": phase, **asdict(found.phases[phase]), "total": found.peak}


def measure(name: str, folder: str) -> dict[str, Any]:
    """Estimate and measurement of one configuration, in this process."""
    from r1_trl.miniature import resolve_model_path

    miniature = resolve_model_path("miniature:base")
    model, training, model_settings = CASES[name]
    path = miniature if model == "miniature" else f"{folder}/model"
    estimated = estimate(path, training, model_settings, folder)
    warm = {"per_device_train_batch_size": 4, "max_completion_length": 8}
    run(
        miniature, {**training, **warm, "num_generations": 4, "gradient_accumulation_steps": 1}, model_settings, folder
    )
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before, mapped = resident("VmRSS"), resident("RssFile")
    run(path, training, model_settings, folder)
    return {
        "estimated": estimated,
        "measured": resident("VmHWM") - before,
        "file_pages": resident("RssFile") - mapped,  # of the weights' file, which the kernel can drop
        "imports": before,
    }


def main() -> None:
    if len(sys.argv) == 3:
        Path(sys.argv[2], "result.json").write_text(json.dumps(measure(sys.argv[1], sys.argv[2])))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder, "model"))
        for name in CASES:
            tensors, default = (measure_apart(name, folder, environment) for environment in (RETURN_PAGES, {}))
            total = tensors["estimated"]["total"]
            results[name] = {
                "estimated": tensors["estimated"],
                "measured": tensors["measured"],
                "file_pages": tensors["file_pages"],
                "measured_default_allocator": default["measured"],
                "imports": default["imports"],
                "error": total / tensors["measured"] - 1,
                "error_default_allocator": total / default["measured"] - 1,
            }
            numbers = [value / MIB for value in (total, tensors["measured"], default["measured"])]
            errors = [results[name][key] for key in ("error", "error_default_allocator")]
            print(f"{name:<40}", *(f"{n:7.0f}" for n in numbers), *(f"{e:+7.1%}" for e in errors), flush=True)
            machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
            RESULTS.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


def table(found: dict[str, Any]) -> str:
    """The rows of the documentation."""
    lines = ["| configuration | estimate | measured | error | with glibc's defaults |", "|---|---|---|---|---|"]
    for name, result in found["results"].items():
        estimated, measured, default = (
            value / MIB
            for value in (result["estimated"]["total"], result["measured"], result["measured_default_allocator"])
        )
        error = f"{round(result['error'], 3) + 0:+.1%}".replace("-", "−")  # no −0.0
        cells = [name, f"{estimated:.0f} MB", f"{measured:.0f} MB", error, f"{default:.0f} MB"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measure_apart(name: str, folder: str, environment: dict[str, str]) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", name, folder]
    subprocess.run(command, check=True, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(Path(folder, "result.json").read_text())
    return found


if __name__ == "__main__":
    main()
