"""Sources of every kind become one set of rows: same columns, weights as asked, and splits that share no question."""

import itertools
import json

import pandas as pd
import pytest
from datasets import IterableDataset
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.errors import InputError
from r1_trl.prompts import SYSTEM_PROMPT, base_prompt
from r1_trl.tasks.config import R1DatasetMixtureConfig
from r1_trl.tasks.mixture import load_mixture, split_total
from r1_trl.tasks.questions import normalise, question_of

GSM8K = [
    {"question": f"How many are {n} and {n}?", "answer": f"{n}+{n} = <<>>{2 * n}\n#### {2 * n:,}"} for n in range(40)
]
AIME = [{"id": n, "problem": f"Find {n} plus one.", "answer": n + 1} for n in range(10)]
QUIZ = [{"id": "a", "prompt": [{"role": "user", "content": "Paris is in?"}], "solution": "B", "note": "easy"}]
README = """---
configs:
- config_name: main
  data_files: [{split: train, path: main/train-*}, {split: test, path: main/test-*}]
- config_name: socratic
  data_files: [{split: train, path: socratic/train-*}]
---
"""


@pytest.fixture
def folder(tmp_path):
    hub = tmp_path / "gsm8k"  # in the layout of the Hub
    for path in ("main/train", "main/test", "socratic/train"):
        (hub / path).parent.mkdir(parents=True, exist_ok=True)
        rows = [{**GSM8K[0], "question": "Who asks?"}, GSM8K[3]] if path == "main/test" else GSM8K
        pd.DataFrame(rows).to_parquet(hub / f"{path}-00000-of-00001.parquet")
    (hub / "README.md").write_text(README)
    for name, rows in {"aime": AIME, "quiz": QUIZ}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "rows.json").write_text(json.dumps(AIME))
    pd.DataFrame(AIME).to_csv(tmp_path / "rows.csv", index=False)
    pd.DataFrame(AIME).to_parquet(tmp_path / "rows.parquet")
    return tmp_path


def gsm8k(folder, **settings):
    mapping = {"question": "question", "solution": "answer"}
    entry = {"path": str(folder / "gsm8k"), "name": "main", "source": "gsm8k", "solution_format": "gsm8k"}
    return {**entry, "column_mapping": mapping, **settings}


def aime(folder, file="aime.jsonl", **settings):
    mapping = {"question": "problem", "solution": "answer"}
    entry = {
        "path": str(folder / file),
        "source": "aime",
        "solution_format": "number",
        "columns": ["problem", "answer"],
    }
    return {**entry, "column_mapping": mapping, **settings}


def load(*entries, **settings):
    return load_mixture(R1DatasetMixtureConfig(datasets=list(entries), **settings))


def questions(rows):
    return [question_of(row) for row in rows]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("file", ["aime.jsonl", "rows.json", "rows.csv", "rows.parquet"])
def test_files(folder, file, streaming):
    rows, _ = load(aime(folder, file, verifier="math", language="en"), streaming=streaming)
    assert isinstance(rows, IterableDataset) == streaming
    expected = {"prompt": [{"role": "user", "content": "Find 3 plus one."}], "solution": "4"}
    assert list(rows)[3] == {**expected, "source": "aime", "verifier": "math", "language": "en"}


@pytest.mark.parametrize("streaming", [False, True])
def test_a_folder_in_the_layout_of_the_hub(folder, streaming):
    rows, test = load(gsm8k(folder, test_split="test"), streaming=streaming)
    assert next(iter(rows)) == {
        "prompt": [{"role": "user", "content": "How many are 0 and 0?"}],
        "solution": "0",
        "source": "gsm8k",
    }
    assert questions(test) == ["Who asks?", "How many are 3 and 3?"]
    assert len(list(rows)) == 39  # without the question that the test split asks too


@pytest.mark.parametrize("streaming", [False, True])
def test_all_sources_end_with_one_schema(folder, streaming):
    rows, _ = load(
        gsm8k(folder, reward_funcs=["accuracy_reward"], size=2),
        aime(folder, columns=None, size=2),
        {"path": "miniature:questions", "size": 2},
        {"path": "reasoning_gym:chain_sum", "size": 2, "verifier_args": None},
        streaming=streaming,
    )
    rows = list(rows)
    assert [row["source"] for row in rows[::2]] == ["gsm8k", "aime", "miniature:questions", "reasoning_gym:chain_sum"]
    assert len({tuple(row) for row in rows}) == 1
    assert [row["reward_funcs"] for row in rows[::2]] == [["accuracy_reward"], None, None, None]
    assert [type(row["id"]) for row in rows[::2]] == [type(None), int, type(None), type(None)]
    assert [row["verifier"] for row in rows[::2]] == [None, None, None, "reasoning_gym"]
    assert json.loads(rows[-1]["verifier_args"])["task"] == "chain_sum"
    assert rows[4]["language"] in ("en", "zh")
    assert all(isinstance(row["solution"], str) for row in rows)


@pytest.mark.parametrize(
    ("settings", "prompt"),
    [
        ({}, [{"role": "user", "content": "Find 0 plus one."}]),
        (
            {"system_prompt": "Think."},
            [{"role": "system", "content": "Think."}, {"role": "user", "content": "Find 0 plus one."}],
        ),
        (
            {"prompt_format": "r1_chat"},
            [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": "Find 0 plus one."}],
        ),
        ({"prompt_format": "r1_zero"}, base_prompt("Find 0 plus one.")),
        ({"prompt_format": "text"}, "Find 0 plus one."),
    ],
    ids=str,
)
def test_what_a_question_becomes(folder, settings, prompt):
    assert load(aime(folder), **settings)[0][0]["prompt"] == prompt


def test_messages_can_be_asked_in_another_format(folder):
    entry = {"path": str(folder / "quiz.jsonl"), "column_mapping": {"question": "prompt"}}
    assert load(entry, prompt_format="r1_zero")[0][0]["prompt"] == base_prompt("Paris is in?")


def test_an_answer_follows_its_question_into_messages(folder):
    mapping = {"question": "problem", "completion": "answer"}
    pd.DataFrame([{"problem": "1 + 1?", "answer": "2"}]).to_parquet(folder / "sft.parquet")
    row = load({"path": str(folder / "sft.parquet"), "column_mapping": mapping})[0][0]
    assert row["completion"] == [{"role": "assistant", "content": "2"}]
    text = load({"path": str(folder / "sft.parquet"), "column_mapping": mapping}, prompt_format="text")[0][0]
    assert (text["prompt"], text["completion"]) == ("1 + 1?", "2")


def test_beside_a_prompt_a_question_is_any_column(folder):
    rows = [{"prompt": QUIZ[0]["prompt"], "completion": "B", "question": 7}]  # as rejection sampling writes it
    (folder / "sft.jsonl").write_text(json.dumps(rows[0]) + "\n")
    mixture = R1DatasetMixtureConfig(datasets=[{"path": str(folder / "sft.jsonl")}])
    assert list(load_mixture(mixture)[0]["question"]) == [7]


def test_a_source_keeps_its_own_names_unless_it_is_given_one(folder):
    pd.DataFrame([{"question": "1?", "source": "amc"}, {"question": "2?", "source": None}]).to_parquet(
        folder / "s.parquet"
    )
    path = str(folder / "s.parquet")
    assert load({"path": path})[0]["source"] == ["amc", path]
    assert load({"path": path, "source": "mine"})[0]["source"] == ["mine", "mine"]


def test_rows_without_a_question_or_gold_are_told(folder, caplog):
    rows = [
        {"question": "1?", "answer": "#### 1"},
        {"question": None, "answer": "#### 2"},
        {"question": "3?", "answer": "3"},
    ]
    pd.DataFrame(rows).to_parquet(folder / "gaps.parquet")
    loaded, _ = load(gsm8k(folder, path=str(folder / "gaps.parquet"), name=None))
    assert loaded["solution"] == ["1", None]
    assert "1 rows without a question" in caplog.text
    assert "finds no gold in 1 of 3 rows" in caplog.text
    stream, _ = load(gsm8k(folder, path=str(folder / "gaps.parquet"), name=None), streaming=True)
    assert [row["solution"] for row in stream] == ["1", None]


# Splits


def test_the_split_depends_on_the_question_alone(folder):
    rows = [*GSM8K, *({**row, "question": f" {row['question'].upper()}"} for row in GSM8K)]
    sides = []
    for name, content in {"a": rows, "b": rows[::-1]}.items():
        pd.DataFrame(content).to_parquet(folder / f"{name}.parquet")
        train, test = load(gsm8k(folder, path=str(folder / f"{name}.parquet"), name=None), test_split_size=0.3)
        sides.append([{normalise(question) for question in questions(side)} for side in (train, test)])
        assert len(train) + len(test) == 80
    assert sides[0] == sides[1]
    train, test = sides[0]
    assert train
    assert test
    assert not train & test


def test_the_split_is_the_same_in_a_stream_and_another_template(folder):
    train, test = load(gsm8k(folder), test_split_size=0.3)
    stream, streamed_test = load(gsm8k(folder), test_split_size=0.3, streaming=True, prompt_format="r1_zero")
    assert questions(stream) == questions(train)
    assert questions(streamed_test) == questions(test)


def test_sources_with_and_without_a_test_split(folder):
    train, test = load(gsm8k(folder, test_split="test"), aime(folder), test_split_size=0.3)
    sources = [row["source"] for row in test]
    assert sources.count("gsm8k") == 2
    assert 0 < sources.count("aime") < 10
    assert not {*questions(train)} & {*questions(test)}


@pytest.mark.parametrize("streaming", [False, True])
def test_what_one_source_holds_out_no_other_trains_on(folder, streaming):
    (folder / "copy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GSM8K))
    copy = gsm8k(folder, path=str(folder / "copy.jsonl"), name=None)
    train, test = load(copy, gsm8k(folder, test_split="test"), test_split_size=0.3, streaming=streaming)
    held_out = {*questions(test)}
    assert len(held_out) > 2
    assert not held_out & {*questions(train)}


# Weights


@given(st.integers(0, 1000), st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_shares_add_up(total, weights):
    counts = split_total(total, weights)
    assert sum(counts) == total
    assert all(abs(count - total * w / sum(weights)) < 1 for count, w in zip(counts, weights, strict=True))


def test_weights_repeat_and_draw(folder):
    entries = gsm8k(folder, weight=1), aime(folder, weight=3)
    rows, _ = load(*entries)
    assert len(rows) == 50  # as many as both sources have
    counts = pd.Series(questions(rows)).value_counts()
    assert counts.filter(like="How many").sum() == 13  # 12.5, rounded up, none twice
    assert counts.filter(like="How many").max() == 1
    assert set(counts.filter(like="Find")) == {3, 4}  # 37 of 10: three passes and a part
    assert rows[:] == load(*entries)[0][:]
    assert rows[:] != load(*entries, mixture_seed=1)[0][:]
    assert len(load(*entries, mixture_size=8)[0]) == 8


def test_weights_of_streams(folder):
    (folder / "gsm8k.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GSM8K))
    entries = gsm8k(folder, path=str(folder / "gsm8k.jsonl"), weight=1), aime(folder, weight=3)
    rows, _ = load(*entries, streaming=True, mixture_size=100)
    sources = [row["source"] for row in rows]
    assert len(sources) == 100
    assert 60 < sources.count("aime") < 90
    assert sources[:20].count("gsm8k") > 0  # drawn row by row, not one source after the other
    assert sources == [row["source"] for row in load(*entries, streaming=True, mixture_size=100)[0]]


def test_fractions_are_trls(folder):
    rows, _ = load(gsm8k(folder, fraction=0.5), aime(folder, fraction=0.5))
    assert questions(rows) == questions(GSM8K[:10]) + [row["problem"] for row in AIME]


def test_sizes(folder):
    rows, _ = load(gsm8k(folder, size=5))
    assert len(set(questions(rows))) == 5
    assert rows[:] == load(gsm8k(folder, size=5))[0][:]
    assert len(load(gsm8k(folder, size=500))[0]) == 40


def test_a_stream_is_read_as_far_as_it_is_needed(folder):
    """A source without an end: mapping, constants and the split take what is asked for."""
    rows, test = load(
        {"path": "reasoning_gym:chain_sum", "reasoning_gym": {"size": 10**7}, "language": "en"},
        streaming=True,
        test_split_size=0.5,
    )
    assert len(list(itertools.islice(rows, 20))) == 20
    assert len(list(itertools.islice(test, 20))) == 20


# Refusals

BAD = [
    (lambda f: [aime(f, column_mapping={"question": "porblem"})], ["`porblem`", "did you mean `problem`"], "a typo"),
    (lambda f: [aime(f, column_mapping={"problem": "question"})], ["`question`", "`new: old`"], "turned round"),
    (lambda f: [aime(f, columns=["problem", "gold"])], ["`gold`", "`columns`", "`answer`"], "no such column"),
    (lambda f: [aime(f, solution_format="as_is")], ["`answer`", "int64", "`solution_format: number`"], "numbers"),
    (
        lambda f: [{"path": str(f / "aime.jsonl"), "solution_format": "boxed"}],
        ["`solution_format: boxed`", "`solution`"],
        "no gold",
    ),
    (lambda f: [gsm8k(f, solution_format="boxed")], ["gsm8k", "no gold in any of 40"], "another format"),
    (lambda f: [aime(f, column_mapping={"question": "answer"})], ["`answer`", "`question`", "int64"], "a number"),
    (lambda f: [gsm8k(f), {"path": str(f / "quiz.jsonl")}, aime(f, columns=None)], ["`id`", "`columns`"], "types"),
    (lambda f: [gsm8k(f, name="mian")], ["`path: ", "mian"], "no such configuration"),
    (lambda f: [gsm8k(f, split="trian")], ["`trian`", "train, test"], "no such split"),
    (lambda f: [aime(f, "nowhere.jsonl")], ["`path: ", "nowhere.jsonl", "no such file"], "no such file"),
    (lambda f: [aime(f, test_split="test")], ["one file", "`test_split: test`", "`test_split_size`"], "no split"),
    (lambda f: [{"path": "miniature:questions", "data_files": "x"}], ["`data_files`"], "files of what is made"),
    (lambda f: [{"path": "reasoning_gym:chainsum"}], ["'chain_sum'"], "no such task"),
]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(("entries", "words", "reason"), BAD, ids=[case[-1] for case in BAD])
def test_refused(folder, entries, words, reason, streaming):
    if reason == "another format" and streaming:
        pytest.skip("a stream is not read ahead")
    with pytest.raises(InputError) as error:
        load(*entries(folder), streaming=streaming)
    assert [word for word in words if word not in str(error.value)] == []


def test_text_and_messages_do_not_mix(folder):
    with pytest.raises(
        InputError, match=r"`prompt` holds text in `aime` and messages in .*quiz.*: map its `question`"
    ):
        load(aime(folder), {"path": str(folder / "quiz.jsonl"), "columns": ["prompt"]}, prompt_format="r1_zero")
