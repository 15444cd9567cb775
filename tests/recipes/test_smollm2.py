"""The cold start of SmolLM2: its sums are right, and no held-out question is among them."""

import json
import sys

from r1_trl.completion import parse_completion
from r1_trl.tasks.generated import load_generated
from tests.recipes.folders import ROOT, settings
from tests.scripts import load_script

RECIPE = ROOT / "smollm2_135m_cpu"


def test_rows_of_the_cold_start(tmp_path, monkeypatch, capsys):
    path = tmp_path / "rows.jsonl"
    monkeypatch.setattr(sys, "argv", ["make_cold_start.py", "--output", str(path)])
    load_script(RECIPE / "make_cold_start.py").main()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert f"{len(rows)} rows" in capsys.readouterr().out
    for row in rows:
        parsed = parse_completion(row["completion"][0]["content"])
        lines = [line.split(" = ") for line in parsed.reasoning.splitlines() if " = " in line]
        assert all(sum(map(int, left.split(" + "))) == int(right) for left, right in lines)
        assert (len(lines) == 2) == (row["kind"] == "worked")
        assert parsed.reasoning.rstrip(".").endswith(f" {parsed.answer}")
    assert 0.35 < sum(row["kind"] == "worked" for row in rows) / len(rows) < 0.45


def test_no_held_out_question_is_trained_on(tmp_path, monkeypatch):
    [trained] = settings(RECIPE / "grpo.yaml")["datasets"]
    [asked] = settings(RECIPE / "evaluate.yaml")["datasets"]
    cold_start = load_script(RECIPE / "make_cold_start.py")
    seeds = [trained["reasoning_gym"], {**trained["reasoning_gym"], "seed": cold_start.SEED, "size": 768}]
    seen = {question(row) for options in seeds for row in load_generated(trained["path"], "train", options)}
    held_out = {question(row) for row in load_generated(asked["path"], asked["split"], asked["reasoning_gym"])}
    assert len(held_out) == 256
    assert not seen & held_out


def question(row):
    return row["prompt"][-1]["content"]
