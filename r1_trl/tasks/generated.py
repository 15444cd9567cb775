"""Questions of reasoning-gym as a source with splits: `reasoning_gym:TASK`.

Its generators know no splits, and two seeds may draw the same question. Here a question belongs to `test` or to
`train` by its hash, so no seed and no size brings a question of one into the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from datasets import Dataset, IterableDataset

from r1_trl.errors import InputError
from r1_trl.tasks.questions import is_held_out, question_of
from r1_trl.tasks.reasoning_gym import make_dataset, row_of

GENERATED = "reasoning_gym:"
SPLITS = ("train", "test")
DEFAULT_SIZE = 1000
TEST_SHARE = 0.1
_DRAWS = 50  # for each row that is wanted, before a task is taken for too small
_CHUNK = 1000  # items of one generator; some tasks have a limit


def load_generated(
    name: str, split: str, options: Mapping[str, Any] | None = None, streaming: bool = False
) -> Dataset | IterableDataset:
    """Rows of one task.

    Args:
        name (`str`): `reasoning_gym:TASK`.
        split (`str`): `train`, or `test` with a tenth of all questions.
        options (`Mapping`, *optional*): `size`, 1,000 by default; `seed`, 0 by default; fields of the task's config.
        streaming (`bool`, *optional*, defaults to `False`): Make rows as they are needed.

    Raises:
        InputError: The task, the split or an option is not known or not valid, or the task has too few questions.

    >>> len(load_generated("reasoning_gym:chain_sum", "test", {"size": 4, "min_terms": 3}))
    4
    """
    task = name.removeprefix(GENERATED)
    params = dict(options or {})
    size, seed = params.pop("size", DEFAULT_SIZE), params.pop("seed", 0)
    if split not in SPLITS:
        raise InputError(f"`{name}` has no split `{split}`: it has {', '.join(SPLITS)}")
    for option, value, least in (("size", size, 1), ("seed", seed, 0)):
        if type(value) is not int or value < least:
            raise InputError(f"`{name}`: `{option}: {value}` must be a whole number from {least} on")
    make_dataset(task, {**params, "seed": seed, "size": size})  # refuses what is not valid, before a row is made
    arguments = {"task": task, "split": split, "size": size, "seed": seed, "params": params}
    if streaming:
        return IterableDataset.from_generator(_rows, gen_kwargs=arguments)
    return Dataset.from_list(list(_rows(**arguments)))


def _rows(task: str, split: str, size: int, seed: int, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    made, draws = 0, _DRAWS * size
    for start in range(0, draws, _CHUNK):  # item i of a generator with seed s has the seed s + i
        generator = make_dataset(task, {**params, "seed": seed + start, "size": _CHUNK})
        for index in range(min(_CHUNK, draws - start)):
            row = row_of(task, params, generator, generator[index])
            if is_held_out(question_of(row), TEST_SHARE, salt=GENERATED) == (split == "test"):
                made += 1
                yield row
                if made == size:
                    return
    raise InputError(f"`{GENERATED}{task}` has {made} questions in `{split}` among {draws}: lower `size`")
