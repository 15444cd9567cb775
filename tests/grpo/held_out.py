"""Held-out questions, and a table of their completions by question."""

from r1_trl.tasks.arithmetic import question_rows


def held_out_rows(number):
    return question_rows("validation", number)


def answers_by_question(table, verdict):
    """The verdicts on each question, as lists."""
    by_question = {}
    for prompt, right in zip(table["prompt"], verdict, strict=True):
        by_question.setdefault(str(prompt), []).append(float(right))
    return list(by_question.values())
