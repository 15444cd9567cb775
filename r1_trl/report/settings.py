"""The exact configuration of a stage as text, and where the configurations of runs differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from r1_trl.redaction import mask_secrets
from r1_trl.report.road import recorded
from r1_trl.tracking.run_folder import StageFolder, read_json

# They name the place of a run and say nothing of it.
_PLACES = {"output_dir", "logging_dir", "run_name"}


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as YAML, without secrets.

    >>> settings_text({"learning_rate": 1e-6, "hub_token": "<HUB_TOKEN>"}).splitlines()[0]
    'learning_rate: 1.0e-06'
    """
    plain = json.loads(json.dumps(mask_secrets(settings), default=str))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)


def recorded_settings(stage: StageFolder) -> dict[str, Any]:
    """What the recipe sets, as a pipeline recorded it; empty where there is no such record."""
    return dict(read_json(stage.path / "pipeline.json").get("inputs", {}).get("settings", {}))


def differences(stages: Sequence[StageFolder | None]) -> list[list[str]]:
    """The settings that differ.

    Args:
        stages (`Sequence[StageFolder | None]`): The same stage of several runs; `None` for a run without it.

    Returns:
        `list[list[str]]`: Name of a setting, and its value in each run; "not there" where a run lacks it. A row before
            them for the stage as a whole where a run has none, or has not recorded its settings yet.
    """
    found = [_flat(_without_place(stage)) if stage is not None else {} for stage in stages]
    if not any(stages):
        return []
    rows = []
    if not all(found):
        told = (
            "not there" if stage is None else "there" if its else "not recorded yet"
            for stage, its in zip(stages, found, strict=True)
        )
        rows.append(["the whole stage", *told])
    for name in dict.fromkeys(name for settings in found for name in settings):
        values = [_text(settings[name]) if name in settings else "not there" if settings else "" for settings in found]
        if len({value for value, settings in zip(values, found, strict=True) if settings}) > 1:
            rows.append([name, *values])
    return rows


def merged_differences(pairs: Mapping[str, Mapping[str, StageFolder | None]]) -> list[list[str]]:
    """The settings that differ, over all stages: each setting, its value in each run, and the stages where it is so.

    Args:
        pairs (`Mapping[str, Mapping[str, StageFolder | None]]`): Name of a stage -> name of a run -> its folder.
    """
    where: dict[tuple[str, ...], list[str]] = {}
    for name, stages in pairs.items():
        for row in differences(list(stages.values())):
            where.setdefault(tuple(row), []).append(name)
    return [[*row, "all stages" if len(names) == len(pairs) > 1 else ", ".join(names)] for row, names in where.items()]


def _without_place(stage: StageFolder) -> dict[str, Any]:
    """Its settings, with the run's own folder as `{run}` in them."""
    arguments = mask_secrets(recorded(stage, "arguments"))
    folder = str(Path(str(arguments.get("output_dir", stage.path))).parent)
    return {name: _replace(value, folder) for name, value in arguments.items() if name not in _PLACES}


def _replace(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        inside = Path(value) != Path(folder) and Path(value).is_relative_to(folder) and folder != "."
        return f"{{run}}/{Path(value).relative_to(folder)}" if inside else value
    if isinstance(value, Mapping):
        return {name: _replace(item, folder) for name, item in value.items()}
    return [_replace(item, folder) for item in value] if isinstance(value, list) else value


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            flat |= _flat({str(place): item for place, item in enumerate(value)}, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
