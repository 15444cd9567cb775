"""`make benchmark`: one GRPO step without generation, by R1GRPOTrainer beside TRL's GRPOTrainer, in the same run.

A model of the size of SmolLM2-135M with random weights and LoRA; 32 completions whose lengths are log-normal (mean 85,
at most 256 tokens). What can be saved depends on the prompts, which are computed with every completion, and on the
micro-batches, so there are several settings; the first is held to `LEAST_RATIO`. Each trainer runs in a process of its
own, which also tells its peak memory.
"""

from __future__ import annotations

import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMPLETIONS = 32
SETTINGS = ((16, 4), (16, 2), (40, 4))  # tokens of the prompt, completions in a micro-batch
LEAST_RATIO = 2.5


def completion_lengths() -> list[int]:
    rng = random.Random(0)
    return [max(8, min(256, int(rng.lognormvariate(4.25, 0.8)))) for _ in range(COMPLETIONS)]


def measure(kind: str, prompt_tokens: int, micro_batch: int) -> dict[str, float]:
    """The seconds of a step's parts and the peak memory, in this process."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import GRPOTrainer

    from r1_trl.grpo.config import R1GRPOConfig
    from r1_trl.grpo.trainer import R1GRPOTrainer
    from r1_trl.miniature import resolve_model_path

    torch.manual_seed(0)
    seconds = {"score": 0.0, "train": 0.0}

    class Timed(R1GRPOTrainer if kind == "r1_trl" else GRPOTrainer):
        def _generate_single_turn(self, prompt_ids, *args, **kwargs):
            rng = random.Random(1)
            return [[rng.randrange(10, 40_000) for _ in range(n)] for n in completion_lengths()], None

        def _generate_and_score_completions(self, inputs):
            start = time.perf_counter()
            scored = super()._generate_and_score_completions(inputs)
            seconds["score"] += time.perf_counter() - start
            return scored

    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )
    folder = tempfile.mkdtemp()
    LlamaForCausalLM(config).save_pretrained(folder)
    args = R1GRPOConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        dataloader_pin_memory=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        per_device_train_batch_size=micro_batch,
        gradient_accumulation_steps=COMPLETIONS // micro_batch,
        max_completion_length=256,
        beta=0.001,
        sync_ref_model=False,  # which TRL refuses with adapters
        max_steps=1,
        logging_steps=1,
    )
    trainer = Timed(
        folder,
        lambda completions, **kwargs: [float(i % 3) for i in range(len(completions))],
        args,
        train_dataset=Dataset.from_list([{"prompt": " ".join(["1"] * prompt_tokens)}] * 8),
        processing_class=AutoTokenizer.from_pretrained(resolve_model_path("miniature:base")),
        peft_config=LoraConfig(r=16, target_modules="all-linear"),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    trainer.train()
    seconds["train"] = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "policy_update_seconds": seconds["train"] - seconds["score"],
        "step_seconds": seconds["train"],
        "peak_memory_mb": peak / 1024,
        "before_training_mb": before / 1024,
        "grad_norm": trainer.state.log_history[0].get("grad_norm", 0.0) if trainer.state.log_history else 0.0,
    }


def compare(prompt_tokens: int, micro_batch: int) -> dict[str, Any]:
    """Both trainers in one setting, and the ratios of TRL's figures to ours."""
    results = {}
    for kind in ("r1_trl", "trl"):
        command = [sys.executable, "-m", "tests.benchmarks.grpo_step", kind, str(prompt_tokens), str(micro_batch)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        results[kind] = json.loads(out.splitlines()[-1])
    ours, theirs = results["r1_trl"], results["trl"]
    ratios = {name: theirs[name] / ours[name] for name in ("policy_update_seconds", "step_seconds", "peak_memory_mb")}
    return {"prompt_tokens": prompt_tokens, "micro_batch": micro_batch, **results, "ratios": ratios}


def main() -> None:
    found = []
    for prompt_tokens, micro_batch in SETTINGS:
        found.append(compare(prompt_tokens, micro_batch))
        ratios = {name: round(value, 2) for name, value in found[-1]["ratios"].items()}
        print(f"prompts of {prompt_tokens} tokens, micro-batches of {micro_batch}: TRL's by ours {ratios}", flush=True)
    lengths = completion_lengths()
    written = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "mean_completion_length": sum(lengths) / len(lengths),
        "max_completion_length": max(lengths),
        "least_ratio": LEAST_RATIO,
        "settings": found,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
