"""`r1-trl quickstart`: the whole road in miniature, each stage by the command that a user would type.

Questions → cold-start SFT → evaluation → GRPO with R1's three rewards → evaluation → a report.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from r1_trl.files import write_json
from r1_trl.recipe_catalog import recipes_folder
from r1_trl.report.command import tell_report
from r1_trl.report.curves import plot_curves, read_log_history

# Tracked on this machine alone, and no bars but those of training and sampling.
ENVIRONMENT = {
    "WANDB_MODE": "offline",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}
SHOWN = ("pass@1", "cons@16", "mean_completion_tokens", "language_consistency", "well_formed")


class Stage(NamedTuple):
    """One command of the road."""

    name: str  # its folder below the output folder
    heading: str
    words: list[str]  # after `r1-trl`


def main(argv: list[str]) -> None:
    """Runs the miniature.

    Args:
        argv (`list[str]`): The words after `r1-trl quickstart`.

    Raises:
        SystemExit: A stage did not end well, with its code; its own message stands above.
    """
    parser = argparse.ArgumentParser(
        prog="r1-trl quickstart", description="Watch a model of a million weights learn to reason, on two cores."
    )
    parser.add_argument("--output_dir", type=Path, default=Path("runs/miniature"), help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="seed of both training stages (default: %(default)s)")
    args = parser.parse_args(argv)
    for name, value in {**ENVIRONMENT, "WANDB_RUN_GROUP": args.output_dir.name}.items():
        os.environ.setdefault(name, value)
    wall_seconds = {}
    stages = plan(args.output_dir, args.seed)
    for number, stage in enumerate(stages, start=1):
        print(f"\n[{number}/{len(stages)}] {stage.heading}\n$ r1-trl {' '.join(stage.words)}", flush=True)
        wall_seconds[stage.name] = run(stage)
    results = collect_results(args.output_dir, wall_seconds)
    write_json(args.output_dir / "results.json", results)
    plot_curves(read_log_history(args.output_dir / "grpo"), args.output_dir / "curves.png", "R1 in miniature")
    print(format_results(results, args.output_dir))
    print(format_example(args.output_dir))
    print(f"\n{tell_report(args.output_dir)}")


def plan(output_dir: Path, seed: int) -> list[Stage]:
    """The four commands.

    >>> [stage.name for stage in plan(Path("runs/miniature"), seed=0)]
    ['cold_start', 'cold_start_evaluation', 'grpo', 'grpo_evaluation']
    """
    recipe = recipes_folder() / "miniature_cpu"
    recipe = recipe.relative_to(Path.cwd()) if recipe.is_relative_to(Path.cwd()) else recipe

    def words(stage: str, config: str, *flags: str) -> list[str]:
        return [stage, "--config", str(recipe / config), *flags]

    def evaluation(of: str) -> Stage:
        flags = ("--model_name_or_path", str(output_dir / of), "--output_dir", str(output_dir / f"{of}_evaluation"))
        heading = f"What can it do now? 16 answers to each of 512 held-out questions ({of})"
        return Stage(f"{of}_evaluation", heading, words("evaluate", "evaluate.yaml", *flags))

    sft = words("sft", "sft.yaml", "--output_dir", str(output_dir / "cold_start"), "--seed", str(seed))
    grpo_flags = ("--model_name_or_path", str(output_dir / "cold_start"), "--output_dir", str(output_dir / "grpo"))
    return [
        Stage("cold_start", "Cold start: supervised fine-tuning on R1's format", sft),
        evaluation("cold_start"),
        Stage(
            "grpo",
            "GRPO with accuracy, format and language consistency rewards",
            words("grpo", "grpo.yaml", *grpo_flags, "--seed", str(seed)),
        ),
        evaluation("grpo"),
    ]


def run(stage: Stage) -> float:
    """Runs one stage in a process of its own.

    Returns:
        `float`: Wall seconds.

    Raises:
        SystemExit: It ended with another code than 0.
    """
    started = time.monotonic()
    code = subprocess.run([sys.executable, "-m", "r1_trl", *stage.words], check=False).returncode
    if code != 0:
        print(f"`r1-trl {' '.join(stage.words)}` ended with code {code}: see its message above", file=sys.stderr)
        raise SystemExit(code)
    return round(time.monotonic() - started, 1)


def collect_results(output_dir: Path, wall_seconds: dict[str, float]) -> dict[str, Any]:
    """The content of `results.json`.

    Args:
        output_dir (`Path`): With the folders of all four stages.
        wall_seconds (`dict[str, float]`): By stage.

    Returns:
        `dict`: `cold_start` and `grpo`, each with the metrics of its evaluation and the seconds of its training, and
        `wall_seconds` by stage with their total.
    """

    def part(name: str) -> dict[str, Any]:
        record = json.loads((output_dir / f"{name}_evaluation" / "stage.json").read_text(encoding="utf-8"))
        return {**record["metrics"], "wall_seconds": wall_seconds[name]}

    total = round(sum(wall_seconds.values()), 1)
    return {
        "cold_start": part("cold_start"),
        "grpo": part("grpo"),
        "wall_seconds": {**wall_seconds, "total": total},
    }


def format_example(output_dir: Path) -> str:
    """The first answer that was wrong after the cold start and is right after GRPO.

    Args:
        output_dir (`Path`): With the folders of both evaluations.
    """
    import pandas as pd

    before, after = (
        pd.read_parquet(output_dir / f"{part}_evaluation" / "samples.parquet") for part in ("cold_start", "grpo")
    )
    changed = int(((before["correct"] == 0.0) & (after["correct"] == 1.0)).argmax())
    return f"""
An answer that changed: {before["prompt"][changed][-1]["content"]}
  cold start  {before["completion"][changed]}
  GRPO        {after["completion"][changed]}"""


def format_results(results: dict[str, Any], output_dir: Path) -> str:
    """The table of what changed, and where to look further."""
    before, after = results["cold_start"], results["grpo"]
    rows = [f"{'':<26}{'cold start':>12}{'GRPO':>12}{'change':>10}"]
    for name in SHOWN:
        ratio = f"x {after[name] / before[name]:.2f}" if before[name] else ""
        rows.append(f"{name:<26}{before[name]:>12.3f}{after[name]:>12.3f}{ratio:>10}")
    for name, part in (("cold start", before), ("GRPO", after)):
        low, high = part["pass@1_ci95"]
        rows.append(f"pass@1 of {name}: 95% interval {low:.3f} to {high:.3f}, {part['questions']} held-out questions")
    table = "\n".join(f"  {row}" for row in rows)
    wandb = output_dir / "grpo" / "wandb"
    return f"""
What changed:
{table}

  {results["wall_seconds"]["total"]:.0f} seconds in all. Look at {output_dir}/curves.png, and at the answers in
  {output_dir}/grpo_evaluation/samples.parquet.
  Tracked to W&B offline: `wandb leet {wandb}/latest-run` shows the run in the terminal,
  `wandb sync {wandb}/offline-run-*` sends it to your account."""
