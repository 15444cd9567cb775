"""Reads a W&B run from disk: records of protobuf in LevelDB's log format, behind a header of seven bytes."""

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER = 32768, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path):
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    position, parts = HEADER, []
    while position + HEADER <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER:  # the rest of a block that is too small for a header is padding
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + HEADER])
        if kind not in (FULL, FIRST, MIDDLE, LAST):
            return
        parts.append(data[position + HEADER : position + HEADER + length])
        position += HEADER + length
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


@dataclass
class OfflineRun:
    """What one offline run has kept: all values are decoded."""

    folder: Path
    run: Any = None  # the record of its start: `job_type`, `run_group`, `run_id`, `display_name`
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    artifacts: list[Any] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)  # definitions by name

    def table(self, key):
        """The rows of a table, step after step, each as a dictionary."""
        paths = dict.fromkeys(row[f"{key}/path"] for row in self.history if f"{key}/path" in row)
        tables = [json.loads((self.folder / "files" / path).read_text()) for path in paths]
        return [dict(zip(table["columns"], row, strict=True)) for table in tables for row in table["data"]]

    def artifacts_of(self, kind):
        return [(artifact.name, artifact.use_after_commit) for artifact in self.artifacts if artifact.type == kind]


def read_offline(folder):
    """The one offline run below a stage's folder."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    found = OfflineRun(path.parent)
    for record in records(path):
        kind = record.WhichOneof("record_type")
        for update in (*record.config.update, *record.run.config.update):
            found.config[name_of(update)] = json.loads(update.value_json)
        if kind == "history":
            found.history.append({name_of(item): json.loads(item.value_json) for item in record.history.item})
        elif kind == "summary":
            found.summary.update({name_of(item): json.loads(item.value_json) for item in record.summary.update})
        elif kind == "artifact":
            found.artifacts.append(record.artifact)
        elif kind == "metric":
            found.metrics[record.metric.name or record.metric.glob_name] = record.metric
        elif kind == "run":
            found.run = record.run
    return found


def name_of(item):
    return item.key or "/".join(item.nested_key)
