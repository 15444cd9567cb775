"""Held-out pass@1 in real runs: from verdicts alone, exact over batches and processes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from r1_trl import R1GRPOConfig, R1GRPOTrainer, accuracy_reward, format_reward
from r1_trl.completion import completion_text
from r1_trl.grpo.metrics import quotients, sum_up
from r1_trl.tasks.arithmetic import question_rows
from r1_trl.tracking.summary import best_and_final
from tests.grpo.held_out import answers_by_question, held_out_rows

SCRIPT = Path(__file__).with_name("held_out_processes.py")


def zeros(completions, **kwargs):
    return [0.0] * len(completions)


def make_trainer(base_path, cpu_args, rewards, rows=None, **settings):
    args = {
        **cpu_args,
        "per_device_train_batch_size": 8,
        "per_device_eval_batch_size": 8,
        "num_generations": 4,
        "num_generations_eval": 4,
        "log_completions": True,
        "num_completions_to_print": 0,
        **settings,
    }
    return R1GRPOTrainer(
        base_path,
        rewards,
        R1GRPOConfig(**args),
        train_dataset=Dataset.from_list(question_rows("train", 16)),
        eval_dataset=Dataset.from_list(held_out_rows(5) if rows is None else rows),  # 20 completions: 8, 8 and 4
    )


def expected(table, verdict):
    by_question = answers_by_question(table, verdict)
    return {
        "eval_pass@1": np.mean([np.mean(answers) for answers in by_question]),
        "eval_pass@4": np.mean([max(answers) for answers in by_question]),
    }


@pytest.mark.parametrize(
    ("rewards", "settings"),
    [
        pytest.param([accuracy_reward, format_reward], {}, id="from the accuracy reward"),
        pytest.param([accuracy_reward, format_reward], {"reward_weights": [0.0, 1.0]}, id="which has no weight"),
        pytest.param(
            [accuracy_reward, format_reward],
            {"reward_windows": {"accuracy_reward": {"from_step": 99}}},
            id="or is shut",
        ),
        pytest.param([format_reward], {}, id="without an accuracy reward"),
    ],
)
def test_held_out_pass_rates(base_path, cpu_args, rewards, settings):
    trainer = make_trainer(base_path, cpu_args, rewards, **settings)
    metrics = trainer.evaluate()
    table = pd.read_parquet(Path(trainer.args.output_dir) / "completions" / "eval_completions_00000.parquet")
    assert len(table) == 20
    assert ("verdict" in table) == (accuracy_reward in rewards)
    right = accuracy_reward(
        [completion_text(list(completion)) for completion in table["completion"]], table["solution"].tolist()
    )
    found = {name: metrics[name] for name in ("eval_pass@1", "eval_pass@4")}
    assert found == pytest.approx(expected(table, right))
    assert 0 < found["eval_pass@1"] < found["eval_pass@4"] <= 1
    assert metrics["eval_reflection/changed_answers"] == 0.0


def test_each_held_out_set_has_its_own(base_path, cpu_args):
    rows = held_out_rows(4)
    trainer = make_trainer(base_path, cpu_args, [accuracy_reward])
    sets = {"easy": Dataset.from_list(rows[:2]), "hard": Dataset.from_list([{**r, "solution": "999"} for r in rows])}
    metrics = trainer.evaluate(sets)
    assert metrics["eval_hard_pass@1"] == 0.0 < metrics["eval_easy_pass@4"]
    assert "eval_pass@1" not in metrics
    logs = [log for log in trainer.state.log_history if "eval_easy_pass@1" in log]
    assert len(logs) == 1
    assert best_and_final(trainer.state.log_history, "easy_pass@1")["best/easy_pass@1"] == logs[0]["eval_easy_pass@1"]


def test_no_held_out_log_has_a_cost(base_path, cpu_args):
    metrics = make_trainer(base_path, cpu_args, [accuracy_reward]).evaluate(metric_key_prefix="test")
    assert "test_pass@1" in metrics
    assert not any(name.startswith("cost/") for name in metrics)


def test_rows_routed_elsewhere_are_graded_and_rows_without_gold_left_out(base_path, cpu_args):
    rows = held_out_rows(6)
    routes = [["zeros"], ["accuracy_reward"], None]
    rows = [{**row, "reward_funcs": routes[i % 3], "source": f"s{i}"} for i, row in enumerate(rows)]
    rows[0]["solution"] = None
    trainer = make_trainer(base_path, cpu_args, [accuracy_reward, zeros], rows)
    metrics = trainer.evaluate()
    table = pd.read_parquet(Path(trainer.args.output_dir) / "completions" / "eval_completions_00000.parquet")
    graded = table[table["source"] != "s0"]
    assert set(graded["verdict"].isin(["right", "wrong"])) == {True}
    assert table[table["source"] == "s0"]["verdict"].isna().all()
    assert metrics["eval_pass@1"] == pytest.approx(expected(graded, graded["verdict"] == "right")["eval_pass@1"])


@pytest.mark.parametrize("change", [{"solution": None}, {"verifier": "no_such_verifier"}])
def test_nothing_is_logged_without_verdicts(base_path, cpu_args, change):
    """A column that nobody asked to grade by ends no run."""
    rows = [{**row, **change} for row in held_out_rows(2)]
    metrics = make_trainer(base_path, cpu_args, [format_reward], rows).evaluate()
    assert "eval_pass@1" not in metrics
    assert "eval_reward" in metrics


def test_training_logs_it_and_the_best_model_follows_it(base_path, cpu_args):
    settings = {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 1, "eval_steps": 1, "max_steps": 2}
    trainer = make_trainer(
        base_path,
        cpu_args,
        [accuracy_reward],
        **{
            **settings,
            "metric_for_best_model": "pass@1",
            "load_best_model_at_end": True,
            "gradient_accumulation_steps": 2,
        },
    )
    trainer.train()
    history = trainer.state.log_history
    held_out = [log["eval_pass@1"] for log in history if "eval_pass@1" in log]
    assert len(held_out) == 2
    assert trainer.state.best_metric == max(held_out)
    for log in history:
        if "loss" in log:
            assert log["pass@1"] == pytest.approx(log["rewards/accuracy_reward/mean"])
            assert log["pass@1"] <= log["pass@4"]
            assert {"reflection/words_per_thousand", "reflection/changed_answers"} <= log.keys()


@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=3, max_size=3), min_size=1, max_size=6))
def test_sums_are_those_of_a_plain_loop(verdicts):
    rows = torch.tensor([[torch.nan if v is None else v, 0.0, 0.0, 0.0] for group in verdicts for v in group])
    logged = quotients(sum_up(rows, 3), 3)
    graded = [[v == 1.0 for v in group if v is not None] for group in verdicts]
    graded = [group for group in graded if group]
    if graded:
        assert logged["pass@1"] == pytest.approx(np.mean([np.mean(group) for group in graded]))
        assert logged["pass@3"] == pytest.approx(np.mean([any(group) for group in graded]))
    else:
        assert "pass@1" not in logged


@pytest.mark.slow
def test_two_processes_count_each_row_once(tmp_path):
    """5 questions with 4 answers are 20 rows; two processes fill the last batch up to 24 with repeated ones."""
    port = str(random.randint(20_000, 60_000))
    launch = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--main_process_port", port]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for processes, words in ((1, []), (2, launch)):
        command = [sys.executable, *words, str(SCRIPT), str(tmp_path / str(processes)), str(processes)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)
        assert done.returncode == 0, done.stderr[-3000:]
    names = ("eval_pass@1", "eval_pass@4", "eval_reflection/words_per_thousand", "eval_reflection/changed_answers")
    alone, both = (json.loads((tmp_path / str(n) / "metrics.json").read_text()) for n in (1, 2))
    assert [both[name] for name in names] == pytest.approx([alone[name] for name in names])
    assert alone["eval_pass@1"] == pytest.approx(0.35)  # of 5 questions, 7 of 20 answers
    assert alone["eval_reflection/words_per_thousand"] == pytest.approx(1000 * 20 / 60)
    tables = [pd.read_parquet(tmp_path / str(n) / "completions" / "eval_completions_00000.parquet") for n in (1, 2)]
    assert [len(table) for table in tables] == [20, 20]
    assert tables[0]["answer"].tolist() == tables[1]["answer"].tolist()
