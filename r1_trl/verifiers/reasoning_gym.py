r"""The reasoning-gym verifier: does the task's own scoring in reasoning-gym accept this final answer?

It scores the rows of `r1_trl.tasks.reasoning_gym`. 72 of the 105 tasks bring a scoring of their own: most accept any
valid solution of a puzzle. The scoring is reasoning-gym's; what stands here is around it:

1. *Golds.* A row whose gold does not score 1 by the task's scoring cannot be graded (`None`): a damaged row, or a bug.
   An exception that an answer causes after that is the answer's, and the answer is wrong.
2. *Code.* Nine tasks hand the answer to Python's `eval`, or to sympy's parser, which evaluates it too: binary_matrix,
   n_queens, spiral_matrix, string_insertion; countdown, intermediate_integration, polynomial_multiplication, puzzle24,
   simple_integration. bitwise_arithmetic, number_sorting and three of these do it to texts of the row. Only texts that
   match one of the patterns below get there. They cannot run code, but a power can keep sympy busy for hours.
3. *Size.* Four tasks take a short answer for a huge piece of work, such as `1e999999999` or `R999999999`: coin_flip,
   propositional_logic, rubiks_cube, rush_hour. Patterns bound the numbers and names there, too.

Departures from reasoning-gym, whose scoring (0.1.25) gives full marks to wrong answers here:

1. coin_flip: to a prefix of the number, such as "0". Only what is within its tolerance of 0.0001 counts.
2. complex_arithmetic: to "nan".
3. game_of_life_halting: to any text. It has to be "True" or "False", as the gold is.
4. puzzle24: to any four numbers that make 24, or 24.9. They have to be the question's, and to make 24.
5. A score outside 0 to 1 is 0: spell_backward rounds to 1.0000000000000002 where a word starts right and goes on.
6. countdown, puzzle24: to `2_4`, which hides a number from its count. Only digits and `+ - * / ( )` are read.
7. intermediate_integration, simple_integration: to the question, as `Integral(…, x)`. Integrals are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

from r1_trl.errors import InputError
from r1_trl.tasks.reasoning_gym import NO_GOLD, check_task, from_json, load_reasoning_gym, make_dataset
from r1_trl.verifiers.reason import because

Entry = dict[str, Any]

# Beyond four times the gold and this many characters more, an answer scores nothing unread.
MAX_EXTRA = 10_000

# No brackets to call with, no dots, no operators but a minus: names, numbers, quoted texts and lists of them.
_LITERAL = re.compile(r"[\w\s'\",\[\]-]*")
_ARITHMETIC = re.compile(r"(?:[0-9()\s+-]|\*(?!\*)|/(?!/))*+")
_FUNCTIONS = "sqrt|exp|log|ln|a?(?:sin|cos|tan|cot|sec|csc)h?|Abs|pi"
# Names are variables or functions, and a dot belongs to a number: no attribute, no quotes, nothing else to call.
_ALGEBRA = re.compile(
    rf"(?:[\s+\-*/^(),]|(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?![\w.])|(?:{_FUNCTIONS}|[A-Za-z][0-9]?)(?![\w.]))*+"
)
_WITH_INTEGRALS = re.compile(_ALGEBRA.pattern.replace("sqrt|", "Integral|sqrt|"))
# task -> what an answer has to look like to be scored at all
_EVALUATED = {
    "binary_matrix": _LITERAL,
    "n_queens": _LITERAL,
    "spiral_matrix": _LITERAL,
    "string_insertion": _LITERAL,
    "countdown": _ARITHMETIC,
    "puzzle24": _ARITHMETIC,
    "intermediate_integration": _ALGEBRA,
    "polynomial_multiplication": _ALGEBRA,
    "simple_integration": _ALGEBRA,
}
_SHORT_NUMBERS = re.compile(r"(?:\D|(?<!\d)\d{1,3}(?!\d))*+")
_HEAVY = {
    "coin_flip": re.compile(r"[0-9\s.,/+-]*+(?:[eE][+-]?[0-9]{1,3})?+\s*"),
    "propositional_logic": re.compile(r"[A-Z\s()∨∧→↔¬]{0,1000}+"),
    "rubiks_cube": _SHORT_NUMBERS,
    "rush_hour": _SHORT_NUMBERS,
}
_ANSWER_PATTERNS = _EVALUATED | _HEAVY
# Some golds of sympy's are integrals that it could not solve.
_GOLD_PATTERNS = {**_ANSWER_PATTERNS, "intermediate_integration": _WITH_INTEGRALS}
# task -> (the texts of the row that its scoring evaluates, what they have to look like)
_ROW_PATTERNS: dict[str, tuple[Callable[[Entry], list[str]], re.Pattern[str]]] = {
    "bitwise_arithmetic": (lambda entry: [entry["metadata"]["problem"]], re.compile(r"[0-9a-fx\s()+*<>-]*", re.I)),
    "number_sorting": (lambda entry: [entry["answer"]], re.compile(r"[0-9\s'\",\[\].-]*")),
    "intermediate_integration": (lambda entry: [entry["metadata"]["integrand"]], _ALGEBRA),
    "simple_integration": (lambda entry: [entry["metadata"]["integrand"]], _ALGEBRA),
}


def _is_near(answer: str, entry: Entry) -> bool:
    given, gold = (float(Fraction(text.replace(",", ""))) for text in (answer, entry["answer"]))
    return abs(given - gold) <= 1e-4


def _makes_24(answer: str, entry: Entry) -> bool:
    from sympy.parsing.sympy_parser import parse_expr  # type: ignore[import-untyped]

    numbers = sorted(int(number) for number in re.findall(r"[0-9]+", answer))
    return numbers == sorted(entry["metadata"]["numbers"]) and bool(parse_expr(answer) == 24)


# task -> what full marks need beyond reasoning-gym's score
_STRICTER: dict[str, Callable[[str, Entry], bool]] = {
    "coin_flip": _is_near,
    "complex_arithmetic": lambda answer, entry: "nan" not in answer.lower(),
    "game_of_life_halting": lambda answer, entry: answer.strip().lower() == entry["answer"].lower(),
    "puzzle24": _makes_24,
}


class ReasoningGymVerifier:
    """Judges by reasoning-gym's own scoring; the module says what stands around it.

    >>> from r1_trl.tasks.reasoning_gym import reasoning_gym_rows
    >>> row = reasoning_gym_rows("countdown", 1)[0]
    >>> args = json.loads(row["verifier_args"])
    >>> verify_reasoning_gym(row["solution"], row["solution"], args)
    True
    >>> verify_reasoning_gym("1 + 1", row["solution"], {**args, "partial_credit": True})
    0.05
    """

    def check(self, args: dict[str, Any] | None = None) -> None:
        """Refuses to start where nothing could be scored.

        Args:
            args (`dict`, *optional*): A row's `verifier_args`; its `task` has to be known.

        Raises:
            [`~r1_trl.errors.MissingExtraError`]: If the extra `reasoning-gym` is not installed.
            [`~r1_trl.errors.InputError`]: If there is no such task.
        """
        load_reasoning_gym()
        if args is not None and "task" in args:
            check_task(args["task"])

    def __call__(self, answer: str, solution: str, args: dict[str, Any] | None = None) -> bool | float | None:
        """Whether reasoning-gym accepts a final answer.

        Args:
            answer (`str`): The final answer, without tags. One that is longer than four times the gold and 10,000
                characters scores nothing unread.
            solution (`str`): The gold, or an example of one.
            args (`dict`): As [`~r1_trl.tasks.reasoning_gym.reasoning_gym_rows`] writes them. With `partial_credit`,
                the score is returned; many tasks give 0.01 to 0.1 for the form alone.

        Returns:
            `bool` (a score of 1), with `partial_credit` a `float` from 0 to 1, or `None` when the row does not
            describe an entry of a task, or its gold does not score 1.

        Raises:
            [`~r1_trl.errors.MissingExtraError`]: If the extra `reasoning-gym` is not installed.

        Source: paper, section 4 (logic).
        """
        load_reasoning_gym()
        args = args or {}
        row = json.dumps({name: args[name] for name in ("task", "params", "metadata", "answer") if name in args})
        problem = _problem(row, solution)
        if problem:
            return because(None, problem)
        score, reason = _graded(answer, row, solution, _ANSWER_PATTERNS)
        return because(score if args.get("partial_credit") else score == 1.0, reason)


verify_reasoning_gym = ReasoningGymVerifier()


@lru_cache(maxsize=4096)
def _problem(row: str, solution: str) -> str:
    """Why a row cannot be graded, "" where it can; all the answers to a question share it."""
    try:
        task, _, entry = _read(row, solution)
        texts, plain = _ROW_PATTERNS.get(task, (lambda entry: [], _LITERAL))
        if not all(plain.fullmatch(text) for text in texts(entry)):
            return "the row holds code"
    except (InputError, ValueError, TypeError, KeyError) as error:
        return f"no entry of a task of reasoning-gym: {type(error).__name__}: {error}"
    if solution == NO_GOLD:
        return ""
    score, reason = _graded(solution, row, solution, _GOLD_PATTERNS)
    return "" if score == 1.0 else f"the gold is not right: {reason}"


def _graded(answer: str, row: str, solution: str, patterns: dict[str, re.Pattern[str]]) -> tuple[float, str]:
    """The score from 0 to 1, and what a person may want to know about it."""
    task, dataset, entry = _read(row, solution)
    if len(answer) > 4 * len(solution) + MAX_EXTRA:
        return 0.0, "far longer than the gold"
    if task in patterns and not patterns[task].fullmatch(answer):
        return 0.0, "signs that no answer to this task needs"
    try:
        score = float(dataset.score_answer(answer, entry))
        if score == 1.0 and task in _STRICTER and not _STRICTER[task](answer, entry):
            return 0.0, "not right, though reasoning-gym accepts it"
    # Hostile text in code that is not ours may raise anything. It hides no bug: the gold went through the same code.
    except Exception as error:  # noqa: BLE001
        return 0.0, f"reasoning-gym cannot read it: {type(error).__name__}"
    return (score, f"scores {score:.3g}") if 0 <= score <= 1 else (0.0, f"a score of {score:.17g}")


def _read(row: str, solution: str) -> tuple[str, Any, Entry]:
    """The task, its dataset and the entry, made anew: knight_swap's scoring writes into the metadata."""
    args = json.loads(row)
    entry = {
        "question": "",  # no scoring reads it
        "answer": from_json(args["answer"]) if "answer" in args else solution,
        "metadata": from_json(args.get("metadata", {})),
    }
    return args["task"], _dataset(args["task"], json.dumps(args.get("params", {}), sort_keys=True)), entry


@lru_cache(maxsize=128)
def _dataset(task: str, params: str) -> Any:
    """Parameters matter: decimal_arithmetic, time_intervals, word_ladder, arc_agi and others score by them."""
    return make_dataset(task, {**from_json(json.loads(params)), "seed": 0, "size": 1})
