"""Measures the recipe: two seeds with LoRA; for the first, the same GRPO by `trl grpo`, and with QLoRA.

`make measure-smollm2` runs it on two cores and writes `results.json` beside this file, the source of every figure in
the README, with the curves and some answers. What is complete already is not repeated.
"""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import yaml
from safetensors.torch import load_file
from trl import GRPOConfig

from r1_trl import R1GRPOConfig
from r1_trl.files import write_json
from r1_trl.report.curves import plot_curves, read_log_history
from r1_trl.report.metrics import ENTROPY, LENGTH, PASS_AT_1, REWARD
from r1_trl.tasks.generated import load_generated

RECIPE = Path(__file__).parent
R1_TRL = (sys.executable, "-m", "r1_trl")
TRL = (sys.executable, "-c", "import sys; from trl.cli import main; sys.exit(main())")
SEEDS = (0, 1)
PANELS = (PASS_AT_1, LENGTH, REWARD, ENTROPY)
SHOWN_ANSWERS = 20
METRICS = {"pass@1": 3, "worked": 3, "cons@4": 3, "mean_completion_tokens": 1, "well_formed": 3}  # and decimal places


def run(folder: Path, *words: object) -> dict:
    """Runs a stage once, from its beginning. Returns its seconds and the peak memory of its largest process in MB."""
    done = folder / "measured.json"
    if not done.is_file():
        shutil.rmtree(folder, ignore_errors=True)  # a part of it would make the seconds too few
        start = time.perf_counter()
        process = subprocess.Popen([*map(str, words)])
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(map(str, words))} failed")
        cost = {"seconds": round(time.perf_counter() - start, 1), "peak_memory_mb": round(usage.ru_maxrss / 1024)}
        write_json(done, cost)
    return json.loads(done.read_text())


def evaluate(model: Path, folder: Path, *flags: object) -> dict:
    flags = ("--model_name_or_path", model, "--output_dir", folder, "--report_to", "none", *flags)
    cost = run(folder, *R1_TRL, "evaluate", "--config", RECIPE / "evaluate.yaml", *flags)
    metrics = json.loads((folder / "stage.json").read_text())["metrics"]
    metrics = {name: value for name, value in metrics.items() if name != "by_source"}
    return {**cost, **metrics, **worked(pd.read_parquet(folder / "samples.parquet"))}


def worked(samples: pd.DataFrame) -> dict:
    """The share of answers that work the sum out, and the share of right ones among them and among the others."""
    steps = samples["completion"].str.contains("=")
    right = samples["correct"].groupby(steps).mean().round(4)
    return {
        "worked": round(float(steps.mean()), 4),
        "pass@1_worked": right.get(True),
        "pass@1_at_once": right.get(False),
    }


def history(folder: Path) -> list[dict]:
    """The log of the last checkpoint: `trl grpo` writes no other."""
    last = max(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    return read_log_history(last)


def steps(folder: Path) -> list[dict]:
    """The entries of the log that are of a training step."""
    return [entry for entry in history(folder) if "step_time" in entry]


def train(folder: Path, *command: object) -> dict:
    """Trains a policy and evaluates it. A step's seconds are those after the first, which warms up."""
    cost = run(folder, *command, "--output_dir", folder)
    log = steps(folder)
    cost |= {"steps": len(log), "seconds_per_step": round(statistics.mean(entry["step_time"] for entry in log[1:]), 2)}
    if skipped := [entry["skipped_completions"] for entry in log if "skipped_completions" in entry]:
        cost["skipped_completions"] = round(statistics.mean(skipped), 3)
    return {**cost, "evaluation": evaluate(folder, folder.with_name(f"{folder.name}_evaluation"))}


def write_trl_recipe(folder: Path, model: Path) -> Path:
    """The recipe as `trl grpo` reads it: the same questions as a file, the same settings, our defaults written out."""
    recipe = yaml.safe_load((RECIPE / "grpo.yaml").read_text())
    [source] = recipe.pop("datasets")
    load_generated(source["path"], "train", source["reasoning_gym"]).to_json(folder / "questions" / "train.jsonl")
    theirs = {field.name: field.default for field in dataclasses.fields(GRPOConfig)}
    ours = {field.name: field.default for field in dataclasses.fields(R1GRPOConfig) if field.name in theirs}
    paper = {name: value for name, value in ours.items() if value != theirs[name]}
    recipe = {name: value for name, value in paper.items() if "ref_model" not in name} | recipe  # β is 0
    recipe["reward_funcs"] = [f"r1_trl.rewards.{name}" for name in recipe["reward_funcs"]]
    recipe |= {"model_name_or_path": str(model), "dtype": "float32", "dataset_name": str(folder / "questions")}
    path = folder / "grpo.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def grpo(folder: Path, name: str, seed: int, *flags: object) -> dict:
    """GRPO from the cold start in a folder, by the recipe and some flags more."""
    flags = ("--model_name_or_path", folder / "merged", "--seed", seed, *flags)
    return train(folder / name, *R1_TRL, "grpo", "--config", RECIPE / "grpo.yaml", *flags)


def compare(ours: Path, theirs: Path) -> dict:
    """How far the two runs of one recipe are apart: in what each step sampled, and in the weights at the end."""
    logs = [steps(folder) for folder in (ours, theirs)]
    sampled = ("completions/mean_length", "rewards/accuracy_reward/mean", "rewards/format_reward/mean")
    weights = [load_file(folder / "adapter_model.safetensors") for folder in (ours, theirs)]
    whole = [index for index, entry in enumerate(logs[0]) if index and not entry["skipped_completions"]]
    own, trl = (sum(log[index]["step_time"] for index in whole) for log in logs)
    return {
        "same_lengths_and_rewards_at_each_step": all(
            abs(a[key] - b[key]) < 1e-6 for a, b in zip(*logs, strict=True) for key in sampled
        ),
        "largest_difference_of_a_weight": max(float((weights[0][k] - weights[1][k]).abs().max()) for k in weights[0]),
        "ratio_of_steps_that_skip_nothing": round(trl / own, 2),
        "steps_that_skip_nothing": len(whole),
    }


def measure_seed(folder: Path, seed: int, data: Path) -> dict:
    """Cold start and GRPO with LoRA; for the first seed, right behind them, the same by `trl grpo`."""
    cold_start, merged = folder / "cold_start", folder / "merged"
    sft = (*R1_TRL, "sft", "--config", RECIPE / "sft.yaml", "--dataset_name", data, "--output_dir", cold_start)
    found = {"cold_start": run(cold_start, *sft, "--seed", seed)}
    if not merged.is_dir():
        run(merged.with_name("merge"), *R1_TRL, "merge", "--model_name_or_path", cold_start, "--output_dir", merged)
    found["cold_start"]["evaluation"] = evaluate(merged, folder / "cold_start_evaluation")
    found["grpo"] = grpo(folder, "grpo", seed)
    if seed == SEEDS[0]:
        recipe = write_trl_recipe(folder / "trl", merged)
        found["trl_grpo"] = train(folder / "trl_grpo", *TRL, "grpo", "--config", recipe)
        found["trl_grpo"] |= compare(folder / "grpo", folder / "trl_grpo")
    return found


def measure_qlora(folder: Path) -> dict:
    """The same GRPO on the cold start in 4 bits, and what that cold start can do, which is less than in float32."""
    four_bits = ("--load_in_4bit", "true")
    start = evaluate(folder / "merged", folder / "cold_start_qlora_evaluation", *four_bits)
    return {"start": start, **grpo(folder, "grpo_qlora", 0, *four_bits)}


def minutes(result: dict) -> float:
    """Of cold start, its evaluation, GRPO and its evaluation."""
    parts = [result[name] for name in ("cold_start", "grpo")]
    return sum(part["seconds"] + part["evaluation"]["seconds"] for part in parts) / 60


def interval(evaluation: dict) -> str:
    low, high = evaluation["pass@1_ci95"]
    return f"{evaluation['pass@1']:.3f} ({low:.3f} to {high:.3f})"


def learning_table(results: dict) -> str:
    """The first table of the README: pass@1 with its 95% interval, and what else changed."""
    rows = ["| | cold start | after GRPO |", "|---|---|---|"]
    runs = [
        (f"LoRA, seed {seed}", result["cold_start"]["evaluation"], result["grpo"]["evaluation"])
        for seed, result in results["seeds"].items()
    ]
    qlora = results["seeds"]["0"]["grpo_qlora"]
    for name, *pair in [*runs, ("QLoRA, seed 0", qlora["start"], qlora["evaluation"])]:
        rows.append(f"| {name}: pass@1 | {interval(pair[0])} | {interval(pair[1])} |")
        for metric, places in list(METRICS.items())[1:]:
            rows.append(f"| {metric} | {pair[0][metric]:.{places}f} | {pair[1][metric]:.{places}f} |")
    return "\n".join(rows)


def trl_table(results: dict) -> str:
    """The second table of the README: one recipe, one machine, one after the other."""
    ours, theirs = (results["seeds"]["0"][name] for name in ("grpo", "trl_grpo"))
    rows = ["| | `trl grpo` | `r1-trl grpo` | ratio |", "|---|---|---|---|"]
    for name, key, unit in (("seconds a step", "seconds_per_step", "s"), ("peak memory", "peak_memory_mb", "MB")):
        rows.append(f"| {name} | {theirs[key]} {unit} | {ours[key]} {unit} | {theirs[key] / ours[key]:.2f} × |")
    final = [interval(part["evaluation"]) for part in (theirs, ours)]
    return "\n".join([*rows, f"| pass@1 afterwards | {final[0]} | {final[1]} | |"])


def write_answers(folder: Path, path: Path) -> None:
    """The first answers to the first held-out questions, before and after."""
    lines = []
    for stage in ("cold_start_evaluation", "grpo_evaluation"):
        samples = pd.read_parquet(folder / stage / "samples.parquet").head(SHOWN_ANSWERS // 2 * 4).iloc[::4]
        samples["prompt"] = samples["prompt"].map(lambda messages: messages[-1]["content"])
        lines += [json.dumps({"stage": stage} | row, default=str) for row in samples.to_dict("records")]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_curves(folder: Path, file: str, run_name: str) -> None:
    """The picture of a run of GRPO."""
    plot_curves(history(folder), RECIPE / file, f"SmolLM2-135M learns to work sums out, {run_name}", PANELS)


def write_evidence(folder: Path, seed: int, results: dict) -> None:
    """What is known so far, the curves of a seed, and answers of the first."""
    write_json(RECIPE / "results.json", results)
    write_curves(folder / "grpo", f"curves_seed_{seed}.png", f"seed {seed}")
    if seed == SEEDS[0]:
        write_answers(folder, RECIPE / "answers.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path("runs/measure_smollm2"))
    folder = parser.parse_args().output_dir
    os.environ.setdefault("WANDB_MODE", "offline")
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))  # `trl grpo` has 1 otherwise
    data = folder / "cold_start.jsonl"
    subprocess.run([sys.executable, str(RECIPE / "fetch_model.py")], check=True)
    subprocess.run([sys.executable, str(RECIPE / "make_cold_start.py"), "--output", str(data)], check=True)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, no GPU"
    results = {"command": "make measure-smollm2", "machine": machine, "seeds": {}}
    for seed in SEEDS:
        results["seeds"][str(seed)] = measure_seed(folder / f"seed_{seed}", seed, data)
        write_evidence(folder / f"seed_{seed}", seed, results)
    results["seeds"]["0"]["grpo_qlora"] = measure_qlora(folder / "seed_0")
    write_json(RECIPE / "results.json", results)
    write_curves(folder / "seed_0" / "grpo_qlora", "curves_qlora.png", "QLoRA, seed 0")
    print(f"{learning_table(results)}\n\n{trl_table(results)}")


if __name__ == "__main__":
    main()
