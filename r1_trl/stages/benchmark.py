"""A benchmark as the questions of an evaluation: its settings, and its rows."""

from __future__ import annotations

from collections.abc import Collection

from datasets import Dataset
from trl import ScriptArguments

from r1_trl.errors import InputError
from r1_trl.sampling.config import SamplingConfig
from r1_trl.stages.data import check_verifiers
from r1_trl.stages.questions import can_grade
from r1_trl.tasks.benchmark_loading import load_benchmark
from r1_trl.tasks.benchmarks import find_benchmark
from r1_trl.tasks.config import R1DatasetMixtureConfig


def settle_benchmark(
    name: str,
    config: SamplingConfig,
    script_args: ScriptArguments,
    mixture_args: R1DatasetMixtureConfig,
    given: Collection[str],
) -> None:
    """Fills in a benchmark's k where the user has left it open, in place, and refuses settings that it excludes.

    Args:
        name (`str`): Of the benchmark.
        config ([`~sampling.config.SamplingConfig`]): `num_generations`.
        script_args ([`~trl.ScriptArguments`]): `dataset_name`, a copy of the benchmark.
        mixture_args ([`R1DatasetMixtureConfig`]): `prompt_format` and `system_prompt` hold, the rest does not.
        given (`Collection[str]`): Names of the settings that the user wrote down.

    Raises:
        InputError: There is no such benchmark, or a setting goes against it.

    >>> settle_benchmark("math_500", SamplingConfig(), ScriptArguments(), R1DatasetMixtureConfig(), ["dataset_config"])
    Traceback (most recent call last):
    r1_trl.errors.InputError: `dataset_config` says what to read of a copy of `benchmark: math_500`: name that by \
`dataset_name`, or leave it out
    """
    benchmark = find_benchmark(name)
    if mixture_args.datasets:
        raise InputError(f"`benchmark: {name}` and `datasets` are both named: evaluate on one after the other")
    excluded = {
        "test_split_size": mixture_args.test_split_size is not None,
        "dataset_streaming": script_args.dataset_streaming,
        "streaming": mixture_args.streaming,
    }
    for setting, is_set in excluded.items():
        if is_set:
            raise InputError(f"`{setting}` does not go with `benchmark: {name}`, which is read whole: leave it out")
    for setting in ("dataset_config", "dataset_test_split"):
        if setting in given and not script_args.dataset_name:
            raise InputError(
                f"`{setting}` says what to read of a copy of `benchmark: {name}`: name that by `dataset_name`, or "
                "leave it out"
            )
    if "num_generations" not in given:
        config.num_generations = benchmark.num_generations


def benchmark_questions(
    name: str,
    script_args: ScriptArguments,
    mixture_args: R1DatasetMixtureConfig,
    num_questions: int | None,
    given: Collection[str],
) -> Dataset:
    """The questions of a benchmark, or of a copy of it, checked like those of any dataset.

    Args:
        name, script_args, mixture_args, given: As in [`settle_benchmark`].
        num_questions (`int` or `None`): The first ones only.

    Raises:
        InputError: They cannot be loaded, or their verifier cannot work here.
    """
    questions = load_benchmark(
        name,
        script_args.dataset_name,
        script_args.dataset_test_split if "dataset_test_split" in given else None,
        script_args.dataset_config,
        num_questions,
        mixture_args.prompt_format,
        mixture_args.system_prompt,
    )
    check_verifiers(questions, name)
    if not can_grade(questions):
        raise InputError(f"no question of `benchmark: {name}` can be graded: is `dataset_name` a copy of it?")
    return questions


def benchmark_name(name: str, script_args: ScriptArguments) -> str:
    """What to call the questions in a record.

    >>> benchmark_name("math_500", ScriptArguments())
    'HuggingFaceH4/MATH-500@6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be'
    """
    benchmark = find_benchmark(name)
    return script_args.dataset_name or f"{benchmark.path}@{benchmark.revision}"
