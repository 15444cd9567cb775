"""How many tokens the stages of a recipe generate at most, and about how long that takes; the READMEs show it.

`python -m tests.recipes.tokens` prints the tables. The hours are an estimate: no GPU was at hand.
"""

import math
from pathlib import Path
from typing import NamedTuple

from tests.recipes.folders import ON_A_CARD, settings

# Seconds for one token of every row at once by transformers, which launches kernel by kernel: guesses, rather slow.
SECONDS = {
    "qwen2.5_0.5b_t4_16gb": 0.05,
    "qwen2.5_1.5b_lora_16gb": 0.05,
    "qwen2.5_3b_qlora_16gb": 0.08,
    "qwen3_4b_lora_24gb": 0.06,
    "qwen2.5_7b_qlora_24gb": 0.08,
    "llama3.1_8b_qlora_24gb": 0.08,
}
VLLM_TOKENS = 1000  # a second, of all rows; likewise
FILES = {
    "chains": "chains.yaml",
    "rl_1": "grpo.yaml",
    "reasoning_data": "rejection_sampling.yaml",
    "general_data": "general_data.yaml",
    "rl_2": "grpo_all_scenarios.yaml",
    "…_evaluation": "evaluate.yaml",
}


class Generated(NamedTuple):
    """What a stage generates when no completion ends before its time.

    Parameters:
        factors (`str`): As the README has them.
        tokens (`int`): Their product.
        backend (`str`): `"vLLM"` or `"transformers"`.
        hours (`float`): An estimate.
    """

    factors: str
    tokens: int
    backend: str
    hours: float


def generated(folder: Path, stage: str) -> Generated:
    """What one stage of a recipe for one card generates at most."""
    content = settings(folder / FILES[stage])
    length = content["max_completion_length"]
    if "max_steps" in content:
        count = content["max_steps"]
        each = content["per_device_train_batch_size"] * content["gradient_accumulation_steps"]
        names, rows = ("steps", "completions"), content["generation_chunk_size"]
    else:
        count, each = sum(entry["size"] for entry in content["datasets"]), content["num_generations"]
        names, rows = ("questions", "answers"), content["per_device_eval_batch_size"]
    tokens = count * each * length
    vllm = content.get("sampling_backend") == "vllm"
    seconds = tokens / VLLM_TOKENS if vllm else tokens / rows * SECONDS[folder.name]
    noun = names[1] if each > 1 else names[1].removesuffix("s")
    factors = f"{count:,} {names[0]} × {each} {noun} × {length:,}"
    return Generated(factors, tokens, "vLLM" if vllm else "transformers", seconds / 3600)


def table(folder: Path) -> str:
    """The rows of the README."""
    rows = [(stage, generated(folder, stage)) for stage in FILES]
    return "\n".join(
        f"| `{stage}` | {row.factors} | {row.tokens / 1e6:.1f} million | {row.backend} | {math.ceil(row.hours)} |"
        for stage, row in rows
    )


if __name__ == "__main__":
    for recipe in ON_A_CARD:
        print(recipe.name, table(recipe), sep="\n")
