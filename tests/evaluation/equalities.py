"""Verifiers whose equality is unusual, for the votes."""


def one_way(answer, solution, args=None):
    """The gold itself, and any text that begins with it: a longer text equals a shorter one, but not the reverse."""
    return answer.startswith(solution)


one_way.equality = f"{__name__}.one_way"


def without_equality(answer, solution, args=None):
    """Takes any even number."""
    return answer.strip().isdigit() and int(answer) % 2 == 0
