"""From a row of a benchmark to a question with its gold: mathematics, four options, a program."""

from __future__ import annotations

import base64
import hashlib
import json
import pickletools
import zlib
from collections.abc import Mapping
from typing import Any

LETTERS = "ABCD"
NO_GOLD = "any program that passes the tests"

_MATH = "{question}\nPlease reason step by step, and put your final answer within \\boxed{{}}."
_CHOICE = (
    "Answer the following multiple choice question. The last line of your response should be of the following format: "
    "'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think step by step before answering.\n\n"
    "{question}\n\n{options}"
)
_CODE = (
    "You will be given a question (problem specification) and will generate a correct Python program that matches the "
    "specification and passes all tests.\n\nQuestion: {question}\n\n{form}\n```python\n{code}\n```"
)
_STARTER_CODE = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
_STDIN = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, it reads the "
    "inputs, runs the algorithm and writes output to STDOUT."
)
# Six seconds a test are LiveCodeBench's own. It sets no limit of memory; the contests' is 1 GB at most.
_LIMITS = {"time_limit": 6.0, "memory_limit_mb": 1024}
_MAX_BYTES = 2**30  # of the tests of one question
_TEXT_OPCODES = ("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
_OTHER_OPCODES = ("PROTO", "FRAME", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "STOP")


class BadRowError(Exception):
    """A row that cannot be used; the message says why."""


def math_row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A problem of AIME or MATH.

    Args:
        fields (`Mapping`): `question` (`str`) and `solution` (`str` or a number).

    >>> math_row({"question": "What is 1 + 1?", "solution": 2})["solution"]
    '2'
    """
    question, solution = (_text(fields, name) for name in ("question", "solution"))
    return {"question": _MATH.format(question=question), "solution": solution}


def choice_row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A question of GPQA with its four options in an order that depends on their texts and the question's alone.

    So the order is the same in every run, whatever the order of the rows, and the right option stands anywhere.

    Args:
        fields (`Mapping`): `question`, `right` and `wrong_1` to `wrong_3` (`str`).

    >>> options = {"right": "four", "wrong_1": "five", "wrong_2": "six", "wrong_3": "seven"}
    >>> row = choice_row({"question": "What is 2 + 2?", **options})
    >>> row["solution"], row["question"].splitlines()[-4:]
    ('B', ['A) five', 'B) four', 'C) six', 'D) seven'])
    """
    names = ("right", "wrong_1", "wrong_2", "wrong_3")
    question, *options = (_text(fields, name) for name in ("question", *names))
    order = sorted(range(len(options)), key=lambda index: _digest(question, options[index]))
    shuffled = [options[index] for index in order]
    listed = "\n".join(f"{letter}) {option}" for letter, option in zip(LETTERS, shuffled, strict=True))
    return {
        "question": _CHOICE.format(question=question, options=listed),
        "solution": LETTERS[order.index(0)],
        "verifier_args": json.dumps({"options": shuffled}, ensure_ascii=False),
    }


def code_row(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A question of LiveCodeBench with all its tests.

    Args:
        fields (`Mapping`): `question`, `starter_code`, `public_tests` (JSON text), `private_tests` (see
            [`read_tests`]) and `metadata` (JSON text, with `func_name` where a function is called).

    >>> row = {"question": "Double it.", "starter_code": "", "metadata": "{}", "private_tests": "[]"}
    >>> row = code_row({**row, "public_tests": '[{"input": "2", "output": "4"}]'})
    >>> json.loads(row["verifier_args"])
    {'inputs': ['2'], 'outputs': ['4'], 'time_limit': 6.0, 'memory_limit_mb': 1024}
    """
    question, starter = _text(fields, "question"), fields["starter_code"] or ""
    tests = [*read_tests(fields["public_tests"]), *read_tests(fields["private_tests"])]
    if not tests:
        raise BadRowError("it has no tests")
    try:
        function = json.loads(fields["metadata"] or "{}").get("func_name")
        given = {name: [test[name.removesuffix("s")] for test in tests] for name in ("inputs", "outputs")}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadRowError(f"its tests cannot be read: {type(error).__name__}: {error}") from error
    args = {**given, **({"fn_name": function} if function else {}), **_LIMITS}
    form, code = (_STARTER_CODE, starter) if starter.strip() else (_STDIN, "# YOUR CODE HERE")
    return {
        "question": _CODE.format(question=question, form=form, code=code),
        "solution": NO_GOLD,
        "verifier_args": json.dumps(args, ensure_ascii=False),
    }


def read_tests(field: str | None) -> list[Any]:
    """The tests in a field of LiveCodeBench: JSON text, or that text pickled, compressed and written in base64.

    A pickle can run code, so none is loaded: the text in it is read, and a pickle of anything else is refused.

    Args:
        field (`str` or `None`): As the row has it.

    Raises:
        `BadRowError`: It is neither.

    >>> import pickle
    >>> text = '[{"input": "2", "output": "4"}]'
    >>> read_tests(base64.b64encode(zlib.compress(pickle.dumps(text))).decode()) == read_tests(text)
    True
    """
    text = field or "[]"
    try:
        tests = json.loads(text if text.lstrip().startswith("[") else _unpacked(text))
    except (ValueError, RecursionError) as error:
        raise BadRowError(f"its tests cannot be read: {error}") from error
    if not isinstance(tests, list):
        raise BadRowError("its tests are no list")
    return tests


def _unpacked(field: str) -> str:
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(field, validate=True), _MAX_BYTES)
    except zlib.error as error:
        raise ValueError(error) from error
    texts = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in _TEXT_OPCODES:
            texts.append(argument)
        elif opcode.name not in _OTHER_OPCODES:
            raise ValueError(f"a pickle of more than a text is refused ({opcode.name})")
    if len(texts) != 1:
        raise ValueError(f"a pickle of {len(texts)} texts is refused")
    return str(texts[0])


def _text(fields: Mapping[str, Any], name: str) -> str:
    text = "" if fields[name] is None else str(fields[name]).strip()
    if not text:
        raise BadRowError(f"its `{name}` is empty")
    return text


def _digest(question: str, option: str) -> bytes:
    return hashlib.sha256(f"{question}\0{option}".encode("utf-8", "surrogatepass")).digest()
