"""`r1-trl evaluate --benchmark`: the paper's set-up by default, local copies, and refusals before a model loads."""

import json

import pandas as pd
import pytest

from r1_trl.errors import InputError
from r1_trl.stages import evaluate
from tests.sampling.misbehaving_server import MisbehavingServer
from tests.tasks.benchmark_copies import code_question, lines, write_copies


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    return {name: str(path) for name, path in write_copies(tmp_path_factory.mktemp("copies")).items()}


def answer_of(number, body):
    """One of two sums is right, every option is B, and a program doubles."""
    asked = str(body)
    if "Python program" in asked:
        return "<think> so </think> ```python\nprint(2 * int(input()))\n```"
    if "multiple choice" in asked:
        return "<think> so </think> It is this one.\n\nAnswer: B"
    return "<think> so </think> So it is $\\boxed{x^2+1+2x}$."


def run(tmp_path, *flags, behave=answer_of):
    with MisbehavingServer(behave) as server:
        served = ["--sampling_backend", "openai", "--served_model_name", "m", "--base_url", server.url]
        evaluate.main([*served, "--output_dir", str(tmp_path / "run"), *flags])
    return json.loads((tmp_path / "run" / "stage.json").read_text()), pd.read_parquet(tmp_path / "run/samples.parquet")


@pytest.mark.parametrize(
    ("name", "k", "questions"),
    [("aime_2025", 64, 1), ("math_500", 16, 2), ("gpqa_diamond", 64, 4), ("livecodebench", 8, 2)],
)
def test_a_copy_with_the_papers_k(tmp_path, copies, name, k, questions):
    record, table = run(tmp_path, "--benchmark", name, "--dataset_name", copies[name], "--num_questions", "4")
    assert len(table) == k * questions
    assert (record["metrics"]["num_generations"], record["metrics"]["questions"]) == (k, questions)
    assert record["arguments"]["benchmark"] == name
    assert record["inputs"]["questions"]["name"] == copies[name]
    assert record["metrics"]["by_source"].keys() == {name}
    expected = {"aime_2025": 0.0, "math_500": 0.5, "livecodebench": 0.5}
    if name in expected:
        assert record["metrics"]["pass@1"] == expected[name]
    else:
        golds = table.drop_duplicates("question")["solution"]
        assert record["metrics"]["pass@1"] == pytest.approx((golds == "B").mean(), abs=1e-4)


def test_by_difficulty_and_what_is_printed(tmp_path, copies, capsys):
    flags = ["--benchmark", "math_500", "--dataset_name", copies["math_500"], "--num_generations", "2"]
    record, _ = run(tmp_path, *flags)
    assert {level: part["pass@1"] for level, part in record["metrics"]["by_difficulty"].items()} == {
        "1": 0.0,
        "2": 1.0,
    }
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in printed if line.startswith("  ")][1:] == [
        ["1", "1", "0.000"],
        ["2", "1", "1.000"],
    ]


def test_flags_override_and_the_cost_is_recorded(tmp_path, copies):
    flags = ["--benchmark", "math_500", "--dataset_name", copies["math_500"], "--num_generations", "3"]
    record, table = run(tmp_path, *flags, "--num_questions", "1", "--prompt_format", "r1_zero", "--gpu_hour_usd", "2")
    assert len(table) == 3
    assert table["prompt"][0].startswith("A conversation between User and Assistant.")
    assert record["cost"]["tokens_generated"] == table["num_tokens"].sum()
    assert record["cost"]["usd"] == pytest.approx(2 * record["cost"]["device_hours"], abs=1e-5)


def test_long_tests_are_not_repeated_in_the_table(tmp_path):
    tests = json.dumps([{"input": "1" * 20_000, "output": "2" * 20_000}])
    rows = [code_question(private_test_cases=tests), code_question(question_content="Twice?")]
    lines(tmp_path / "test.jsonl", rows)
    flags = ["--benchmark", "livecodebench", "--dataset_name", str(tmp_path / "test.jsonl"), "--num_generations", "1"]
    _, table = run(tmp_path, *flags, behave=lambda number, body: "```python\nprint(int(input()) * 2)\n```")
    assert table["verifier_args"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--benchmark", "math500"], r"`benchmark: math500` is none of .*did you mean `math_500`"),
        (["--benchmark", "math_500", "--test_split_size", "0.1"], r"`test_split_size` does not go with"),
        (["--benchmark", "math_500", "--dataset_streaming", "true"], r"`dataset_streaming` does not go with"),
        (["--benchmark", "math_500", "--streaming", "true"], r"`streaming` does not go with"),
        (["--benchmark", "math_500", "--dataset_config", "main"], r"`dataset_config` says what to read of a copy"),
        (["--benchmark", "math_500", "--dataset_test_split", "x"], r"`dataset_test_split` says what to read"),
        (["--benchmark", "math_500", "--config", "{mixture}"], r"`benchmark: math_500` and `datasets` are both named"),
        (["--benchmark", "math_500", "--dataset_name", "nowhere.jsonl"], r"nowhere\.jsonl`: no such file"),
        (["--benchmark", "math_500", "--dataset_name", "miniature:questions"], r"needs the column `problem`"),
        (["--benchmark", "math_500"], r"`HuggingFaceH4/MATH-500` cannot be loaded from the Hub: .*`dataset_name`"),
        (["--report_to", "wandbb"], r"`report_to: wandbb` must be none or wandb"),
    ],
)
def test_refused_before_a_model_loads(tmp_path, monkeypatch, flags, message):
    monkeypatch.setattr(evaluate, "sample_questions", None)
    (tmp_path / "mixture.yaml").write_text("datasets: [{path: rows.jsonl}]")
    flags = [flag.format(mixture=tmp_path / "mixture.yaml") for flag in flags]
    with pytest.raises(InputError, match=message):
        evaluate.main(["--model_name_or_path", "miniature:base", "--output_dir", str(tmp_path / "run"), *flags])
    assert not (tmp_path / "run").exists()


def test_reasoning_gym_and_rows_with_a_difficulty(tmp_path):
    (tmp_path / "sums.yaml").write_text("datasets: [{path: 'reasoning_gym:chain_sum', split: test, size: 2}]")
    record, _ = run(tmp_path, "--config", str(tmp_path / "sums.yaml"), "--num_generations", "2")
    assert (record["metrics"]["questions"], record["metrics"]["num_generations"]) == (2, 2)
    assert list(record["metrics"]["by_source"]) == ["reasoning_gym:chain_sum"]
    rows = [{"prompt": f"{n} + 1", "solution": str(n + 1), "difficulty": n} for n in (10, 9)]
    lines(tmp_path / "rows.jsonl", rows)
    record, _ = run(tmp_path, "--dataset_name", str(tmp_path / "rows.jsonl"), "--num_generations", "1")
    assert list(record["metrics"]["by_difficulty"]) == ["9", "10"]


def test_a_tracker_that_fails_costs_no_result(tmp_path, copies, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise RuntimeError("W&B is down")

    monkeypatch.setattr(evaluate, "log_evaluation", fail)
    with pytest.raises(RuntimeError, match="W&B is down"):
        run(tmp_path, "--benchmark", "math_500", "--dataset_name", copies["math_500"], "--num_generations", "1")
    assert "95% interval" in capsys.readouterr().out
    assert {"stage.json", "samples.parquet", "samples.jsonl"} <= {path.name for path in (tmp_path / "run").iterdir()}


@pytest.mark.parametrize(("flag", "count"), [("true", 1), ("false", 0)])
def test_the_model_is_an_input_of_the_run(tmp_path, copies, monkeypatch, base_path, flag, count):
    told = []
    monkeypatch.setattr(evaluate, "log_evaluation", lambda *args, inputs: told.extend(inputs))
    flags = ["--benchmark", "math_500", "--dataset_name", copies["math_500"], "--num_generations", "1"]
    run(tmp_path, *flags, "--model_name_or_path", str(base_path), "--log_artifacts", flag)
    assert told == [str(base_path)] * count


def test_an_evaluation_in_wandb(tmp_path, copies, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    flags = ["--benchmark", "math_500", "--dataset_name", copies["math_500"], "--num_generations", "1"]
    run(tmp_path, *flags, "--report_to", "wandb")
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
