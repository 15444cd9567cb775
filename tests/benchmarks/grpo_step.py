"""`make benchmark`: one GRPO step without generation, by R1GRPOTrainer beside TRL's GRPOTrainer, in the same run.

A model of the size of SmolLM2-135M with random weights and LoRA; 32 completions whose lengths are log-normal (mean 83,
at most 247 tokens). Each trainer runs in a process of its own, which also tells its peak memory.
"""

from __future__ import annotations

import json
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMPLETIONS, MICRO_BATCH, PROMPT_TOKENS = 32, 4, 40
LEAST_RATIO = 2.5


def completion_lengths() -> list[int]:
    rng = random.Random(0)
    return [max(8, min(256, int(rng.lognormvariate(4.25, 0.75)))) for _ in range(COMPLETIONS)]


def measure(kind: str) -> dict[str, float]:
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
        per_device_train_batch_size=MICRO_BATCH,
        gradient_accumulation_steps=COMPLETIONS // MICRO_BATCH,
        max_completion_length=256,
        beta=0.001,
        max_steps=1,
    )
    trainer = Timed(
        folder,
        lambda completions, **kwargs: [float(i % 3) for i in range(len(completions))],
        args,
        train_dataset=Dataset.from_list([{"prompt": "1 + 2 " * (PROMPT_TOKENS // 3)}] * 8),
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


def main() -> None:
    results = {}
    for kind in ("r1_trl", "trl"):
        command = [sys.executable, "-m", "tests.benchmarks.grpo_step", kind]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        results[kind] = json.loads(out.splitlines()[-1])
        print(kind, {key: round(value, 3) for key, value in results[kind].items()}, flush=True)
    ours, theirs = results["r1_trl"], results["trl"]
    ratios = {name: theirs[name] / ours[name] for name in ("policy_update_seconds", "step_seconds", "peak_memory_mb")}
    print("ratios", {key: round(value, 2) for key, value in ratios.items()})
    lengths = completion_lengths()
    found = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "mean_completion_length": sum(lengths) / len(lengths),
        "max_completion_length": max(lengths),
        "results": results,
        "ratios": ratios,
        "least_ratio": LEAST_RATIO,
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
