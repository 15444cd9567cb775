"""The reasoning-gym verifier: every task that the installed version offers, and what its scoring must not do to us."""

from __future__ import annotations

import copy
import inspect
import json
import re
import string
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1_trl.errors import InputError, MissingExtraError
from r1_trl.tasks.reasoning_gym import NO_GOLD, make_dataset, reasoning_gym_rows
from r1_trl.verifiers import reasoning_gym as verifier
from r1_trl.verifiers.reason import take_reason
from r1_trl.verifiers.reasoning_gym import verify_reasoning_gym

factory = pytest.importorskip("reasoning_gym").factory

TASKS = sorted(set(factory.DATASETS) - {"composite"})  # composite has no scoring of its own: it mixes the others
# Smaller puzzles where the default ones take seconds to generate.
PARAMS = {
    "boxnet": {"max_row_num": 2, "max_column_num": 2},
    "futoshiki": {"max_board_size": 5},
    "knight_swap": {"max_nodes": 6},
    "rush_hour": {"min_moves": 1, "max_moves": 1},
    "sokoban": {"max_w": 6, "max_h": 6, "max_boxes": 4, "max_depth": 40},
}
WITHOUT_GOLD = {
    "boxnet": "the metadata hold no example of a plan",
    "rush_hour": "the metadata hold no example of moves",
}
# task -> why an answer may score 0 here and not in reasoning-gym
DEPARTURES = {
    "coin_flip": "a prefix of the number scores 1 there",
    "complex_arithmetic": "nan scores 1 there",
    "countdown": "other signs than digits and + - * / ( ) are left unread, which is 0.01 there",
    "game_of_life_halting": "any text scores 1 there",
    "propositional_logic": "other names than capitals are left unread, which is 0.05 there",
    "puzzle24": "numbers that are not the question's score 1 there; other signs are left unread, which is 0.01 there",
    "spell_backward": "a word that goes on after the gold scores 1.0000000000000002 there",
}


def rows_of(task, size=2, seed=11, **params):
    rows = reasoning_gym_rows(task, size, seed, **PARAMS.get(task, {}), **params)
    return [(row["solution"], json.loads(row["verifier_args"])) for row in rows]


def wrong_answers(gold):
    yield from (
        "",
        "qqq",
        "0",
        "nan",
        "[]",
        "{}",
        "No",
        "[[0]]",
        "null",
        "1 2\n3 4",
        gold[: len(gold) // 2],
        gold + "1",
    )


ROWS = {task: rows_of(task, 1)[0] for task in TASKS}


def plan(state):
    """A plan for boxnet: box after box, first up and down, then left and right."""
    where = {item: tuple(map(float, key.split("_"))) for key, items in state.items() for item in items}
    for box in [item for item in where if item.startswith("box_")]:
        target = box.replace("box", "target")
        while where[box] != where[target]:
            (y, x), (to_y, to_x) = where[box], where[target]
            step = (y + (to_y > y) - (to_y < y), x) if y != to_y else (y, x + (to_x > x) - (to_x < x))
            yield {f"Agent[{y}, {x}]": f"move({box}, square[{step[0]}, {step[1]}])"}
            where[box] = step
        yield {f"Agent[{where[box][0]}, {where[box][1]}]": f"move({box}, {target})"}


@pytest.mark.parametrize("task", [task for task in TASKS if task not in WITHOUT_GOLD])
def test_the_gold_is_right_and_wrong_answers_are_not(task):
    for gold, args in rows_of(task):
        assert verify_reasoning_gym(gold, gold, args) is True, take_reason()
        assert verify_reasoning_gym(gold, gold, {**args, "partial_credit": True}) == 1.0
        wrong = [answer for answer in wrong_answers(gold) if verify_reasoning_gym(answer, gold, args) is False]
        assert len(wrong) >= 10  # "0" and the like are right now and then


def test_a_plan_for_boxnet_is_right():
    for gold, args in rows_of("boxnet", 5):
        assert gold == NO_GOLD
        steps = list(plan(args["metadata"]["initial_state"]))
        assert verify_reasoning_gym(json.dumps(steps), gold, args) is True
        assert verify_reasoning_gym(json.dumps(steps[:-1]), gold, args) is False
        assert verify_reasoning_gym(gold, gold, args) is False


def test_one_move_in_rush_hour_is_right():
    for gold, args in rows_of("rush_hour"):
        assert gold == NO_GOLD
        moves = [f"{car}{sign}{n}" for car in string.ascii_uppercase[:15] for sign in "+-" for n in range(1, 5)]
        right = [move for move in moves if verify_reasoning_gym(move, gold, args)]
        assert right
        assert {move[0] for move in right} == {"A"}
        assert verify_reasoning_gym(gold, gold, args) is False


@pytest.mark.parametrize("task", TASKS)
def test_scores_are_reasoning_gyms_own(task):
    """On the entry as the dataset made it, before any JSON."""
    dataset = make_dataset(task, {**PARAMS.get(task, {}), "seed": 11, "size": 1})
    entry = dataset[0]
    gold, args = rows_of(task, 1)[0]
    for answer in (gold, *wrong_answers(gold)):
        try:
            theirs = dataset.score_answer(answer, copy.deepcopy(entry))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            theirs = 0.0
        ours = verify_reasoning_gym(answer, gold, {**args, "partial_credit": True})
        assert ours == theirs or (ours == 0.0 and task in DEPARTURES), (answer, take_reason())


# (task, gold, metadata, an answer to which reasoning-gym gives full marks or more, an answer that is right)
INFLATED = [
    ("coin_flip", "0.109375", {}, "0", "7/64"),
    ("coin_flip", "0.109375", {}, "0.1", "0.10938"),
    ("complex_arithmetic", "4.0 + 3.0i", {"result": [4, 3]}, "nan", "4+3i"),
    ("countdown", "2*(3 + 4)", {"numbers": [2, 3, 4], "target": 14}, "1_4 + 0_0*(2 + 3 + 4)", "(4+3)*2"),
    ("game_of_life_halting", "False", {}, "True", "false"),
    ("game_of_life_halting", "True", {}, "False", "True"),
    ("intermediate_integration", "x**2 + C", {"integrand": "2*x", "variable": "x"}, "Integral(2*x, x)", "x**2"),
    ("puzzle24", "8*(5*1 - 2)", {"numbers": [5, 1, 2, 8]}, "6*4*1*1", "(5*1-2)*8"),
    ("puzzle24", "5*5 - 4 + 3", {"numbers": [5, 5, 3, 4]}, "5*5 - 3/4", "3 - 4 + 5*5"),
    ("simple_integration", "x**2 + C", {"integrand": "2*x", "variable": "x"}, "Integral(2*x, x)", "x**2"),
    ("spell_backward", "lkjihgfedcb", {}, "lkjihgfedcbx", "LKJIHGFEDCB"),
]


@pytest.mark.parametrize(("task", "gold", "metadata", "inflated", "right"), INFLATED)
def test_what_reasoning_gym_inflates_is_wrong(task, gold, metadata, inflated, right):
    """Where this fails because reasoning-gym has mended its scoring, the departure can go."""
    entry = {"answer": gold, "metadata": metadata}
    assert make_dataset(task, {"seed": 0, "size": 1}).score_answer(inflated, copy.deepcopy(entry)) >= 1
    args = {"task": task, "metadata": metadata}
    assert verify_reasoning_gym(inflated, gold, args) is False
    assert verify_reasoning_gym(inflated, gold, {**args, "partial_credit": True}) == 0.0
    assert verify_reasoning_gym(right, gold, args) is True, take_reason()


def test_a_gold_that_sympy_could_not_integrate():
    gold, metadata = "Integral(x**2*cos(x), x) + C", {"integrand": "x**2*cos(x)", "variable": "x"}
    args = {"task": "intermediate_integration", "metadata": metadata}
    assert verify_reasoning_gym("x**2*sin(x) + 2*x*cos(x) - 2*sin(x) + C", gold, args) is True
    assert verify_reasoning_gym(gold, gold, args) is False


EVALUATES = re.compile(r"(?<!literal_)\b(?:eval|exec|parse_expr|sympify|loads?txt|verify_solution)\(")
READ_WITHOUT_EVALUATING = {
    "jugs": "its verify_solution looks moves up",
    "number_sorting": "it evaluates the gold",
    "bitwise_arithmetic": "it evaluates the question's text",
    "pool_matrix": "numpy's loadtxt reads numbers alone",
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_that_evaluates_answers_is_known(task):
    source = inspect.getsource(factory.DATASETS[task][0].score_answer)
    known = task in verifier._EVALUATED or task in READ_WITHOUT_EVALUATING
    assert bool(EVALUATES.search(source)) is known


CODE = [
    "open('{}', 'w')",
    "[open('{}', 'w')]",
    "__import__('pathlib').Path('{}').touch()",
    "[*map(open, ['{}'], ['w'])]",
    "print(1, file=open('{}', 'w'))",
    "x.__class__.__base__.__subclasses__() or open('{}', 'w')",
    'S(\'open("{}", "w")\')',
    'sympify(\'open("{}", "w")\')',
    "(lambda: open('{}', 'w'))()",
    "f\"{{open('{}', 'w')}}\"",
]


@pytest.mark.parametrize("task", TASKS)
def test_no_answer_runs_as_code(task, tmp_path):
    gold, args = ROWS[task]
    for code in CODE:
        assert verify_reasoning_gym(code.format(tmp_path / "touched"), gold, args) is False
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", sorted(verifier._ROW_PATTERNS.keys() | verifier._EVALUATED.keys()))
def test_no_row_runs_as_code(task, tmp_path):
    gold, args = ROWS[task]
    for code in (code.format(tmp_path / "touched") for code in CODE):
        metadata = {name: code if isinstance(value, str) else value for name, value in args["metadata"].items()}
        assert verify_reasoning_gym(gold, gold, {**args, "metadata": metadata}) in (True, None)
        assert verify_reasoning_gym(code, code, args) is None
    assert not list(tmp_path.iterdir())


def test_the_code_would_run(tmp_path):
    """The two tests above can fail: reasoning-gym alone runs it."""
    gold, _ = ROWS["spiral_matrix"]
    code = CODE[0].format(tmp_path / "touched")
    make_dataset("spiral_matrix", {"seed": 0, "size": 1}).score_answer(code, {"answer": gold, "metadata": {}})
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("task", "answer"),
    [("prime_factorization", "two"), ("boxnet", "[1]"), ("game_of_life", "{}"), ("coin_flip", "1e400")],
)
def test_an_answer_on_which_the_scoring_breaks_is_wrong(task, answer):
    gold, args = ROWS[task]
    assert verify_reasoning_gym(answer, gold, args) is False
    assert "cannot read it" in take_reason()


def test_a_bug_in_the_scoring_is_no_wrong_answer(monkeypatch):
    monkeypatch.setattr(factory.DATASETS["gcd"][0], "score_answer", lambda self, answer, entry: 1 / 0)
    gold, args = rows_of("gcd", 1, seed=99)[0]
    assert verify_reasoning_gym(gold, gold, args) is verify_reasoning_gym("0", gold, args) is None
    assert "ZeroDivisionError" in take_reason()


@pytest.mark.parametrize("score", [float("nan"), 1.5, -1.0, float("inf")])
def test_a_score_outside_its_range_is_none(monkeypatch, score):
    def score_answer(self, answer, entry):
        return 1.0 if answer == entry["answer"] else score

    monkeypatch.setattr(factory.DATASETS["lcm"][0], "score_answer", score_answer)
    gold, args = rows_of("lcm", 1)[0]
    assert verify_reasoning_gym("0", gold, args) is False
    assert verify_reasoning_gym("0", gold, {**args, "partial_credit": True}) == 0.0


@pytest.mark.parametrize(
    "args",
    [
        None,
        {},
        {"task": 3},
        {"task": ["gcd"]},
        {"task": "gdc"},
        {"task": "composite"},
        {"task": "gcd", "params": {"numbers": 3}},
        {"task": "gcd", "params": 3},
        {"task": "gcd", "params": {"min_numbers": -1}},
        {"task": "countdown"},
        {"task": "countdown", "metadata": {}},
        {"task": "countdown", "metadata": {"numbers": [1, 2], "target": 4}},
        {"task": "jugs", "metadata": [1]},
        {"task": "jugs", "metadata": {"__items__": [1]}},
        {"task": "simple_integration", "metadata": {"integrand": 3, "variable": "x"}},
    ],
    ids=str,
)
def test_a_row_that_is_no_entry_cannot_be_graded(args):
    for answer in ("1 + 2", "3", ""):
        assert verify_reasoning_gym(answer, "1 + 2", args) is None
        assert take_reason()


def test_a_wrong_gold_cannot_be_graded():
    _, args = ROWS["countdown"]
    assert verify_reasoning_gym("1 + 1", "1 + 1", args) is None
    assert take_reason() == "the gold is not right: scores 0.05"


def test_parameters_count_in_the_scoring():
    args = {"task": "decimal_arithmetic", "metadata": {}}
    assert verify_reasoning_gym("1.26", "1.21", args) is False
    assert verify_reasoning_gym("1.26", "1.21", {**args, "params": {"max_num_decimal_places": 1}}) is True


def test_scoring_leaves_the_row_as_it_is():
    """knight_swap's writes the states of the board into the metadata."""
    gold, args = ROWS["knight_swap"]
    before = copy.deepcopy(args)
    assert verify_reasoning_gym(gold, gold, args) is verify_reasoning_gym(gold, gold, args) is True
    assert args == before


def test_partial_credit_and_reason():
    gold, args = ROWS["sentence_reordering"]
    swapped = " ".join(["x", *gold.split()[1:]])
    score = verify_reasoning_gym(swapped, gold, {**args, "partial_credit": True})
    assert 0 < score < 1
    assert take_reason() == f"scores {score:.3g}"
    assert verify_reasoning_gym(swapped, gold, args) is False


def test_check():
    verify_reasoning_gym.check(None)
    verify_reasoning_gym.check({"task": "gcd"})
    with pytest.raises(InputError, match="no task 'gdc'; did you mean 'gcd'"):
        verify_reasoning_gym.check({"task": "gdc"})


def test_without_the_extra(monkeypatch):
    gold, args = ROWS["gcd"]
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(MissingExtraError, match=r"r1-trl\[reasoning-gym\]"):
        verify_reasoning_gym.check(args)
    with pytest.raises(MissingExtraError):
        verify_reasoning_gym(gold, gold, args)


@pytest.mark.parametrize("task", TASKS)
def test_endless_answers_take_no_time(task):
    gold, args = ROWS[task]
    start = time.perf_counter()
    for piece in ("9", "[", " ", "A1", "\n"):
        assert verify_reasoning_gym(piece * 1_000_000, gold, args) is False
    assert time.perf_counter() - start < 1


# short answers for which reasoning-gym would work for minutes or take all memory
BOMBS = [
    ("coin_flip", "1e999999999"),
    ("coin_flip", "1/1e-999999999"),
    ("countdown", "9**9**9**9"),
    ("propositional_logic", " ∧ ".join(string.ascii_lowercase)),
    ("propositional_logic", "¬" * 9_000 + "P"),
    ("puzzle24", "9**9**9**9"),
    ("rubiks_cube", "R999999999"),
    ("rush_hour", "A+999999999"),
    ("spiral_matrix", "[0]*10**10"),
]


@pytest.mark.parametrize(("task", "answer"), BOMBS)
def test_bombs_are_left_unread(task, answer):
    gold, args = ROWS[task]
    start = time.perf_counter()
    assert verify_reasoning_gym(answer, gold, args) is False
    assert take_reason() == "signs that no answer to this task needs"
    assert time.perf_counter() - start < 1


text = st.text(max_size=30)
SIGNS = [
    *"0123456789+-*/().,=:[]{}ABCabcx '\"\n",
    "\x00",
    "\ud800",
    "nan",
    "inf",
    "No",
    "True",
    "move",
    "null",
    "²",
    "٣",
]
pieces = st.one_of(text, st.lists(st.sampled_from(SIGNS), max_size=12).map("".join))


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(TASKS), pieces)
def test_any_answer_scores_from_0_to_1(task, answer):
    gold, args = ROWS[task]
    score = verify_reasoning_gym(answer, gold, {**args, "partial_credit": True})
    assert 0 <= score <= 1
    assert verify_reasoning_gym(answer, gold, args) is (score == 1)
