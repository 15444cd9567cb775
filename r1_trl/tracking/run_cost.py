"""The cost of a whole run, stage by stage, from the folders that it left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from r1_trl.errors import InputError
from r1_trl.tracking.card_prices import find_card
from r1_trl.tracking.run_folder import Run, StageFolder, read_json

SAMPLING = ("grpo", "rejection-sample", "evaluate")
SAMPLING_CLOCK = "samples.run.json"  # beside the answers of a stage that samples
SUMMED = ("wall_seconds", "device_hours", "tokens_generated", "tokens_trained", "usd")


def run_cost(run: Run, gpu_hour_usd: float | None = None) -> dict[str, Any]:
    """What each stage took and all of them together.

    Args:
        run ([`~r1_trl.tracking.run_folder.Run`]): Finished or not.
        gpu_hour_usd (`float`, *optional*): In place of the prices that the stages recorded.

    Returns:
        `dict`: `stages`: one dictionary each, as [`stage_row`] makes it; `total`: sums of what is known, and the
            largest `peak_memory_gb`; `unknown`: for each of these, the stages that are not in it.
    """
    rows = [stage_row(stage, gpu_hour_usd) for stage in run.stages]
    total: dict[str, Any] = {}
    for name in (*SUMMED, "peak_memory_gb"):
        known = [row[name] for row in rows if row[name] is not None]
        total[name] = None if not known else max(known) if name == "peak_memory_gb" else sum(known)
    unknown = {name: [row["stage"] for row in rows if row[name] is None] for name in total}
    return {"run": str(run.path), "stages": rows, "total": total, "unknown": unknown}


def stage_row(stage: StageFolder, gpu_hour_usd: float | None = None) -> dict[str, Any]:
    """The ledger of a stage, as far as its folder has one.

    A stage that has not ended is read from its last log; one from before the ledger, from the rest of its record.

    Args:
        stage ([`~r1_trl.tracking.run_folder.StageFolder`]): Its folder.
        gpu_hour_usd (`float`, *optional*): In place of the price that it recorded.

    Returns:
        `dict`: `stage`, `command`, `finished`, and what [`~r1_trl.tracking.cost.stage_cost`] gives; `None` for what is
            not known.
    """
    record = stage.record
    ledger = record.get("cost") or {}
    if not isinstance(ledger, Mapping):
        raise InputError(f"{stage.path / 'stage.json'}: `cost` is no mapping. Take the file away, or mend it")
    cost = dict(ledger or _from_record(stage) or _from_logs(stage))
    row = {name: cost.get(name) for name in (*SUMMED, "peak_memory_gb", "device", "processes", "model_params")}
    row["gpu_hour_usd"] = cost.get("gpu_hour_usd") if gpu_hour_usd is None else gpu_hour_usd
    if gpu_hour_usd is not None and row["device_hours"] is not None:
        row["usd"] = row["device_hours"] * gpu_hour_usd
    return {"stage": stage.name, "command": stage.command, "finished": bool(record), **row}


def _from_record(stage: StageFolder) -> dict[str, Any]:
    """Of a `stage.json` without a ledger."""
    record = stage.record
    if "wall_seconds" not in record:
        return {}
    device, processes = str(record.get("device", "")).partition(",")[0], record.get("processes", 1)
    tokens = _last(stage.log_history, "num_tokens")
    card, hours = find_card(device), record["wall_seconds"] / 3600 * processes
    return {
        "wall_seconds": record["wall_seconds"],
        "device_hours": hours,
        "device": device,
        "processes": processes,
        "tokens_generated": None if stage.command in SAMPLING else 0,
        "tokens_trained": 0 if not stage.log_history else None if tokens is None else int(tokens),
        "gpu_hour_usd": card.usd if card else None,
        "usd": hours * card.usd if card else None,
    }


def _from_logs(stage: StageFolder) -> dict[str, Any]:
    """Of a stage that has not ended: a trainer's last log, or the seconds that sampling has taken."""
    logs = stage.log_history
    cost: dict[str, Any] = {name: _last(logs, f"cost/{name}") for name in (*SUMMED, "peak_memory_gb")}
    hours = _last(logs, "cost/wall_hours")
    seconds = read_json(stage.path / SAMPLING_CLOCK).get("seconds") if hours is None else hours * 3600
    return {**cost, "wall_seconds": seconds}


def _last(logs: Sequence[dict[str, Any]], name: str) -> Any:
    return next((log[name] for log in reversed(logs) if log.get(name) is not None), None)
