"""`r1-trl verify`: what it prints, and how it exits."""

from __future__ import annotations

import json

import pytest
from datasets import IterableDataset

from r1_trl import cli
from r1_trl.stages.verify import VerifyConfig, verify_golds
from r1_trl.tasks.reasoning_gym import reasoning_gym_rows

ROWS = [
    {"solution": "4", "verifier": "math", "source": "gsm8k"},
    {"solution": "B", "verifier": None, "source": "gsm8k"},
    {"solution": "B", "verifier": "choice", "source": "gpqa"},
    {"solution": "wrong", "verifier": "tests.verifiers.misbehaving.verify", "source": None},
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_every_gold_is_right(tmp_path, capsys):
    path = write(tmp_path / "rows.jsonl", [row for row in ROWS if row["solution"] == "4"])
    assert cli.main(["verify", "--dataset", path]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["gsm8k", "math", "1", "0", "0", "0"]


def test_golds_that_fail_are_shown_and_exit_with_1(tmp_path, capsys):
    path = write(tmp_path / "rows.jsonl", ROWS)
    with pytest.raises(SystemExit) as end:
        cli.main(["verify", "--dataset_name", path])
    assert end.value.code == 1
    out = capsys.readouterr().out
    table = [line.split() for line in out.splitlines()[:5]]
    assert table == [
        ["source", "verifier", "right", "wrong", "None", "no", "gold"],
        [path, "tests.verifiers.misbehaving.verify", "0", "1", "0", "0"],
        ["gpqa", "choice", "1", "0", "0", "0"],
        ["gsm8k", "math", "1", "0", "1", "0"],
        [],
    ]
    assert "gsm8k, math, None:\n  row 1: 'B': the solution cannot be graded" in out
    assert "  row 3: 'wrong': wrong" in out


def test_questions_without_a_gold_do_not_fail():
    rows = reasoning_gym_rows("rush_hour", 1, min_moves=1, max_moves=1)
    rows.append({**rows[0], "verifier_args": "{}"})  # the second row says nothing of its question
    found = verify_golds(rows, VerifyConfig(dataset_name="puzzles"))
    assert found.counts == {("puzzles", "reasoning_gym"): {"no gold": 1, "None": 1}}


def test_limit_and_stream():
    rows = IterableDataset.from_generator(lambda: ({"solution": str(i)} for i in range(10**9)))
    found = verify_golds(rows, VerifyConfig(dataset_name="stream", limit=300))
    assert found.counts == {("stream", "math"): {"right": 300}}
    assert found.passed


def test_a_few_examples_of_each_kind():
    found = verify_golds([{"solution": "B"}] * 10, VerifyConfig(dataset_name="letters"))
    assert [failure.row for failure in found.failures["letters", "math", "None"]] == [0, 1, 2]
    assert not found.passed


def test_no_row_proves_nothing(tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("solution\n")
    assert cli.main(["verify", "--dataset", str(tmp_path / "rows.csv")]) == 2
    assert "no data" in capsys.readouterr().err
