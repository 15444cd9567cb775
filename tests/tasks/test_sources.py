"""Rows come from the embedded task, from files and from folders with the layout of a Hub dataset."""

import json

import pandas as pd
import pytest

from r1_trl.errors import InputError
from r1_trl.tasks.sources import load_split, require_columns

ROWS = [{"prompt": "1 + 1", "solution": "2"}, {"prompt": "2 + 2", "solution": "4"}]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hub").mkdir()
    lines = "\n".join(map(json.dumps, ROWS))
    (tmp_path / "rows.jsonl").write_text(lines)
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "hub" / "train.jsonl").write_text(lines)
    (tmp_path / "hub" / "test.jsonl").write_text(json.dumps(ROWS[0]))
    frame = pd.DataFrame(ROWS)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    return tmp_path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.parquet", "hub"])
@pytest.mark.parametrize("streaming", [False, True])
def test_files_and_folders(folder, name, streaming):
    rows = load_split(str(folder / name), "train", streaming=streaming)
    assert [str(row["prompt"]) for row in rows] == ["1 + 1", "2 + 2"]


def test_splits_of_a_folder(folder):
    assert len(load_split(str(folder / "hub"), "test")) == 1
    assert len(load_split(str(folder / "hub"), "train[:1]")) == 1
    with pytest.raises(InputError, match=r"no split `validation`: it has train, test"):
        load_split(str(folder / "hub"), "validation")


def test_missing_column_is_named(folder):
    rows = load_split(str(folder / "rows.jsonl"))
    require_columns(rows, ["prompt", "solution"], "rows.jsonl", "grpo")
    with pytest.raises(InputError, match=r"no column `gold`, which grpo needs: it has `prompt`, `solution`"):
        require_columns(rows, ["gold"], "rows.jsonl", "grpo")
