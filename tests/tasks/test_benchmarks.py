"""Benchmarks: their columns become questions with golds, copies are read as they lie, and nothing is unpickled."""

import base64
import json
import os
import pickle
import zlib
from collections import Counter

import pytest

from r1_trl.errors import InputError
from r1_trl.tasks.benchmark_loading import load_benchmark
from r1_trl.tasks.benchmark_rows import BadRowError, choice_row, read_tests
from r1_trl.tasks.benchmarks import BENCHMARKS
from r1_trl.verifiers.grading import Grader, Row
from tests.tasks.benchmark_copies import GPQA, MATH_500, code_question, lines, write_copies

ANSWERS = {  # (right, wrong) to the first question of each copy
    "aime_2024": (r"So \boxed{4}.", r"So \boxed{5}."),
    "aime_2025": (r"\boxed{64}", "63"),
    "math_500": (r"$\boxed{(x+1)(x+1)}$", "x^2+1"),
    "livecodebench": ("```python\nprint(2 * int(input()))\n```", "```python\nprint(4)\n```"),
}


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    return {name: str(path) for name, path in write_copies(tmp_path_factory.mktemp("copies")).items()}


def test_k_and_verifiers_are_the_papers():
    k = {name: benchmark.num_generations for name, benchmark in BENCHMARKS.items()}
    assert k == {"aime_2024": 64, "aime_2025": 64, "math_500": 16, "gpqa_diamond": 64, "livecodebench": 8}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_revisions_are_pinned(name):
    assert len(BENCHMARKS[name].revision) == 40


@pytest.mark.parametrize(
    ("name", "count"), [("aime_2024", 2), ("aime_2025", 1), ("math_500", 2), ("gpqa_diamond", 20)]
)
def test_local_copies(copies, name, count):
    rows = load_benchmark(name, copies[name])
    assert len(rows) == count
    assert set(rows["source"]) == {name}
    assert set(rows["language"]) == {"en"}
    assert set(rows["verifier"]) == {BENCHMARKS[name].verifier}
    assert "Record ID" not in rows.column_names


@pytest.mark.parametrize("name", ANSWERS)
def test_right_and_wrong_answers(copies, name):
    row = load_benchmark(name, copies[name])[0]
    rows = [Row(answer, row["solution"], row["verifier"], row["verifier_args"]) for answer in ANSWERS[name]]
    assert [grade.score for grade in Grader(workers=1).grade(rows)] == [1.0, 0.0]


def test_math_keeps_the_gold_and_the_level(copies):
    row = load_benchmark("math_500", copies["math_500"])[0]
    assert row["prompt"] == [
        {
            "role": "user",
            "content": "Expand $(x+1)^2$.\nPlease reason step by step, and put your final answer within \\boxed{}.",
        }
    ]
    assert (row["solution"], row["difficulty"], row["subject"]) == ("x^2+2x+1", "2", "Algebra")


def test_levels_may_be_missing(tmp_path):
    lines(tmp_path / "rows.jsonl", [{"problem": "1 + 1", "answer": 2}])
    rows = load_benchmark("math_500", str(tmp_path / "rows.jsonl"))
    assert rows["solution"] == ["2"]
    assert "difficulty" not in rows.column_names


@pytest.mark.parametrize("prompt_format", ["r1_zero", "text", "r1_chat"])
def test_prompt_formats(copies, prompt_format):
    prompt = load_benchmark("math_500", copies["math_500"], prompt_format=prompt_format)["prompt"][0]
    assert "Expand $(x+1)^2$." in (prompt if isinstance(prompt, str) else prompt[-1]["content"])
    assert isinstance(prompt, str) == (prompt_format != "r1_chat")


def test_options_are_shuffled_the_same_way_in_every_run(copies):
    rows, again = (load_benchmark("gpqa_diamond", copies["gpqa_diamond"]) for _ in range(2))
    assert list(rows) == list(again)
    assert set(rows["solution"]) == set("ABCD")
    for row, given in zip(rows, GPQA, strict=True):
        options = json.loads(row["verifier_args"])["options"]
        assert options["ABCD".index(row["solution"])] == given["Correct Answer"]
        assert sorted(options) == sorted([given["Correct Answer"], "none", "all", "some"])
        assert f"{row['solution']}) {given['Correct Answer']}" in row["prompt"][0]["content"]


def test_the_order_of_options_depends_on_nothing_else():
    fields = {"question": "q", "right": "one", "wrong_1": "two", "wrong_2": "three", "wrong_3": "four"}
    other = {**fields, "wrong_1": "four", "wrong_3": "two"}
    assert choice_row(fields) == choice_row(other)
    letters = Counter(choice_row({**fields, "question": str(number)})["solution"] for number in range(2000))
    assert all(430 <= count <= 570 for count in letters.values())  # 500 each, within 3.6 deviations


@pytest.mark.parametrize(
    "answer", ["Answer: {}", "Answer: ${}", "Let me think.\n\nAnswer: {}", "**Answer: {}**", "({})"]
)
def test_answers_in_the_form_that_the_prompt_asks_for(copies, answer):
    row = load_benchmark("gpqa_diamond", copies["gpqa_diamond"])[0]
    wrong = next(letter for letter in "ABCD" if letter != row["solution"])
    rows = [
        Row(answer.format(letter), row["solution"], row["verifier"], row["verifier_args"])
        for letter in (row["solution"], wrong)
    ]
    assert [grade.score for grade in Grader(workers=1).grade(rows)] == [1.0, 0.0]


def test_code_has_the_papers_months_all_tests_and_the_starter_code(copies):
    rows = load_benchmark("livecodebench", copies["livecodebench"])
    assert rows["difficulty"] == ["easy", "hard"]
    printed, called = (json.loads(args) for args in rows["verifier_args"])
    assert (printed["inputs"], printed["outputs"]) == (["2\n", "5\n"], ["4\n", "10\n"])
    assert (called["fn_name"], called["outputs"], called["time_limit"]) == ("total", ["6", "0"], 6.0)
    stdin, starter = (prompt[0]["content"] for prompt in rows["prompt"])
    assert "# YOUR CODE HERE" in stdin
    assert "stdin" in stdin
    assert "def total(self, numbers: List[int], more: int) -> int:" in starter
    assert "stdin" not in starter


def test_functions_are_called(copies):
    row = load_benchmark("livecodebench", copies["livecodebench"])[1]
    code = "class Solution:\n    def total(self, numbers, more):\n        return sum(numbers) + more"
    rows = [Row(f"```python\n{text}\n```", row["solution"], "code", row["verifier_args"]) for text in (code, "pass")]
    assert [grade.score for grade in Grader(workers=1).grade(rows)] == [1.0, 0.0]


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("evil",))


def pack(value, protocol=pickle.DEFAULT_PROTOCOL):
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("text", ['[{"input": "ü", "output": "x"}]', json.dumps([{"input": "7" * 100_000}])])
def test_pickled_texts_are_read(protocol, text):
    assert read_tests(pack(text, protocol)) == json.loads(text)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (pack(Evil()), "code to call"),
        (pack([{"input": "2"}]), "a list"),
        (pack(b"[]"), "bytes"),
        (pack(("[]", "[]")), "two texts"),
        (pack("{}"), "an object"),
        (pack("no JSON"), "no JSON"),
        (pack("[" * 100_000), "nested too deeply"),
        (base64.b64encode(zlib.compress(b"garbage")).decode(), "no pickle"),
        (base64.b64encode(zlib.compress(pickle.dumps("[]")[:-1])).decode(), "a pickle that is cut off"),
        (base64.b64encode(b"garbage").decode(), "not compressed"),
        ("§§§", "no base64"),
        ('{"input": "2"}', "no list"),
    ],
)
def test_what_is_no_pickled_text_is_refused(field, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRowError):
        read_tests(field)
    assert list(tmp_path.iterdir()) == [], reason


def test_bad_rows_are_left_out_and_told(tmp_path, caplog):
    lines(tmp_path / "test.jsonl", [code_question(), code_question(private_test_cases=pack(Evil()))])
    assert len(load_benchmark("livecodebench", str(tmp_path))) == 1
    assert "1 of 2 rows" in caplog.text
    assert "row 1: its tests cannot be read: a pickle of more than a text is refused" in caplog.text


def test_the_first_questions(copies):
    assert load_benchmark("math_500", copies["math_500"], num_questions=1)["solution"] == [MATH_500[0]["answer"]]


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        (
            "math_500",
            [{"question": "1 + 1", "answer": "2"}],
            r"needs the column `problem`, which .* it has `question`",
        ),
        ("gpqa_diamond", [{**GPQA[0], "Correct Answer": None}], r"1 of 1 rows .* `right` is empty"),
        ("livecodebench", [code_question(contest_date="2023-05-01")], r"no question of 2024-08 to 2025-01"),
        ("livecodebench", [code_question(public_test_cases="[]", private_test_cases="[]")], r"it has no tests"),
        ("livecodebench", [code_question(public_test_cases='[{"input": "2"}]')], r"KeyError: 'output'"),
        ("aime_2025", [{"problem": " ", "answer": "2"}], r"`question` is empty"),
    ],
)
def test_what_is_no_copy_is_refused(tmp_path, name, rows, message):
    lines(tmp_path / "test.jsonl", rows)
    with pytest.raises(InputError, match=message):
        load_benchmark(name, str(tmp_path / "test.jsonl"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_without_a_network_the_hub_cannot_be_read(name):
    with pytest.raises(InputError, match=BENCHMARKS[name].path):
        load_benchmark(name)


def test_no_such_copy(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        load_benchmark("math_500", str(tmp_path / "nowhere"))
