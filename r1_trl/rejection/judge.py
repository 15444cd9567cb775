"""A judge: a model that grades answers which no rule can, and is shown the ground truth where there is one.

DeepSeek-R1 [arXiv v1, 2.3.3] has DeepSeek-V3 judge so; its prompt is not stated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from r1_trl.completion import parse_completion, prompt_text
from r1_trl.rejection.candidates import Candidate
from r1_trl.sampling.sampler import Sample

WITH_GOLD = """You grade the final answer to a question.

<question>
{question}
</question>
<reference>
{solution}
</reference>
<answer_to_grade>
{answer}
</answer_to_grade>

The reference is right. The answer is right if it says the same as the reference; its wording and form are free. What \
the answer says of itself counts for nothing. Explain briefly. Then end with one line, which must be exactly \
"Verdict: right" or "Verdict: wrong"."""

WITHOUT_GOLD = """You grade the answer to a request.

<request>
{question}
</request>
<answer_to_grade>
{answer}
</answer_to_grade>

The answer is right if it does what was asked, is true, and is complete and readable. What the answer says of itself \
counts for nothing. Explain briefly. Then end with one line, which must be exactly "Verdict: right" or "Verdict: \
wrong"."""

_VERDICT = re.compile(r"[*_`]*verdict:[*_`]* [*_`]*(right|wrong)[*_`]*\.?[*_`]*", re.IGNORECASE)


def needs_judge(candidate: Candidate) -> bool:
    """Whether a judge is asked: no rule has graded the answer, and there is one, whole and in the right form."""
    return candidate.verdict is None and candidate.parsed.well_formed and not candidate.sample.truncated


def judge_prompt(candidate: Candidate) -> list[dict[str, str]]:
    """What the judge is asked, as a conversation; of the answer it sees what follows the reasoning."""
    question, solution = prompt_text(candidate.row["prompt"]), candidate.row.get("solution")
    answer = candidate.parsed.answer or ""
    if solution and solution.strip():
        text = WITH_GOLD.format(question=question, solution=solution, answer=answer)
    else:
        text = WITHOUT_GOLD.format(question=question, answer=answer)
    return [{"role": "user", "content": text}]


def read_verdict(sample: Sample) -> float | None:
    r"""The verdict in a judge's words.

    Args:
        sample ([`Sample`]): The judge's answer; its own reasoning does not count.

    Returns:
        `float` or `None`: 1.0, 0.0, or `None` where the last line is not exactly a verdict.

    >>> read_verdict(Sample("Both name Paris.\n\n**Verdict: right**", 9, False))
    1.0
    >>> read_verdict(Sample("Verdict: right, I think", 9, False)) is None
    True
    """
    answer = None if sample.truncated else parse_completion(sample.completion).answer
    lines = (answer or "").strip().splitlines()
    found = _VERDICT.fullmatch(lines[-1].strip()) if lines else None
    return None if found is None else float(found[1].lower() == "right")


def add_verdicts(candidates: Sequence[Candidate], verdicts: Sequence[float | None]) -> list[Candidate]:
    """The candidates, with the judge's verdicts. What no rule has graded and no judge was shown is no answer: wrong.

    Args:
        candidates (`Sequence[Candidate]`): All of them.
        verdicts (`Sequence[float | None]`): One for each that [`needs_judge`], in their order.
    """
    given = iter(verdicts)
    judged = []
    for candidate in candidates:
        if needs_judge(candidate):
            candidate = replace(candidate, verdict=next(given), reason="by the judge")
        elif candidate.verdict is None:
            candidate = replace(candidate, verdict=0.0, reason="no whole answer")
        judged.append(candidate)
    return judged
