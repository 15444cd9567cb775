"""The cold start of SmolLM2: its sums are right, and no held-out question is among them."""

import json
import subprocess
import sys

import pytest

from r1_trl.completion import parse_completion
from r1_trl.tasks.generated import load_generated
from tests.recipes.folders import ROOT, settings

RECIPE = ROOT / "smollm2_135m_cpu"


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("cold_start") / "rows.jsonl"
    script = RECIPE / "make_cold_start.py"
    subprocess.run([sys.executable, str(script), "--output", str(path)], check=True)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_of_the_cold_start(rows):
    assert len(rows) == 768
    for row in rows:
        parsed = parse_completion(row["completion"][0]["content"])
        lines = [line.split(" = ") for line in parsed.reasoning.splitlines() if " = " in line]
        assert all(sum(map(int, left.split(" + "))) == int(right) for left, right in lines)
        assert (len(lines) == 2) == (row["kind"] == "worked")
        assert parsed.reasoning.rstrip(".").endswith(f" {parsed.answer}")
    assert 0.35 < sum(row["kind"] == "worked" for row in rows) / len(rows) < 0.45


def test_no_held_out_question_is_trained_on(rows):
    [trained] = settings(RECIPE / "grpo.yaml")["datasets"]
    [asked] = settings(RECIPE / "evaluate.yaml")["datasets"]
    seen = {question(row) for row in rows}
    seen |= {question(row) for row in load_generated(trained["path"], "train", trained["reasoning_gym"])}
    held_out = {question(row) for row in load_generated(asked["path"], asked["split"], asked["reasoning_gym"])}
    assert len(held_out) == 256
    assert not seen & held_out


def question(row):
    return row["prompt"][-1]["content"]
