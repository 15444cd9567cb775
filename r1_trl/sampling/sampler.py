"""The one interface of all sampling backends: requests go in, answers come out as they are ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

# A text, or a conversation. TRL's messages are plain dicts, so nothing tighter than Any holds for their values.
Prompt: TypeAlias = str | Sequence[dict[str, Any]]


class Sample(NamedTuple):
    """One answer to one question."""

    completion: str  # text, without the end token
    num_tokens: int  # with the end token
    truncated: bool  # reached the maximum length before its end
    refusal: str | None = None  # a server's words, where it would not answer: the completion is empty then


class Request(NamedTuple):
    """One answer that is wanted.

    Args:
        prompt (`str` or `list[dict]`): A text, or messages.
        seed (`int`): Of this answer, see [`answer_seed`]; for backends that sample each answer by itself.
    """

    prompt: Prompt
    seed: int


class Sampler(Protocol):
    """What a backend can do."""

    def sample(self, requests: Sequence[Request]) -> Iterator[tuple[int, Sample]]:
        """Samples one answer to each request.

        Args:
            requests (`Sequence[Request]`): R of them; those to the same question side by side.

        Returns:
            `Iterator[tuple[int, Sample]]`: R pairs of a request's index and its answer, in the order in which they
                are ready.
        """


@runtime_checkable
class ExactSampler(Sampler, Protocol):
    """A backend whose answers depend on those before them, and that can go on exactly where it was.

    `state` is what [`ExactSampler.restore`] needs to go on after the answers that [`Sampler.sample`] has handed out so
    far, as text; `None` where it cannot go on from there, as in the middle of a batch.
    """

    state: str | None

    def restore(self, state: str) -> None:
        """Makes the next call of [`Sampler.sample`] go on from a state.

        Args:
            state (`str`): As `state` was in an earlier process.
        """


def answer_seed(seed: int, question: int, sample: int) -> int:
    """The seed of one answer: another one for each, and the same in every run.

    Args:
        seed (`int`): Of the run.
        question (`int`): Index of the question.
        sample (`int`): Index of the answer among those to the question.

    Returns:
        `int`: Between 0 and 2³¹ - 1, which every server takes.

    >>> answer_seed(42, 0, 0), answer_seed(42, 0, 1), answer_seed(42, 1, 0)
    (523539637, 246966492, 1256210453)
    """
    digest = blake2b(f"{seed} {question} {sample}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) >> 1
