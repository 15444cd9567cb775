"""`r1-trl rejection-sample` from the questions to the rows: a model, servers, a judge; and bad input."""

from __future__ import annotations

import json
import sys

import pytest
from datasets import load_dataset
from transformers import PreTrainedModel

from r1_trl.errors import InputError
from r1_trl.stages.rejection_sampling import main
from tests.sampling.misbehaving_server import MisbehavingServer

SETTINGS = {
    "model_name_or_path": "miniature:base",
    "dataset_name": "miniature:questions",
    "num_questions": 12,
    "num_generations": 6,
    "temperature": 1.0,
    "top_p": 1.0,
    "max_completion_length": 40,
    "languages": ["en", "zh"],
    "max_per_question": 2,
    "use_cpu": True,
}
SERVED = {"model_name_or_path": None, "sampling_backend": "openai", "served_model_name": "m", "num_generations": 2}
GENERAL = [{"prompt": "Which city?", "solution": "a city in France"}, {"prompt": "Write.", "solution": None}]


def rejection_sample(folder, **settings):
    settings = {"output_dir": str(folder / "run"), **SETTINGS, **settings}
    config = folder / "rejection.yaml"
    config.write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))
    main(["--config", str(config)])
    return folder / "run"


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def general(tmp_path):
    (tmp_path / "general.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GENERAL))
    return str(tmp_path / "general.jsonl")


def test_from_questions_to_rows(tmp_path, capsys):
    run = rejection_sample(tmp_path)
    printed = capsys.readouterr().out
    rows, funnel = read(run / "sft.jsonl"), json.loads((run / "funnel.json").read_text())
    assert len(read(run / "samples.jsonl")) == funnel["sampled"] == 72
    assert len(rows) == funnel["kept"] == funnel["funnel"][-1]["left"] > 0
    assert funnel["sampled"] - sum(step["fell"] for step in funnel["funnel"]) == len(rows)
    assert f"{len(rows)} answers to {funnel['questions_kept']} of 12 questions" in printed
    assert "mixed_language" in printed
    verdicts = read(run / "verdicts.jsonl")
    kept = {(row["question"], row["sample"]) for row in verdicts if row["dropped_by"] is None}
    assert kept == {(row["question"], row["sample"]) for row in rows}
    assert all(verdict["verdict"] == 1.0 for verdict in verdicts if verdict["dropped_by"] is None)
    assert load_dataset("json", data_files=str(run / "sft.jsonl"), split="train").num_rows == len(rows)
    record = json.loads((run / "stage.json").read_text())
    assert record["stage"] == "rejection-sample"
    assert record["metrics"] == funnel


def test_other_filters_sample_nothing_again(tmp_path, monkeypatch):
    run = rejection_sample(tmp_path)
    before = (run / "samples.jsonl").read_bytes()
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", None)  # nothing may load
    first = len(read(run / "sft.jsonl"))
    rejection_sample(tmp_path, max_per_question=1, min_language_consistency=0.0)
    assert (run / "samples.jsonl").read_bytes() == before
    assert len(read(run / "sft.jsonl")) != first
    with pytest.raises(InputError, match=r"samples\.jsonl holds answers of another run: `seed` was `42`"):
        rejection_sample(tmp_path, seed=1)
    assert (run / "samples.jsonl").read_bytes() == before


def test_pass_rate_window(tmp_path):
    run = rejection_sample(tmp_path, min_pass_rate=0.3, max_pass_rate=0.7)
    rates = [row["pass_rate"] for row in read(run / "sft.jsonl")]
    assert rates
    assert all(0.3 <= rate <= 0.7 for rate in rates)


def judge(number, body):
    asked = body["messages"][0]["content"]
    return "Verdict: right" if "Paris" in asked else ("Verdict: wrong" if "poem" in asked else "Hard to say.")


def answers(number, body):
    """Paris, a poem or something else, by the seed."""
    return f"<think>let me think</think> <answer>{('Paris', 'a poem', 'else')[body['seed'] % 3]}</answer>"


def test_judge(tmp_path, general):
    with MisbehavingServer(answers) as server, MisbehavingServer(judge) as judging:
        settings = {**SERVED, "base_url": [server.url], "dataset_name": general, "num_generations": 12}
        settings |= {"judge_base_url": [judging.url], "judge_model": "j", "max_per_question": None}
        run = rejection_sample(tmp_path, **settings, deduplicate=False)
        funnel = json.loads((run / "funnel.json").read_text())
        assert sum(funnel["judge"].values()) == funnel["sampled"] == len(judging.requests) == 24
        rows = read(run / "sft.jsonl")
        assert len(rows) == funnel["judge"]["right"]
        assert all("Paris" in row["completion"][0]["content"] and row["verified"] for row in rows)
        assert {row["question"] for row in rows} == {0, 1}
        fell = {step["filter"]: step["fell"] for step in funnel["funnel"]}
        assert (fell["wrong"], fell["unverified"]) == (funnel["judge"]["wrong"], funnel["judge"]["ungraded"])
        assert fell["wrong"] > 0 < fell["unverified"]
        rejection_sample(tmp_path, **settings, keep_unverified=True, deduplicate=False)
        assert len(judging.requests) == 24  # nothing is asked twice
        assert len(read(run / "sft.jsonl")) == 24 - fell["wrong"]
        assert judging.requests[0]["temperature"] == 0.0


def test_answers_that_nobody_grades(tmp_path, general):
    with MisbehavingServer(answers) as server:
        settings = {**SERVED, "base_url": [server.url], "dataset_name": general}
        run = rejection_sample(tmp_path, **settings, keep_unverified=True)
        rows = read(run / "sft.jsonl")
        assert rows
        assert not any(row["verified"] for row in rows)
        assert {row["pass_rate"] for row in rows} == {None}
        assert {row["prompt"][0]["role"] for row in rows} == {"user"}


CASES = [
    ({"sampling_backend": "vlm"}, ["`sampling_backend: vlm`", "vllm"], "unknown backend"),
    ({"sampling_backend": "openai"}, ["`base_url` is missing"], "no server"),
    ({"sampling_backend": "vllm"}, ['pip install "r1-trl[vllm]"'], "no vLLM"),
    ({**SERVED, "base_url": ["http://localhost:1/v1"], "no_openai": True}, ['"r1-trl[openai]"'], "no client"),
    (
        {"judge_model": "j", "judge_base_url": ["http://localhost:1/v1"], "no_openai": True},
        ['"r1-trl[openai]"'],
        "judge",
    ),
    ({"max_pass_rate": 3}, ["rejection.yaml", "`max_pass_rate: 3`"], "a threshold"),
    ({"max_per_questions": 3}, ["rejection.yaml", "did you mean `max_per_question`"], "a key"),
    ({"dataset_name": "{general}"}, ["general.jsonl", "`keep_unverified: true`", "judge"], "nobody can grade"),
    ({"dataset_name": "./nowhere.jsonl"}, ["./nowhere.jsonl"], "no file"),
    ({"model_name_or_path": None}, ["`model_name_or_path` is missing"], "no model"),
    ({"languages": ["xx"]}, ["xx"], "an unknown language"),
]


@pytest.mark.parametrize(("changes", "words", "reason"), CASES, ids=[case[-1] for case in CASES])
def test_is_refused(tmp_path, general, monkeypatch, changes, words, reason):
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", None)  # nothing may load
    if changes.get("no_openai"):
        monkeypatch.setitem(sys.modules, "openai", None)  # as if it were not installed
    settings = {key: value for key, value in changes.items() if key != "no_openai"}
    if settings.get("dataset_name") == "{general}":
        settings["dataset_name"] = general
    with pytest.raises(InputError) as refused:
        rejection_sample(tmp_path, **settings)
    assert [word for word in words if word not in str(refused.value)] == [], reason
    assert not (tmp_path / "run").exists()
