"""`stage.json`: what a stage was given, what came out, with which versions and in what time."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, IterableDataset

from r1_trl import __version__
from r1_trl.files import write_json
from r1_trl.redaction import mask_secrets
from r1_trl.tracking.cost import rounded
from r1_trl.tracking.run_folder import read_json

LIBRARIES = ("trl", "transformers", "peft", "accelerate", "datasets", "torch", "bitsandbytes", "math-verify")

MODEL_FILES = ("*config.json", "*.safetensors", "*model*.bin")
TOKENIZER_FILES = ("tokenizer*", "*.jinja", "*.model", "vocab*", "merges.txt", "*_tokens*.json", "chat_template.json")


def hash_rows(dataset: Dataset | IterableDataset) -> str | None:
    """SHA-256 of all rows in their order; `None` for a stream, which is not read twice.

    >>> rows = Dataset.from_list([{"prompt": "1 + 1"}])
    >>> hash_rows(rows)[:8]
    '9e0e461e'
    """
    if isinstance(dataset, IterableDataset):
        return None
    digest = hashlib.sha256()
    for row in dataset:
        digest.update(json.dumps(row, sort_keys=True, default=str).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def hash_model(path: str) -> str | None:
    """SHA-256 of a local model's configuration, weights, tokenizer and chat template; `None` for a Hub id.

    A Hub id is pinned by its revision. Of an adapter, the base is not in it.

    >>> hash_model("Qwen/Qwen2.5-7B") is None
    True
    """
    folder = Path(path)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    found = {file for pattern in (*MODEL_FILES, *TOKENIZER_FILES) for file in folder.glob(pattern) if file.is_file()}
    for file in sorted(found):
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            for block in iter(lambda: opened.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def write_stage_record(
    output_dir: str,
    stage: str,
    arguments: Mapping[str, Any],
    inputs: Mapping[str, Any],
    metrics: Mapping[str, Any],
    wall_seconds: float,
    cost: Mapping[str, Any] | None = None,
) -> None:
    """Writes `stage.json` into the stage's folder.

    Args:
        output_dir (`str`): The stage's folder.
        stage (`str`): Name of the command.
        arguments (`Mapping`): Every setting of the run; secrets are masked.
        inputs (`Mapping`): Names and hashes of the model and the datasets.
        metrics (`Mapping`): What the stage measured.
        wall_seconds (`float`): From the start of the command to the end of its work.
        cost (`Mapping`, *optional*): Of all starts, as [`~r1_trl.tracking.cost.stage_cost`] returns it.
    """
    record = {
        "stage": stage,
        "wall_seconds": round(wall_seconds, 1),
        **({} if cost is None else {"cost": rounded(cost)}),
        "metrics": dict(metrics),
        "inputs": dict(inputs),
        "seed": arguments.get("seed"),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu, {os.cpu_count()} cores",
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "versions": {
            "python": platform.python_version(),
            "r1-trl": __version__,
            **{name: version(name) for name in LIBRARIES},
        },
        "arguments": mask_secrets(arguments),
    }
    write_json(Path(output_dir) / "stage.json", record)


def read_stage_record(folder: Path) -> dict[str, Any]:
    """The content of a folder's `stage.json`; empty where there is none.

    Raises:
        InputError: It is no JSON.

    >>> read_stage_record(Path("nowhere"))
    {}
    """
    return read_json(folder / "stage.json")
