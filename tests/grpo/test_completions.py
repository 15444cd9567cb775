"""Training and held-out completions are files of their own, each with its own rows and all columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from datasets import Dataset

from r1_trl import R1GRPOConfig, R1GRPOTrainer, accuracy_reward, format_reward
from r1_trl.grpo.completions import completions_table
from r1_trl.tasks.arithmetic import question_rows
from tests.grpo.held_out import held_out_rows

COLUMNS = {"step", "prompt", "completion", "reasoning", "answer", "accuracy_reward", "format_reward", "answer_parsed"}
COLUMNS |= {"solution", "verdict", "source", "advantage"}


def run(base_path, cpu_args, rewards=(accuracy_reward, format_reward), held_out=None, **settings):
    args = {
        **cpu_args,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 2,
        "per_device_eval_batch_size": 8,
        "num_generations": 4,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "eval_on_start": True,
        "max_steps": 2,
        "log_completions": True,
        "num_completions_to_print": 0,
        **settings,
    }
    rows = [{**row, "source": "easy"} for row in question_rows("train", 16)]
    questions = [{**row, "source": "held out"} for row in held_out_rows(5)]
    evaluated = Dataset.from_list(questions) if held_out is None else held_out
    trainer = R1GRPOTrainer(
        base_path, list(rewards), R1GRPOConfig(**args), train_dataset=Dataset.from_list(rows), eval_dataset=evaluated
    )
    trainer.train(resume_from_checkpoint=args.get("resume_from_checkpoint"))
    return trainer, Path(args["output_dir"]) / "completions"


def test_each_mode_has_its_own_rows(base_path, cpu_args):
    trainer, folder = run(base_path, cpu_args)
    training, held_out = ("completions_0000{}.parquet", "eval_completions_0000{}.parquet")
    names = {training.format(1), training.format(2), *(held_out.format(step) for step in (0, 1, 2))}
    assert {path.name for path in folder.iterdir()} == names
    for step in (1, 2):
        table = pd.read_parquet(folder / training.format(step))
        assert set(table.columns) >= COLUMNS
        assert "think_opened" not in table
        assert (len(table), set(table["source"]), set(table["step"])) == (16, {"easy"}, {step})
        log = next(log for log in trainer.state.log_history if log["step"] == step and "loss" in log)
        assert table["accuracy_reward"].mean() == pytest.approx(log["rewards/accuracy_reward/mean"])
    for step in (0, 1, 2):
        table = pd.read_parquet(folder / held_out.format(step))
        assert set(table.columns) >= COLUMNS
        assert (len(table), set(table["source"]), set(table["step"])) == (20, {"held out"}, {step})
        assert table.groupby(table["prompt"].astype(str)).size().tolist() == [4] * 5
        right = table["verdict"] == "right"
        assert (right == (table["accuracy_reward"] == 1.0)).all()
        assert (table["answer"][right] == table["solution"][right]).all()


def test_evaluation_leaves_the_rows_of_training_alone(base_path, cpu_args):
    """They are what a checkpoint holds, so that a resumed run logs the same."""
    trainer, _ = run(base_path, cpu_args, max_steps=1)
    assert len(trainer._logs_by_mode["train"]["prompt"]) == 16
    assert len(trainer._logs_by_mode["eval"]["prompt"]) == 0


def test_without_log_completions_nothing_is_written(base_path, cpu_args):
    _, folder = run(base_path, cpu_args, log_completions=False, max_steps=1)
    assert not folder.exists()


def test_several_held_out_sets_keep_their_names(base_path, cpu_args):
    sets = {"one": Dataset.from_list(held_out_rows(2)), "two": Dataset.from_list(held_out_rows(4))}
    _, folder = run(base_path, cpu_args, held_out=sets, max_steps=1, eval_on_start=False)
    sizes = {path.name: len(pd.read_parquet(path)) for path in folder.glob("eval_*")}
    assert sizes == {"eval_one_completions_00001.parquet": 8, "eval_two_completions_00001.parquet": 16}


def test_the_sample_is_printed_without_repeating_the_reasoning(base_path, cpu_args, capsys):
    run(base_path, cpu_args, num_completions_to_print=1, max_steps=1, eval_on_start=False, eval_strategy="no")
    printed = capsys.readouterr().out
    assert "Step 1" in printed
    assert "think_opened" not in printed


def test_a_column_that_begins_late_is_filled_up():
    logs = {"prompt": ["a", "b"], "completion": ["1", "2"], "rewards": {"r": [0.0, 1.0]}, "advantages": [0.0, 0.0]}
    table = completions_table({**logs, "extra": {"verdict": ["right"]}}, step=3)
    assert table["verdict"].fillna("").tolist() == ["", "right"]


def test_a_resumed_run_writes_the_same_tables(base_path, cpu_args, tmp_path):
    """The rollout serves two steps, so the rows of step 4 are those of a rollout before the checkpoint."""
    settings = {"steps_per_generation": 4, "max_steps": 5, "save_strategy": "steps", "save_steps": 3, "eval_steps": 2}
    alone, folder = run(base_path, cpu_args, **settings, logging_steps=2)
    again = {**cpu_args, "output_dir": str(tmp_path / "again")}
    checkpoint = str(Path(alone.args.output_dir) / "checkpoint-3")
    resumed, other = run(base_path, again, **settings, logging_steps=2, resume_from_checkpoint=checkpoint)
    names = {path.name for path in other.iterdir()}
    assert {"completions_00004.parquet", "eval_completions_00004.parquet"} <= names
    for name in names:
        pd.testing.assert_frame_equal(pd.read_parquet(folder / name), pd.read_parquet(other / name))
    watched = ("step", "pass@1", "eval_pass@1", "reflection/words_per_thousand", "eval_reflection/changed_answers")
    histories = [
        [[log.get(name) for name in watched] for log in trainer.state.log_history if "train_runtime" not in log]
        for trainer in (alone, resumed)
    ]
    assert histories[0] == histories[1]
