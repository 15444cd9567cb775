"""The settings of a mixture of sources: TRL's `datasets`, with what turns any source into rows of questions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

from trl import DatasetMixtureConfig
from trl.scripts.utils import DatasetConfig

from r1_trl.errors import InputError, did_you_mean
from r1_trl.language import language_code
from r1_trl.tasks.prompt_formats import check_prompt_format
from r1_trl.tasks.solutions import check_solution_format


@dataclass
class R1DatasetConfig(DatasetConfig):
    """
    One source of a mixture: [`~trl.scripts.utils.DatasetConfig`] with what its rows need to become questions.

    Parameters:
        path (`str`):
            As `dataset_name`: a Hub id, a local file or folder, `miniature:…`, `reasoning_gym:TASK`, or a builder
            (`json`, `csv`, `parquet`) with `data_files`.
        source (`str`, *optional*):
            Its name in the column `source`. Defaults to the rows' own, otherwise to `path` and `name`.
        column_mapping (`dict[str, str]`, *optional*):
            New name of a column -> its name in the source, such as `{question: problem, solution: answer}`. `question`
            becomes `prompt`.
        solution_format (`str`, *optional*, defaults to `"as_is"`):
            How the gold stands in `solution`: see [`~r1_trl.tasks.solutions.extract_solution`].
        verifier, language (`str`, *optional*):
            Those of all its rows.
        verifier_args (`dict` or `str`, *optional*):
            Those of all its rows; JSON text, or an object that becomes it.
        reward_funcs (`list[str]`, *optional*):
            The rewards of the run that apply to its rows; all of them by default.
        weight (`float`, *optional*):
            Its share of the mixture's rows, relative to the other weights: smaller sources repeat, larger ones are
            drawn from. For all sources of a mixture or for none.
        size (`int`, *optional*):
            At most so many of its rows, drawn by `mixture_seed`; the first ones of a stream. Of `reasoning_gym`, how
            many to make.
        test_split (`str`, *optional*):
            Its split to evaluate on. Without it, `test_split_size` holds out a share of its questions.
        reasoning_gym (`dict`, *optional*):
            `size`, `seed` and fields of the task's config, for a path `reasoning_gym:TASK`.
    """

    source: str | None = None
    column_mapping: dict[str, str] | None = None
    solution_format: str = "as_is"
    verifier: str | None = None
    verifier_args: dict[str, Any] | str | None = None
    language: str | None = None
    reward_funcs: list[str] | None = None
    weight: float | None = None
    size: int | None = None
    test_split: str | None = None
    reasoning_gym: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("path", "name", "split", "source", "verifier", "language", "test_split"):
            self._check(name, str, "text")
        for name in ("column_mapping", "reasoning_gym"):
            self._check(name, dict, "a mapping")
        for name in ("columns", "reward_funcs"):
            self._check(name, list, "a list of names")
        self._check("size", int, "a number of rows above 0", positive=True)
        for name in ("weight", "fraction"):
            self._check(name, (int, float), "a number above 0", positive=True)
        if not all(isinstance(name, str) for pair in (self.column_mapping or {}).items() for name in pair):
            raise self._error("column_mapping", "a mapping of names, such as {question: problem, solution: answer}")
        if self.reward_funcs is not None and not (
            self.reward_funcs and all(isinstance(name, str) for name in self.reward_funcs)
        ):
            raise self._error("reward_funcs", "a list of at least one name, or be left out for all rewards")
        check_solution_format(self.solution_format)
        if self.language is not None:
            language_code(self.language)
        if self.verifier_args is not None and not isinstance(self.verifier_args, (dict, str)):
            raise self._error("verifier_args", "a mapping or its JSON text")
        if isinstance(self.verifier_args, dict):
            self.verifier_args = json.dumps(self.verifier_args, ensure_ascii=False)

    @property
    def display_name(self) -> str:
        """How messages and the column `source` call it.

        >>> R1DatasetConfig("openai/gsm8k", name="main").display_name
        'openai/gsm8k/main'
        """
        return self.source or "/".join(filter(None, (self.path, self.name)))

    @property
    def constants(self) -> dict[str, Any]:
        """The columns that are the same for all rows.

        >>> R1DatasetConfig("rows.jsonl", verifier="choice", language="en").constants
        {'verifier': 'choice', 'language': 'en'}
        """
        names = ("source", "verifier", "verifier_args", "language", "reward_funcs")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def _check(self, name: str, kind: Any, description: str, positive: bool = False) -> None:
        value = getattr(self, name)
        required = name in ("path", "split")
        valid = (value is None and not required) or (isinstance(value, kind) and not isinstance(value, bool))
        if not valid or (positive and value is not None and not value > 0):
            raise self._error(name, description)

    def _error(self, name: str, description: str) -> InputError:
        return InputError(f"`datasets`, `{self.path}`: `{name}: {getattr(self, name)}` must be {description}")


@dataclass
class R1DatasetMixtureConfig(DatasetMixtureConfig):
    """
    [`~trl.DatasetMixtureConfig`] with sources of any kind, weights, prompt formats and splits that do not leak.

    Parameters:
        datasets (`list[R1DatasetConfig]`):
            The sources.
        test_split_size (`float`, *optional*):
            Share of the questions to hold out, by their hash: of `dataset_name`, or of each source of `datasets`
            without a `test_split`. TRL splits by row, which puts a question that occurs twice on both sides.
        prompt_format (`str`, *optional*, defaults to `"messages"`):
            What a `question` becomes: `messages` (of the user), `r1_chat` (with R1-Zero's instructions as the system
            message), `r1_zero` (text in R1-Zero's template, for a base model) or `text` (as it is).
        system_prompt (`str`, *optional*):
            The system message before it, for `prompt_format: messages`.
        mixture_size (`int`, *optional*):
            Rows of a mixture with weights. Defaults to those of all sources together.
        mixture_seed (`int`, *optional*, defaults to `0`):
            Which rows are drawn.
    """

    datasets: list[R1DatasetConfig] = field(  # type: ignore[assignment]
        default_factory=list, metadata={"help": "The sources of a mixture, each with a `path` and its settings."}
    )
    test_split_size: float | None = field(
        default=None, metadata={"help": "Share of the questions to hold out, by the hash of the question."}
    )
    prompt_format: str = field(
        default="messages",
        metadata={"help": "What a `question` becomes: messages, r1_chat, r1_zero or text."},
    )
    system_prompt: str | None = field(
        default=None, metadata={"help": "The system message before a question, for `prompt_format: messages`."}
    )
    mixture_size: int | None = field(
        default=None, metadata={"help": "Rows of a mixture with weights; those of all sources by default."}
    )
    mixture_seed: int = field(default=0, metadata={"help": "Which rows of the sources are drawn."})

    def __post_init__(self) -> None:
        self.datasets = [read_source(entry, "datasets") for entry in self.datasets]
        super().__post_init__()
        check_prompt_format(self.prompt_format, self.system_prompt)
        if self.test_split_size is not None and not 0 < self.test_split_size < 1:
            raise InputError(
                f"`test_split_size: {self.test_split_size}` must be a share between 0 and 1, such as 0.05: questions "
                "are held out by their hash"
            )
        if self.mixture_size is not None and not self.mixture_size > 0:
            raise InputError(f"`mixture_size: {self.mixture_size}` must be positive")
        if not self.mixture_seed >= 0:
            raise InputError(f"`mixture_seed: {self.mixture_seed}` must not be negative")
        self._check_weights()

    def _check_weights(self) -> None:
        for name in ("weight", "fraction"):
            values = [getattr(entry, name) for entry in self.datasets]
            if any(value is None for value in values) and any(value is not None for value in values):
                missing = next(entry for entry in self.datasets if getattr(entry, name) is None)
                raise InputError(f"`datasets`: `{missing.path}` has no `{name}`, others do: give it to all or to none")
        weighted = any(entry.weight is not None for entry in self.datasets)
        fractions = any(entry.fraction is not None for entry in self.datasets)
        if weighted and fractions:
            raise InputError("`datasets` has both `weight` and `fraction` (TRL's, never repeats a row): keep one")
        if fractions and self.streaming:
            raise InputError("`fraction` needs the number of rows, which a stream does not tell: use `weight`")
        if self.mixture_size is not None and not weighted:
            raise InputError(f"`mixture_size: {self.mixture_size}` needs a `weight` for each source")


def read_source(entry: Any, key: str) -> R1DatasetConfig:
    """A source from YAML, or from TRL's own class.

    Args:
        entry (`dict`, `str` or [`~trl.scripts.utils.DatasetConfig`]): Its settings, or its path alone.
        key (`str`): The setting that it belongs to, for the message.

    Raises:
        InputError: A key is unknown, or `path` is missing.

    >>> read_source({"path": "rows.jsonl", "wieght": 2}, "datasets")
    Traceback (most recent call last):
    r1_trl.errors.InputError: `datasets`, `rows.jsonl`: unknown key `wieght`; did you mean `weight`?
    """
    if isinstance(entry, R1DatasetConfig):
        return entry
    if isinstance(entry, DatasetConfig):
        return R1DatasetConfig(**vars(entry))
    settings = {"path": entry} if isinstance(entry, str) else entry
    if not isinstance(settings, dict) or not settings.get("path"):
        raise InputError(f"`{key}`: `{entry}` has no `path`: name a Hub id, a file, a folder or an embedded dataset")
    known = [known.name for known in fields(R1DatasetConfig)]
    for name in settings:
        if name not in known:
            hint = did_you_mean(str(name), known, "`")
            raise InputError(f"`{key}`, `{settings['path']}`: unknown key `{name}`{hint}")
    return R1DatasetConfig(**settings)
