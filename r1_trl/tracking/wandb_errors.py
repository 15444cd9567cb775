"""What W&B raises ends no stage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def no_error_of_tracking(what: str) -> Iterator[None]:
    """Tells of what W&B does not take, and goes on: the stage's own files are there.

    Args:
        what (`str`): What is tracked, for the line.

    >>> with no_error_of_tracking("the artifact"):
    ...     raise OSError("no space left")
    """
    taken: tuple[type[Exception], ...] = (*_errors(), OSError, ValueError)  # ValueError: such as too long a name
    try:
        yield
    except taken as error:
        logger.warning("W&B does not get %s: %s", what, first_line(error))


def first_line(error: Exception) -> str:
    """What an error says, in one line; its type where it says nothing.

    >>> first_line(ValueError()), first_line(ValueError("no\\nyes"))
    ('ValueError', 'no')
    """
    return str(error).partition("\n")[0] or type(error).__name__


def _errors() -> tuple[type[Exception], ...]:
    try:
        import wandb
    except ImportError:
        return ()
    return (wandb.Error,)
