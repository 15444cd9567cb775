"""Batches of rows: reasons, repetitions, what is remembered, what is refused."""

from __future__ import annotations

import json
import threading
import time

import pytest

from r1_trl.errors import InputError
from r1_trl.verifiers import grading
from r1_trl.verifiers.grading import Grade, Grader, Row, check_row, get_grader

MISBEHAVING = "tests.verifiers.misbehaving.verify"


@pytest.fixture
def grader():
    grader = Grader(workers=2, deadline=1.0)
    yield grader
    grader.pool.close()


def test_every_row_has_its_score_and_its_reason(grader):
    cases = [
        (Row("4", "4"), Grade(1.0, "right")),
        (Row("5", "4"), Grade(0.0, "wrong")),
        (Row(None, "4"), Grade(0.0, "no answer")),
        (Row("", "4", ""), Grade(0.0, "wrong", cached=True)),  # asked for already, since no answer is judged as ""
        (Row("4", "B"), Grade(None, "the solution cannot be graded")),
        (Row(None, "B"), Grade(None, "the solution cannot be graded")),
        (Row("4", None), Grade(None, "no solution")),
        (Row("4", " "), Grade(None, "no solution")),
        (Row("4", "4", "math", "[1]"), Grade(None, "verifier_args is no JSON object")),
        (Row("B", "B", "choice"), Grade(1.0, "right")),
        (Row("Paris.", "paris", "exact"), Grade(1.0, "right")),
        (Row("sleep", "4", MISBEHAVING), Grade(0.0, "no verdict in time", timed_out=True)),
        (Row("leave", "4", MISBEHAVING), Grade(0.0, "the verifier's process died", died=True)),
    ]
    grades = grader.grade([row for row, _ in cases])
    for (row, expected), grade in zip(cases, grades, strict=True):
        assert grade._replace(cached=False) == expected._replace(cached=False), row
    invalid = grader.grade([Row("4", "4", "math", "{no json")])[0]
    assert invalid.score is None
    assert invalid.reason.startswith("verifier_args is no JSON: ")


def test_kinds_are_judged_at_the_same_time():
    grader = Grader(workers=2, deadline=5.0)
    grader.grade([Row("4", "4"), Row("B", "B", "choice")])
    rows = [
        Row("after 1.0", "4", MISBEHAVING),
        *[Row(f"{i}", "4") for i in range(50)],
        Row("after 1.1", "4", "tests.verifiers.misbehaving.verify_otherwise"),
    ]
    start = time.monotonic()
    grades = grader.grade(rows)
    assert time.monotonic() - start < 1.6
    assert [grade.score for grade in grades].count(1.0) == 3
    grader.pool.close()


def test_the_same_text_is_judged_once(grader, tmp_path, monkeypatch):
    (tmp_path / "counting.py").write_text(
        "import os\n"
        "def verify(answer, solution, args):\n"
        "    os.write(os.open('calls', os.O_WRONLY | os.O_CREAT | os.O_APPEND), b'x')\n"
        "    return answer == solution\n"
    )
    monkeypatch.chdir(tmp_path)
    rows = [Row("4", "4", "counting.verify"), Row("5", "4", "counting.verify"), Row("4", "5", "counting.verify")]
    first, second = grader.grade([*rows, *rows]), grader.grade(rows)
    assert [grade.score for grade in first + second] == [1.0, 0.0, 0.0] * 3
    assert [grade.cached for grade in first + second] == [False] * 3 + [True] * 6
    assert (tmp_path / "calls").read_text() == "xxx"
    grader.grade([Row("4", "4", "counting.verify", '{"other": 1}')])
    assert (tmp_path / "calls").read_text() == "xxxx"


def test_what_was_not_in_time_is_tried_again(grader):
    row = Row("sleep", "4", MISBEHAVING)
    assert [grade.cached for grade in grader.grade([row, row])] == [False, True]  # not twice in one batch
    assert grader.grade([row]) == [Grade(0.0, "no verdict in time", timed_out=True, cached=False)]


def test_a_gold_that_takes_too_long_is_no_answers_fault(grader):
    rows = [Row(answer, "4", "tests.verifiers.misbehaving.verify_for_ever") for answer in ("4", "5", None)]
    expected = Grade(None, "the solution cannot be read in time")
    assert [grade._replace(cached=False) for grade in grader.grade(rows)] == [expected] * 3
    start = time.monotonic()
    assert grader.grade([rows[0]._replace(answer="6")])[0].score is None
    assert time.monotonic() - start < 0.5  # which is not found out anew for each answer
    assert grader.grade([Row("9^{9^{9^{9}}}", "4")])[0].score == 0.0


def test_the_memory_of_verdicts_is_bounded(grader, monkeypatch):
    monkeypatch.setattr(grading, "_REMEMBERED", 10)
    grader.grade([Row(str(i), "4") for i in range(30)])
    assert len(grader._known) == 10
    assert [grade.cached for grade in grader.grade([Row("29", "4"), Row("0", "4")])] == [True, False]


def test_from_several_threads(grader):
    failures = []

    def work(offset):
        rows = [Row(str(i % 7), str(offset % 3)) for i in range(100)]
        if [grade.score for grade in grader.grade(rows)] != [float(row.answer == row.solution) for row in rows]:
            failures.append(offset)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_partial_credit(grader, tmp_path, monkeypatch):
    (tmp_path / "sharing.py").write_text(
        "def verify(answer, solution, args):\n    return len(answer) / len(solution)\n"
    )
    monkeypatch.chdir(tmp_path)
    grades = grader.grade([Row(answer, "abcd", "sharing.verify") for answer in ("a", "abcd", "")])
    assert grades == [Grade(0.25, "right in part"), Grade(1.0, "right"), Grade(0.0, "wrong")]


def test_a_broken_verifier_stops_the_run(grader, tmp_path, monkeypatch):
    (tmp_path / "needy.py").write_text(
        "from r1_trl.errors import InputError\n"
        "class Needy:\n"
        "    def __call__(self, answer, solution, args):\n"
        "        return True\n"
        "    def check(self, args):\n"
        "        if (args or {}).get('compiler') == 'none':\n"
        "            raise InputError('no compiler: install one')\n"
        "    def seconds(self, args):\n"
        "        return 7.0\n"
        "verify = Needy()\n"
    )
    monkeypatch.chdir(tmp_path)
    missing = json.dumps({"compiler": "none"})
    with pytest.raises(InputError, match="no compiler"):
        grader.grade([Row("4", "4", "needy.verify", missing)])
    with pytest.raises(InputError, match="no compiler"):
        check_row("needy.verify", missing)
    with pytest.raises(InputError, match="no verifier 'maths'"):
        check_row("maths", None)
    check_row(None, None)
    check_row("needy.verify", "{no json")
    with pytest.raises(InputError, match="`verifier_args` is a dict: it must be text"):
        grader.grade([Row("4", "4", "math", {"options": []})])
    assert grader.grade([Row("4", "4", "math", '{"n": ' + "1" * 5_000 + "}")])[0].score is None
    assert grading._task(Row("4", "4", "needy.verify")).seconds == 7.0
    assert grader.grade([Row("4", "4", "needy.verify")]) == [Grade(1.0, "right")]


def test_one_grader_for_the_same_settings():
    assert get_grader(None, 5.0, 2048) is get_grader(None, 5.0, 2048)
    assert get_grader(None, 5.0, 2048) is not get_grader(None, 4.0, 2048)
