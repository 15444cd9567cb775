"""Measures the miniature: three seeds of the whole road, then GRPO without one or the other reward.

`make measure` runs it in about 20 minutes on two cores and writes `measured.json` beside this file, the source of
every figure in the README. Runs that are complete already are not repeated.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from r1_trl.files import write_json

RECIPE = Path(__file__).parent
SEEDS = (0, 1, 2)
METRICS = {  # and their decimal places
    "pass@1": 3,
    "cons@16": 3,
    "mean_completion_tokens": 1,
    "language_consistency": 3,
    "well_formed": 4,
}
# Weights of accuracy, format and language consistency, with what each leaves out.
ABLATIONS = {
    "without language consistency": (1.0, 1.0, 0.0),
    "without accuracy": (0.0, 1.0, 0.3),
    "accuracy alone": (1.0, 0.0, 0.0),
}


def r1_trl(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "r1_trl", *map(str, words)], check=True)


def run_seed(folder: Path, seed: int) -> dict:
    results = folder / "results.json"
    if not results.is_file():
        r1_trl("quickstart", "--output_dir", folder, "--seed", seed)
    return json.loads(results.read_text())


def run_ablation(folder: Path, cold_start: Path, weights: tuple[float, ...]) -> dict:
    record = folder / "evaluation" / "stage.json"
    if not record.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        flags = ("--model_name_or_path", cold_start, "--output_dir", folder / "grpo", "--eval_strategy", "no")
        flags += ("--eval_on_start", "false", "--save_strategy", "no", "--reward_weights", *weights)
        r1_trl("grpo", "--config", RECIPE / "grpo.yaml", *flags)
        flags = ("--model_name_or_path", folder / "grpo", "--output_dir", record.parent)
        r1_trl("evaluate", "--config", RECIPE / "evaluate.yaml", *flags)
    return json.loads(record.read_text())["metrics"]


def spread(results: list[dict], part: str) -> dict:
    def of(name: str) -> dict:
        values = [result[part][name] for result in results]
        return {"mean": round(statistics.mean(values), 4), "std": round(statistics.stdev(values), 4)}

    return {name: of(name) for name in (*METRICS, "wall_seconds")}


def seeds_table(measured: dict) -> str:
    """The first table of the README: mean ± standard deviation over the seeds."""
    rows = ["| | cold start | after GRPO | change |", "|---|---|---|---|"]
    for name, places in METRICS.items():
        before, after = measured["cold_start"][name], measured["grpo"][name]
        cells = [f"{part['mean']:.{places}f} ± {part['std']:.{places}f}" for part in (before, after)]
        rows.append(f"| {name} | {cells[0]} | {cells[1]} | × {after['mean'] / before['mean']:.2f} |")
    return "\n".join(rows)


def ablations_table(measured: dict) -> str:
    """The second table of the README: one seed, from the same cold start."""
    columns = {"cold start": measured["seeds"]["0"]["cold_start"], "all three rewards": measured["seeds"]["0"]["grpo"]}
    columns |= measured["ablations_seed_0"]
    rows = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, places in METRICS.items():
        rows.append(f"| {name} | " + " | ".join(f"{part[name]:.{places}f}" for part in columns.values()) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/measure"))
    folder = parser.parse_args().output_dir
    os.environ.setdefault("WANDB_MODE", "offline")
    results = [run_seed(folder / f"seed_{seed}", seed) for seed in SEEDS]
    ablations = {
        name: run_ablation(folder / name.replace(" ", "_"), folder / "seed_0" / "cold_start", weights)
        for name, weights in ABLATIONS.items()
    }
    measured = {
        "command": "make measure",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        "seeds": {str(seed): result for seed, result in zip(SEEDS, results, strict=True)},
        "cold_start": spread(results, "cold_start"),
        "grpo": spread(results, "grpo"),
        "total_wall_seconds": [result["wall_seconds"]["total"] for result in results],
        "ablations_seed_0": ablations,
    }
    write_json(RECIPE / "measured.json", measured)
    print(f"{seeds_table(measured)}\n\n{ablations_table(measured)}")


if __name__ == "__main__":
    main()
