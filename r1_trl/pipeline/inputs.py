"""What decides the result of a stage: its command and settings, the files that they name, and the stages before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from r1_trl.pipeline.definition import Stage
from r1_trl.redaction import mask_secrets
from r1_trl.stages.arguments import read_yaml

_NAMES_OF_DATA = ("model_name_or_path", "dataset_name", "path")
_SHOWN = 3  # changes in one message
_LONGEST = 40  # characters of a value in a message


def stage_inputs(stage: Stage, runs: Mapping[str, str]) -> dict[str, Any]:
    """Everything that a stage's result depends on, as plain JSON. The version of r1-trl and `env` are no part of it.

    Args:
        stage ([`Stage`]): The stage.
        runs (`Mapping[str, str]`): The ids of the runs of the stages that it needs.

    Returns:
        `dict`: `command`, `settings`, `files` (path -> SHA-256), `accelerate_config` and `stages`.
    """
    launch = None if stage.accelerate_config is None else read_yaml(str(stage.accelerate_config))
    settings = mask_secrets({key: value for key, value in stage.settings.items() if key != "env"})
    inputs = {
        "command": stage.command,
        "settings": settings,
        "files": {name: hash_path(Path(name)) for name in sorted(set(_local_paths(settings)))},
        "accelerate_config": mask_secrets(launch or {}),
        "stages": {name: runs.get(name) for name in stage.needs},
    }
    plain: dict[str, Any] = json.loads(json.dumps(inputs, default=str))
    return plain


def hash_path(path: Path) -> str:
    """SHA-256 of a file's content; of a folder, of its files' names, sizes and times.

    >>> hash_path(Path(__file__)) == hash_path(Path(__file__))
    True
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            stat = file.stat()
            digest.update(f"{file.relative_to(path)}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
        return digest.hexdigest()
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def describe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two inputs of a stage, in words; empty when nothing does.

    >>> old = {"command": "sft", "settings": {"lr": 1, "seed": 0}, "files": {}, "accelerate_config": {}, "stages": {}}
    >>> describe_changes(old, {**old, "settings": {"lr": 2, "seed": 0}})
    '`lr` 1 → 2'
    >>> describe_changes(old, old)
    ''
    """
    changes = [] if before["command"] == now["command"] else [f"command {before['command']} → {now['command']}"]
    for part, prefix in (("settings", ""), ("accelerate_config", "accelerate's ")):
        for key in sorted(before[part].keys() | now[part].keys()):
            old, new = (_short(side[part], key) for side in (before, now))
            if before[part].get(key, ...) != now[part].get(key, ...):
                changes.append(f"{prefix}`{key}` {old} → {new}")
    # A file that is there on one side alone was named or made since then, or has been cleared away: no edit.
    for name in sorted(before["files"].keys() & now["files"].keys()):
        if before["files"][name] != now["files"][name]:
            changes.append(f"`{name}` has changed")
    for name, run in now["stages"].items():
        if before["stages"].get(name, run) != run:
            changes.append(f"`{name}` ran again")
    more = f", and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return ", ".join(changes[:_SHOWN]) + more


def _local_paths(settings: Any, key: str = "") -> Iterator[str]:
    """Files among the values, and folders where a value can be nothing else than a path."""
    if isinstance(settings, Mapping):
        for name, value in settings.items():
            yield from _local_paths(value, str(name))
    elif isinstance(settings, list):
        for value in settings:
            yield from _local_paths(value, key)
    elif isinstance(settings, str) and 0 < len(settings) < 1024:
        path = Path(settings).expanduser()
        if path.is_file() or (path.is_dir() and ("/" in settings or key in _NAMES_OF_DATA)):
            yield str(path)


def _short(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return "(not set)"
    text = str(settings[key])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
