"""Rows of reasoning-gym: what they hold, and what JSON must not lose."""

from __future__ import annotations

import datetime
import json
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1_trl.errors import InputError, MissingExtraError
from r1_trl.tasks.reasoning_gym import NO_GOLD, from_json, reasoning_gym_rows, to_json


def test_a_row():
    row = reasoning_gym_rows("countdown", 1, seed=3, min_numbers=4, max_numbers=4)[0]
    assert set(row) == {"prompt", "solution", "verifier", "verifier_args"}
    assert [message["role"] for message in row["prompt"]] == ["user"]
    assert "target" in row["prompt"][0]["content"]
    args = json.loads(row["verifier_args"])
    assert set(args) == {"task", "params", "metadata"}
    assert args["params"] == {"min_numbers": 4, "max_numbers": 4}
    assert eval(row["solution"]) == args["metadata"]["target"]


def test_the_same_seed_draws_the_same_rows_and_another_seed_others():
    rows = reasoning_gym_rows("chain_sum", 5, seed=1)
    assert rows == reasoning_gym_rows("chain_sum", 5, seed=1) != reasoning_gym_rows("chain_sum", 5, seed=2)
    assert len({row["prompt"][0]["content"] for row in rows}) == 5


def test_metadata_that_no_scoring_reads_stay_out():
    assert json.loads(reasoning_gym_rows("rotten_oranges", 1)[0]["verifier_args"]) == {"task": "rotten_oranges"}


@pytest.mark.parametrize("task", ["graph_color", "propositional_logic", "rubiks_cube"])
def test_a_task_without_answers_gives_an_example(task):
    row = reasoning_gym_rows(task, 1)[0]
    assert json.loads(row["verifier_args"])["answer"] is None
    assert row["solution"] not in ("", "None", NO_GOLD)


@pytest.mark.parametrize("task", ["boxnet", "rush_hour"])
def test_a_task_without_examples_says_so(task):
    row = reasoning_gym_rows(task, 1)[0]
    assert json.loads(row["verifier_args"])["answer"] is None
    assert row["solution"] == NO_GOLD


@pytest.mark.parametrize(
    ("task", "params", "message"),
    [
        ("chain_sums", {}, "no task 'chain_sums'; did you mean 'chain_sum'"),
        ("", {}, "no task ''; it has ab, acre"),
        ("composite", {}, "make the rows of each"),
        ("chain_sum", {"min_term": 3}, "no parameter 'min_term'; did you mean 'min_terms'"),
        ("chain_sum", {"min_terms": -1}, "not valid: min_terms must be positive"),
        ("time_intervals", {"min_date": datetime.date(2000, 1, 1)}, "cannot carry its parameters: datetime.date"),
    ],
)
def test_what_a_user_can_mend(task, params, message):
    with pytest.raises(InputError, match=message):
        reasoning_gym_rows(task, 1, **params)


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(MissingExtraError, match=r"r1-trl\[reasoning-gym\]"):
        reasoning_gym_rows("chain_sum", 1)


def test_a_broken_install_keeps_its_own_error(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ModuleNotFoundError, match="sympy") as caught:
        reasoning_gym_rows("chain_sum", 1)
    assert not isinstance(caught.value, MissingExtraError)


LOST_BY_PLAIN_JSON = [
    (1, 2),
    [(0, 1), [2]],
    {0: "a", 1.5: "b"},
    {(0, 1): {"a": ()}},
    {"__tuple__": [1]},
    {None: 1, True: 2},
    Fraction(1, 3),
]


@pytest.mark.parametrize("value", LOST_BY_PLAIN_JSON, ids=repr)
def test_nothing_is_lost(value):
    found = from_json(json.loads(json.dumps(to_json(value))))
    assert found == value
    assert repr(found) == repr(value)
    assert type(found) is type(value)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.fractions())
keys = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=3)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=10,
)


@given(values)
def test_nothing_is_lost_of_any_value(value):
    assert repr(from_json(json.loads(json.dumps(to_json(value))))) == repr(value)


@pytest.mark.parametrize("value", [np.str_("a"), np.float64(0.5), np.int64(3), np.bool_(True)], ids=repr)
def test_numbers_of_numpy_become_plain(value):
    found = to_json(value)
    assert found == value
    assert type(found) in (str, float, int, bool)


@pytest.mark.parametrize("value", [{1, 2}, b"a", 1j, datetime.date(2000, 1, 1), [object()]], ids=repr)
def test_what_cannot_be_carried_is_named(value):
    with pytest.raises(TypeError, match=r"^(builtins|datetime)\."):
        to_json(value)


def test_containers_are_new():
    written = to_json({"board": [[1]]})
    assert from_json(written)["board"] is not written["board"]
    assert from_json(written)["board"][0] is not written["board"][0]
