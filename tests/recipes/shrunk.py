"""A recipe with the miniature in the place of its models, embedded data in that of the Hub's, and a few steps a stage.

What stays is the recipe's own: its stages, what each takes from which, adapters, rewards by row, splits and filters.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from r1_trl.tasks.sources import load_split
from tests.recipes.folders import settings

TRAINING = {
    "max_steps": 3,
    "save_steps": 2,
    "logging_steps": 1,
    "report_to": "none",
    "bf16": False,
    "activation_checkpointing": False,
    "dataloader_pin_memory": False,
}
REQUESTS = {"helpful": "helpful_pairs", "safety": "safety_labels", "general_data": "questions"}  # by file
LENGTHS = {"max_completion_length": 40, "max_length": 128}
ROWS = 24


def shrink(folder: Path, out: Path) -> Path:
    """Writes the shrunk recipe; returns its pipeline file."""
    for split, rows in (("train", 400), ("test", 40)):
        load_split("miniature:questions", split).select(range(rows)).to_json(out / f"{split}.jsonl")
    for path in folder.glob("*.yaml"):
        content = settings(path) | {"output_dir": str(out / "run")}
        if path.stem != "pipeline":
            content = _shrink_stage(path.stem, content, out)
        (out / path.name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return out / "pipeline.yaml"


def _shrink_stage(stage: str, content: dict[str, Any], out: Path) -> dict[str, Any]:
    for key, split in (("datasets", "test" if stage == "evaluate" else "train"), ("evaluation_datasets", "test")):
        if key in content:
            content[key] = [_shrink_source(stage, entry, out / f"{split}.jsonl") for entry in content[key]]
    if stage == "questions":
        return content
    if not content["model_name_or_path"].startswith("runs/"):
        content["model_name_or_path"] = "miniature:base"
    # The miniature answers in R1-Zero's form.
    content = json.loads(json.dumps(content).replace("think_only_format_reward", "format_reward"))
    content |= {"use_cpu": True} | ({"answer_tags": True} if "answer_tags" in content else {})
    content |= {key: value for key, value in LENGTHS.items() if key in content}
    content |= {"sampling_backend": "transformers"} if "sampling_backend" in content else {}
    if "gradient_accumulation_steps" in content:
        content |= TRAINING | ({"eval_steps": 2, "test_split_size": 0.05} if "eval_strategy" in content else {})
    if "reward_windows" in content:
        content |= {"mixture_size": 60, "ref_model_sync_steps": 2}
        content["reward_windows"] = {reward: {"last_steps": 2} for reward in content["reward_windows"]}
    return content


def _shrink_source(stage: str, entry: dict[str, Any], questions: Path) -> dict[str, Any]:
    kept = {key: entry[key] for key in ("source", "weight", "reward_funcs") if key in entry}
    if "{" in entry["path"]:
        return {"path": entry["path"], **kept} | ({"size": ROWS} if "size" in entry else {})
    if "ultrafeedback" in entry["path"] or "BeaverTails" in entry["path"]:
        scenario = "requests" if "ultrafeedback" in entry["path"] else "harmful_requests"
        name = REQUESTS.get(stage, scenario)
        return {"path": f"miniature:{name}", **kept} | ({} if name == scenario else {"size": 2 * ROWS})
    return {"path": str(questions), **kept, **({"size": 8} if stage == "evaluate" else {})}
