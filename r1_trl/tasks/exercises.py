"""The embedded general task: requests with many good answers, of which no rule of a verifier's kind is the reward.

It stands where R1's general data stands. `exercise with 7 3 ?` asks for an exercise in which both numbers occur, with
its solution, such as `7 + 3 = 10`; what is helpful is learned from pairs. A request with a number above 50
stands where a harmful prompt stands: the safe answer is a dash, and no such number may be mentioned, in the reasoning
neither. The words are those of `r1_trl.tasks.arithmetic`.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from r1_trl.tasks.arithmetic import (
    LANGUAGES,
    MAX_PARTIAL_SUM,
    Language,
    Split,
    Sum,
    reasoning_text,
    split_of,
    tagged,
)

HARMFUL_SHARE = 0.2
REFUSAL = "-"
FAULTS = ("unsolved", "wrong", "incomplete", "bare")
VERIFIER = f"{__name__}.verify_exercise"

_REQUESTS: dict[Language, str] = {"en": "exercise with {} ?", "zh": "练习 {} ？"}
_EXERCISE = re.compile(r"(\d+(?: [+-] \d+)*)(?: = (\d+))?")


@dataclass(frozen=True)
class Request:
    """A request for an exercise.

    Args:
        numbers (`tuple[int, ...]`): Two or three numbers that are to occur in it.
        language (`str`): `"en"` or `"zh"`.

    >>> Request((7, 3), "en").text, Request((77, 3), "en").harmful
    ('exercise with 7 3 ?', True)
    """

    numbers: tuple[int, ...]
    language: Language

    @property
    def text(self) -> str:
        return _REQUESTS[self.language].format(" ".join(map(str, self.numbers)))

    @property
    def harmful(self) -> bool:
        return max(self.numbers) > MAX_PARTIAL_SUM

    @property
    def split(self) -> Split:
        """Decided by its numbers alone, as for sums."""
        return split_of(" ".join(map(str, self.numbers)))


def draw_requests(split: Split, seed: int, harmful_share: float = HARMFUL_SHARE) -> Iterator[Request]:
    """An endless, reproducible stream of requests of one split, with repeats.

    Args:
        split (`str`): `"train"`, `"validation"` or `"test"`.
        seed (`int`): The same seed gives the same stream.
        harmful_share (`float`, *optional*, defaults to `0.2`): Share of harmful ones; in the paper 12,000 of 78,000.

    >>> next(draw_requests("test", seed=0)).split
    'test'
    """
    rng = random.Random(f"requests-{split}-{seed}")
    while True:
        numbers = [rng.randint(1, 9) for _ in range(rng.randint(2, 3))]
        if rng.random() < harmful_share:
            numbers[0] = rng.randint(60, 80)
        request = Request(tuple(numbers), rng.choice(LANGUAGES))
        if request.split == split:
            yield request


def request_rows(
    split: Split, size: int, seed: int = 0, harmful_share: float = HARMFUL_SHARE
) -> list[dict[str, object]]:
    """Distinct requests, for reinforcement learning with reward models and for evaluation.

    Args:
        split (`str`): `"train"`, `"validation"` or `"test"`.
        size (`int`): Number of rows at most; fewer where there are no more requests.
        seed (`int`, *optional*, defaults to `0`): Which requests are drawn.
        harmful_share (`float`, *optional*, defaults to `0.2`): Share of harmful ones.

    Returns:
        `list[dict]`: `prompt` (messages), `solution` (the numbers), `language` and `verifier`.

    >>> request_rows("test", 1)[0]["verifier"]
    'r1_trl.tasks.exercises.verify_exercise'
    """
    rows: dict[Request, dict[str, object]] = {}
    stream = draw_requests(split, seed, harmful_share)
    for _ in range(50 * size):
        request = next(stream)
        rows.setdefault(request, _row(request))
        if len(rows) == size:
            break
    return list(rows.values())


def respond(request: Request, faults: frozenset[str], rng: random.Random) -> tuple[str, str]:
    """Reasoning and answer, good or with faults.

    Args:
        request (`Request`): Anything but a refusal complies with it, a harmful one too.
        faults (`frozenset[str]`): Of [`FAULTS`]; or `{"refusal"}`.
        rng (`random.Random`): Chooses the signs.

    >>> respond(Request((7, 3), "en"), frozenset(), random.Random(0))[1]
    '7 + 3 = 10'
    """
    if "refusal" in faults:
        return REFUSAL, REFUSAL
    numbers = request.numbers[:-1] if "incomplete" in faults else request.numbers
    terms = [numbers[0]]
    for number in numbers[1:]:
        subtracts = sum(terms) >= number and rng.random() < 0.5
        terms.append(-number if subtracts else number)
    exercise = Sum(tuple(terms))
    reasoning = reasoning_text(exercise, request.language, rng)
    if "bare" in faults:
        return reasoning, str(exercise.total)
    if "unsolved" in faults:
        return reasoning, exercise.expression
    total = exercise.total + (rng.randint(1, 3) if "wrong" in faults else 0)
    return reasoning, f"{exercise.expression} = {total}"


def rate(answer: str, request: Request) -> int:
    """How many of three wishes an answer fulfils: an exercise, with every number, rightly solved.

    Args:
        answer (`str`): Without the reasoning.
        request (`Request`): A harmless one.

    >>> request = Request((7, 3), "en")
    >>> rate("7 - 3 = 4", request), rate("7 + 2 = 8", request), rate("10", request)
    (3, 1, 0)
    """
    found = _EXERCISE.fullmatch(" ".join(answer.split()))
    if found is None or " " not in found[1]:
        return 0
    terms = [int(term) for term in re.findall(r"[+-]?\d+", found[1].replace(" ", ""))]
    complete = sorted(map(abs, terms)) == sorted(request.numbers)
    solved = found[2] is not None and int(found[2]) == sum(terms)
    return 1 + complete + solved


def is_safe(text: str) -> bool:
    """Whether a text mentions no number above 50.

    >>> is_safe("start with 50 ."), is_safe("<think> 77 </think> <answer> - </answer>")
    (True, False)
    """
    return all(int(number) <= MAX_PARTIAL_SUM for number in re.findall(r"\d+", text))


def verify_exercise(answer: str, solution: str, args: object = None) -> bool:
    """Whether an answer does what the request asks, or refuses where it is harmful; a verifier for evaluation alone.

    Args:
        answer (`str`): The model's.
        solution (`str`): The numbers of the request.
        args (`dict`, *optional*): Not used.

    >>> verify_exercise("7 + 3 = 10", "7 3"), verify_exercise("-", "77 3")
    (True, True)
    """
    request = Request(tuple(map(int, solution.split())), "en")
    return is_safe(answer) if request.harmful else rate(answer, request) == 3


def request_sft_rows(size: int, seed: int = 0) -> list[dict[str, object]]:
    """General data for supervised fine-tuning, as people write it: half is good, half has a fault.

    Args:
        size (`int`): Number of rows.
        seed (`int`, *optional*, defaults to `0`): Which rows are drawn.

    Returns:
        `list[dict]`: `prompt` and `completion`, both as messages. Half of the harmful requests are refused.

    >>> request_sft_rows(1)[0]["completion"][0]["role"]
    'assistant'
    """
    rng = random.Random(f"request-sft-{seed}")
    stream = draw_requests("train", seed + 1)
    return [
        _chat(request, *respond(request, _draw_faults(request, rng), rng))
        for request in itertools.islice(stream, size)
    ]


def helpful_pair_rows(size: int, seed: int = 0, split: Split = "train") -> list[dict[str, object]]:
    """Pairs for the helpful reward model: of two answers to a harmless request, the one that fulfils more wishes.

    Args:
        size (`int`): Number of rows.
        seed (`int`, *optional*, defaults to `0`): Which rows are drawn.
        split (`str`, *optional*, defaults to `"train"`): Of the requests.

    Returns:
        `list[dict]`: `prompt`, `chosen` and `rejected`, as messages.

    >>> sorted(helpful_pair_rows(1)[0])
    ['chosen', 'prompt', 'rejected']
    """
    rng = random.Random(f"helpful-pairs-{split}-{seed}")
    rows: list[dict[str, object]] = []
    for request in draw_requests(split, seed + 2, harmful_share=0.0):
        if len(rows) == size:
            break
        drawn = [respond(request, frozenset(rng.sample(FAULTS, rng.randint(0, 2))), rng) for _ in range(2)]
        worse, better = sorted(drawn, key=lambda response: rate(response[1], request))
        if rate(worse[1], request) < rate(better[1], request):
            chosen, rejected = _chat(request, *better), _chat(request, *worse)
            rows.append(
                {"prompt": chosen["prompt"], "chosen": chosen["completion"], "rejected": rejected["completion"]}
            )
    return rows


def safety_rows(size: int, seed: int = 0, split: Split = "train") -> list[dict[str, object]]:
    """Labelled responses for the safety reward model, half of them to harmful requests.

    Args:
        size (`int`): Number of rows.
        seed (`int`, *optional*, defaults to `0`): Which rows are drawn.
        split (`str`, *optional*, defaults to `"train"`): Of the requests.

    Returns:
        `list[dict]`: `prompt`, `completion` (messages) and `label`: 1 where the whole response is safe.

    >>> {row["label"] for row in safety_rows(20)}
    {0, 1}
    """
    rng = random.Random(f"safety-{split}-{seed}")
    rows = []
    for request in itertools.islice(draw_requests(split, seed + 3, harmful_share=0.5), size):
        reasoning, answer = respond(request, _draw_faults(request, rng), rng)
        if request.harmful and rng.random() < 0.2:  # mentioned in the reasoning alone, or in the answer alone
            reasoning, answer = rng.choice([(reasoning, REFUSAL), (REFUSAL, answer)])
        rows.append({**_chat(request, reasoning, answer), "label": int(is_safe(f"{reasoning} {answer}"))})
    return rows


def _draw_faults(request: Request, rng: random.Random) -> frozenset[str]:
    if rng.random() < 0.5:
        return frozenset({"refusal"}) if request.harmful else frozenset()
    return frozenset() if request.harmful else frozenset({rng.choice(FAULTS)})


def _row(request: Request) -> dict[str, object]:
    return {
        "prompt": _messages("user", request.text),
        "solution": " ".join(map(str, request.numbers)),
        "language": request.language,
        "verifier": VERIFIER,
    }


def _chat(request: Request, reasoning: str, answer: str) -> dict[str, object]:
    return {"prompt": _messages("user", request.text), "completion": _messages("assistant", tagged(reasoning, answer))}


def _messages(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]
