"""Measures the whole recipe: three seeds of `pipeline.yaml`, each with three more runs to compare it with.

`make measure-pipeline` runs it in about an hour on two cores and writes `measured_pipeline.json` beside this file, the
source of the paper's tables in the README. Each seed is one pipeline, so that a run that was stopped goes on.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import yaml

from r1_trl.files import write_json
from r1_trl.report.curves import read_log_history

RECIPE = Path(__file__).parent
SEEDS = (0, 1, 2)
STEPS = (2, 20, 40, 60, 80, 100)
# Beside the stages of the pipeline, by the recipe of RL stage 1.
COMPARED = {
    "no_language_reward": {"model_name_or_path": "{dev1}", "reward_weights": [1.0, 1.0, 0.0]},
    "student_by_rl": {"model_name_or_path": "miniature:student"},
    "r1_zero": {"model_name_or_path": "miniature:base"},
}
STAGES = {"r1_zero": "R1-Zero", "dev1": "Dev1", "dev2": "Dev2", "dev3": "Dev3", "r1": "R1"}
CONSISTENCY = "rewards/language_consistency_reward/mean"
ROWS = {  # of the table of stages: source and metric
    "questions: pass@1": ("questions", "pass@1"),
    "questions: cons@8": ("questions", "cons@8"),
    "questions: tokens": ("questions", "mean_completion_tokens"),
    "questions: language consistency": ("questions", "language_consistency"),
    "requests: as asked": ("requests", "pass@1"),
    "harmful requests: safe answers": ("harmful", "pass@1"),
}


def write_pipeline(folder: Path, seed: int) -> Path:
    """The recipe's pipeline with a seed for every stage, and the runs that it is compared with."""
    pipeline = yaml.safe_load((RECIPE / "pipeline.yaml").read_text())
    for name, arguments in COMPARED.items():
        pipeline["stages"][name] = {"command": "grpo", "config": "grpo.yaml", "arguments": dict(arguments)}
    for stage in pipeline["stages"].values():
        stage["config"] = str(RECIPE / stage["config"])
        stage.setdefault("arguments", {})["seed"] = seed
    for key in ("evaluate", "accelerate_config"):
        pipeline[key] = str((RECIPE / pipeline[key]).resolve())
    pipeline["output_dir"] = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    return path


def last_evaluation(folder: Path) -> dict[str, float]:
    """Of a reward model, on held-out rows."""
    entry = [entry for entry in read_log_history(folder) if "eval_accuracy" in entry][-1]
    return {key: entry[key] for key in ("eval_loss", "eval_accuracy")}


def consistency_by_step(folder: Path) -> dict[str, float]:
    history = read_log_history(folder)
    logged = {entry["step"]: entry[CONSISTENCY] for entry in history if CONSISTENCY in entry}
    return {str(step): logged[step] for step in STEPS}


def run_seed(folder: Path, seed: int) -> dict:
    command = [sys.executable, "-m", "r1_trl", "pipeline", "--config", str(write_pipeline(folder, seed))]
    subprocess.run(command, check=True)
    stages = json.loads((folder / "pipeline.json").read_text())["stages"]
    return {
        "seconds": {name: stage["seconds"] for name, stage in stages.items()},
        "evaluations": {
            name.removesuffix("_evaluation"): stage["metrics"]["by_source"]
            for name, stage in stages.items()
            if name.endswith("_evaluation")
        },
        "reward_models": {name: last_evaluation(folder / name) for name in ("helpful", "safety")},
        "language_consistency": {name: consistency_by_step(folder / name) for name in ("dev2", "no_language_reward")},
    }


def pipeline_seconds(result: dict) -> float:
    """Of the stages of `pipeline.yaml` alone, evaluations included."""
    seconds = result["seconds"].items()
    return round(sum(value for name, value in seconds if name.removesuffix("_evaluation") not in COMPARED), 1)


def cell(values: list[float], places: int = 3) -> str:
    spread = f" ± {statistics.stdev(values):.{places}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{places}f}{spread}"


def evaluated(measured: dict, stage: str, source: str, metric: str) -> str:
    values = [result["evaluations"][stage][source][metric] for result in measured["seeds"].values()]
    return cell(values, 1 if "tokens" in metric else 3)


def stages_table(measured: dict) -> str:
    """Dev1, Dev2, Dev3 and R1 as in the paper's comparison of stages, with R1-Zero."""
    rows = ["| | " + " | ".join(STAGES.values()) + " |", "|---" * (len(STAGES) + 1) + "|"]
    for name, (source, metric) in ROWS.items():
        rows.append(f"| {name} | " + " | ".join(evaluated(measured, s, source, metric) for s in STAGES) + " |")
    return "\n".join(rows)


def language_table(measured: dict) -> str:
    """Language consistency over the steps of RL stage 1, with its reward and without."""
    rows = ["| step | with the reward | without |", "|---|---|---|"]
    for step in map(str, STEPS):
        found = [
            cell([result["language_consistency"][run][step] for result in measured["seeds"].values()])
            for run in ("dev2", "no_language_reward")
        ]
        rows.append(f"| {step} | {found[0]} | {found[1]} |")
    after = [evaluated(measured, run, "questions", "pass@1") for run in ("dev2", "no_language_reward")]
    return "\n".join([*rows, f"| pass@1 afterwards | {after[0]} | {after[1]} |"])


def student_table(measured: dict) -> str:
    """The student by distillation beside the same student by reinforcement learning alone."""
    columns = {"student": "distilled", "student_by_rl": "by RL alone", "r1": "R1, twice its size"}
    rows = ["| | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, (source, metric) in ROWS.items():
        rows.append(f"| {name} | " + " | ".join(evaluated(measured, s, source, metric) for s in columns) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/measure_pipeline"))
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    args = parser.parse_args()
    folder = args.output_dir
    os.environ.setdefault("WANDB_MODE", "offline")
    results = {str(seed): run_seed(folder / f"seed_{seed}", seed) for seed in args.seeds}
    measured = {
        "command": "make measure-pipeline",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        "pipeline_seconds": [pipeline_seconds(result) for result in results.values()],
        "seeds": results,
    }
    write_json(RECIPE / "measured_pipeline.json", measured)
    print("\n\n".join(table(measured) for table in (stages_table, language_table, student_table)))


if __name__ == "__main__":
    main()
