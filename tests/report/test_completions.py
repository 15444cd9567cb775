"""Completions: which are taken, and that any text survives the way into the page."""

import base64
import gzip
import json
import random
import unicodedata

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.report.answers import LONGEST, read_answer, read_row, shorten, visible
from r1_trl.report.completions import Completions, fit, pack, read_completions
from r1_trl.tracking.run_folder import read_run
from tests.report.runs import HOSTILE, damage, write_completions, write_run, write_stage

BETWEEN = "text between </think> and <answer>"


def read(folder, **limits):
    return read_completions([read_run(folder)], **limits)


def unpack(rows):
    return json.loads(gzip.decompress(base64.b64decode(pack(rows))))


@pytest.mark.parametrize(
    ("text", "prompt", "shown"),
    [
        ("<think>a</think><answer>b</answer>", None, ("a", "b", "", "")),
        ("a</think><answer>b</answer>", "q <think>", ("a", "b", "", "")),
        ("a</think><answer>b</answer>", "q", ("", "", "a</think><answer>b</answer>", "no <think>")),
        ("<think>a</think>b", None, ("a", "b", "", "")),  # a chat model without answer tags
        ("a</think>b", None, ("", "", "a</think>b", "no <think>")),
        (42, 42, ("", "", "42", "no <think>")),
        ("<think>a</think>b<answer>c</answer>", None, ("", "", "<think>a</think>b<answer>c</answer>", BETWEEN)),
        ("4", None, ("", "", "4", "no <think>")),
        ("", None, ("", "", "", "no <think>")),
    ],
)  # fmt: skip
def test_reasoning_and_answer_are_apart_only_where_nothing_is_lost(text, prompt, shown):
    answer = read_answer(text, prompt)
    assert (answer.reasoning, answer.answer, answer.text, answer.problem) == shown


@pytest.mark.parametrize(
    ("text", "row", "arguments", "problem"),
    [
        ("a</think><answer>b</answer>", {"format_reward": 1.0}, {}, ""),  # opened by a chat template
        ("a</think><answer>b</answer>", {"format_reward": 0.0}, {}, "no <think>"),
        ("a</think><answer>b</answer>", {"think_opened": True}, {}, ""),
        ("<think>a</think> b", {}, {}, ""),  # nobody asked for tags
        ("<think>a</think> b", {"format_reward": 0.0}, {}, "no <answer>"),
        ("<think>a</think> b", {"think_only_format_reward": 1.0}, {}, ""),
        ("<think>a</think> b", {"well_formed": 1.0}, {"answer_tags": False}, ""),
        ("<think>a</think> b", {}, {"answer_tags": True}, "no <answer>"),
        ("<think>a</think><answer>b</answer>", {"format_reward": 0.0}, {}, "<think>, which has no place here"),
        ("<think>a</think><answer>b</answer>", {"format_reward": 0.5}, {}, ""),  # no verdict on the form
        ("<think>a</think><answer>b</answer>", {"format_reward": None}, {"answer_tags": False},
         "<answer>, which has no place here"),
        ("a</think>b", {"well_formed": 0.0}, {"answer_tags": False}, "no <think>"),
    ],
)  # fmt: skip
def test_the_form_is_the_one_that_the_stage_asked_for(text, row, arguments, problem):
    answer = read_row({"completion": text, **row}, arguments)
    assert answer.problem == problem
    assert answer.text == (text if problem else "")


@given(st.text(), st.sampled_from(["", "q", "<think>"]))
def test_any_text_is_shown(text, prompt):
    answer = read_answer(text, prompt)
    assert answer.text == text or not answer.problem


@given(st.lists(st.text(st.characters(categories=None, codec=None)), max_size=5))
def test_any_text_comes_out_as_it_went_in(texts):
    common = {"stage": "s", "kind": "k", "source": "", "step": None, "verdict": "right", "scores": {"a": 0.5}}
    rows = [{**common, "prompt": t, "reasoning": t, "answer": t, "text": t, "problem": "", "gold": t} for t in texts]
    content = unpack(rows)
    assert content["columns"]["answer"] == texts
    assert [content["tables"]["prompt"][place] for place in content["columns"]["prompt"]] == texts


def test_ten_million_characters_are_cut_in_the_middle():
    shown = shorten("a" * 5_000_000 + "b" * 5_000_000)
    assert len(shown) < LONGEST + 100
    assert shown.startswith("aaa")
    assert shown.endswith("bbb")
    assert "9,980,000 characters left out" in shown


def test_rows_of_a_run(tmp_path):
    found = read(write_run(tmp_path / "run"))
    assert (len(found.rows), found.total, found.left_out) == (24, 24, 0)
    row = next(row for row in found.rows if row["stage"] == "grpo" and row["text"] == HOSTILE["latex"])
    assert (row["kind"], row["step"], row["prompt"], row["verdict"], row["gold"]) == (
        "training",
        1,
        "question 6",
        "wrong",
        "4",
    )
    assert row["scores"] == {"accuracy_reward": 0.0, "format_reward": 0.5, "advantage": 0.25}
    samples = [row for row in found.rows if row["kind"] == "evaluation"]
    assert {(row["source"], row["verdict"]) for row in samples} == {
        ("source 0", "wrong"),
        ("source 1", "wrong"),
        ("source 1", "right"),
    }


@pytest.mark.parametrize("most", [1, 7, 20, 39, 40, 41])
def test_so_many_evenly_over_steps(tmp_path, most):
    folder = write_stage(tmp_path / "grpo", "grpo")
    for step in range(10):
        write_completions(folder, step, [f"{step} {index}" for index in range(4)])
    found = read(folder, most=most)
    assert len(found.rows) == min(most, 40)
    assert found.left_out == 40 - len(found.rows)
    per_step = pd.Series([row["step"] for row in found.rows]).value_counts().reindex(range(10), fill_value=0)
    assert per_step.max() - per_step.min() <= 1
    assert [row["text"] for row in found.rows] == [row["text"] for row in read(folder, most=most).rows]


def test_long_texts_leave_room_for_fewer(tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    for step in range(10):
        write_completions(folder, step, ["x" * 1_000])
    found = read(folder, characters=5_200)
    assert 4 <= len(found.rows) <= 5
    assert found.left_out == 10 - len(found.rows)


def test_a_file_that_was_being_written(tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    write_completions(folder, 1, ["a"])
    (folder / "completions" / "completions_00002.parquet").write_bytes(b"PAR1 half")
    found = read(folder)
    assert len(found.rows) == 1
    assert found.unreadable == ["grpo/completions_00002.parquet"]


def test_a_file_without_rows(tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    write_completions(folder, 1, [])
    assert read(folder).rows == []
    write_completions(folder, 2, ["a"])
    assert len(read(folder).rows) == 1


def test_a_file_that_is_damaged_in_its_middle(tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    for step in (1, 2):
        write_completions(folder, step, ["a long answer, which compresses " * 20])
    damage(folder / "completions" / "completions_00002.parquet")
    found = read(folder)
    assert (len(found.rows), found.total, found.left_out) == (1, 1, 0)
    assert found.unreadable == ["grpo/completions_00002.parquet"]


@pytest.mark.parametrize(
    ("column", "values", "shown"),
    [
        ("step", [1.0, float("nan")], [1.0, None]),
        ("completion", [4, 5], ["4", "5"]),
        ("prompt", [4, 5], ["4", "5"]),
    ],
)
def test_columns_of_another_type(tmp_path, column, values, shown):
    folder = write_stage(tmp_path / "grpo", "grpo")
    (folder / "completions").mkdir()
    table = pa.table({"completion": ["a", "b"], column: values})
    pq.write_table(table, folder / "completions" / "completions_00001.parquet")
    rows = read(folder).rows
    assert [row["text" if column == "completion" else column] for row in rows] == shown
    assert unpack(rows)["count"] == 2


def test_no_page_is_larger_than_it_should_be():
    generator = random.Random(0)
    common = {"stage": "s", "kind": "k", "source": "", "verdict": "right", "scores": {}, "prompt": "p", "answer": "a"}
    found = Completions(
        [
            {
                **common,
                "step": step,
                "text": "",
                "problem": "",
                "gold": "",
                "reasoning": generator.randbytes(500).hex(),
            }
            for step in range(300)
        ],
        total=300,
    )
    assert len(fit(found, size=50_000)) <= 50_000
    assert 0 < found.left_out < 300
    assert found.rows[0]["step"] == 0
    assert found.rows[-1]["step"] == 299


@given(st.text(st.characters(categories=None, codec=None)))
def test_no_character_hides(text):
    shown = visible(text)
    assert not any(unicodedata.category(character) == "Cs" or character in "\u202e\u200b\x00" for character in shown)


def test_held_out_completions_are_told_apart(tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    write_completions(folder, 1, ["a"])
    (folder / "completions" / "completions_00001.parquet").rename(
        folder / "completions" / "eval_completions_00001.parquet"
    )
    assert [row["kind"] for row in read(folder).rows] == ["held-out"]


def test_completions_without_any_other_column(tmp_path):
    folder = write_stage(tmp_path / "grpo", "grpo")
    (folder / "completions").mkdir()
    pd.DataFrame({"completion": ["a", None]}).to_parquet(folder / "completions" / "completions_00001.parquet")
    rows = read(folder).rows
    assert [(row["step"], row["verdict"], row["gold"]) for row in rows] == [(None, "not graded", "")] * 2
