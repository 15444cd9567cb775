"""Settings of the whole suite: no network, no tracking unless a test asks for it, the miniature as the tiny model."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "disabled")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from datasets import Dataset

from r1_trl.miniature import resolve_model_path
from r1_trl.tasks.arithmetic import question_rows


@pytest.fixture(scope="session")
def base_path() -> str:
    """Folder of the embedded base model."""
    return resolve_model_path("miniature:base")


@pytest.fixture(scope="session")
def questions() -> Dataset:
    """64 training questions of the embedded task."""
    return Dataset.from_list(question_rows("train", 64))


@pytest.fixture
def cpu_args(tmp_path):
    """Keyword arguments of a config for a short run on a CPU."""
    return {
        "output_dir": str(tmp_path / "run"),
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "dataloader_pin_memory": False,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 1,
        "max_completion_length": 48,
        "disable_tqdm": True,
    }
