"""The settings of rejection sampling."""

from __future__ import annotations

from dataclasses import dataclass, field

from r1_trl.errors import InputError, did_you_mean
from r1_trl.sampling.config import SamplingConfig, check_servers, require_at_least

SELECTIONS = ("random", "shortest")


@dataclass
class RejectionSamplingConfig(SamplingConfig):
    """
    Settings of rejection sampling: those of the sampling ([`~sampling.config.SamplingConfig`]), and these.

    The paper names the filters and none of their thresholds, nor how many answers to a question it keeps.

    Parameters:
        output_dir (`str`, *optional*, defaults to `"runs/rejection_sampling"`):
            Where all files go.
        num_questions (`int`, *optional*):
            The first so many rows, of a mixture each source's share of them; all by default.
        languages (`list[str]`, *optional*):
            Languages that may occur, see [`~rewards.LanguageConsistencyReward`].
        answer_tags (`bool`, *optional*, defaults to `True`):
            Well-formed answers have `<answer>` tags; `False` asks for text without them, as chat models give it.
        keep_unverified (`bool`, *optional*, defaults to `False`):
            Keep answers that neither a rule nor the judge has graded: general prompts without a gold.
        min_language_consistency (`float`, *optional*, defaults to `0.9`):
            Least share of the reasoning's words in its target language, from 0 to 1.
        max_paragraph_characters (`int`, *optional*, defaults to `2000`):
            Longest paragraph of the reasoning; blank lines part paragraphs. `null` in YAML lets all pass.
        allow_code_blocks (`bool`, *optional*, defaults to `False`):
            Keep reasoning with fenced code.
        deduplicate (`bool`, *optional*, defaults to `True`):
            Keep one of several answers with the same text to the same prompt.
        min_pass_rate (`float`, *optional*):
            Keep questions of which at least this share of the graded answers is right.
        max_pass_rate (`float`, *optional*):
            Keep questions of which at most this share is right.
        max_per_question (`int`, *optional*):
            M, answers to keep for each question; all by default.
        selection (`str`, *optional*, defaults to `"random"`):
            Which M: `"random"`, by `seed`, or `"shortest"`, by tokens.
        judge_base_url (`list[str]`, *optional*):
            Servers, compatible with OpenAI's API, of a model that grades what no rule can.
        judge_model (`str`, *optional*):
            Its name there.
        judge_api_key_env (`str`, *optional*):
            The environment variable with its key.
        judge_temperature (`float`, *optional*, defaults to `0.0`):
            Of its sampling.
        judge_max_completion_length (`int`, *optional*, defaults to `4096`):
            Tokens of its verdict, with its reasons.
    """

    output_dir: str = field(default="runs/rejection_sampling", metadata={"help": "Where all files go."})
    num_questions: int | None = field(default=None, metadata={"help": "So many questions; all by default."})
    languages: list[str] | None = field(default=None, metadata={"help": "Languages that may occur; all by default."})
    answer_tags: bool = field(default=True, metadata={"help": "Well-formed answers have <answer> tags."})
    keep_unverified: bool = field(
        default=False, metadata={"help": "Keep answers that neither a rule nor the judge has graded."}
    )
    min_language_consistency: float = field(
        default=0.9, metadata={"help": "Least share of the reasoning's words in its target language."}
    )
    max_paragraph_characters: int | None = field(
        default=2000, metadata={"help": "Longest paragraph of the reasoning."}
    )
    allow_code_blocks: bool = field(default=False, metadata={"help": "Keep reasoning with fenced code."})
    deduplicate: bool = field(default=True, metadata={"help": "Keep one of several answers with the same text."})
    min_pass_rate: float | None = field(default=None, metadata={"help": "Least pass rate of a question."})
    max_pass_rate: float | None = field(default=None, metadata={"help": "Greatest pass rate of a question."})
    max_per_question: int | None = field(default=None, metadata={"help": "M, answers to keep for each question."})
    selection: str = field(default="random", metadata={"help": "Which M are kept.", "choices": list(SELECTIONS)})
    judge_base_url: list[str] | None = field(
        default=None, metadata={"help": "Servers of a model that grades what no rule can."}
    )
    judge_model: str | None = field(default=None, metadata={"help": "The judge's name on its servers."})
    judge_api_key_env: str | None = field(default=None, metadata={"help": "Environment variable with its key."})
    judge_temperature: float = field(default=0.0, metadata={"help": "Temperature of the judge."})
    judge_max_completion_length: int = field(default=4096, metadata={"help": "Tokens of the judge's verdict."})

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(
            self,
            1,
            "num_questions",
            "max_paragraph_characters",
            "max_per_question",
            "judge_max_completion_length",
        )
        require_at_least(self, 0, "judge_temperature")
        for name in ("min_language_consistency", "min_pass_rate", "max_pass_rate"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(f"`{name}: {value}` must be a share from 0 to 1")
        low, high = self.min_pass_rate or 0.0, 1.0 if self.max_pass_rate is None else self.max_pass_rate
        if low > high:
            raise InputError(f"`min_pass_rate: {low}` is above `max_pass_rate: {high}`: no question could be kept")
        if self.selection not in SELECTIONS:
            hint = did_you_mean(self.selection, SELECTIONS, quote="`")
            raise InputError(f"`selection: {self.selection}` must be one of {', '.join(SELECTIONS)}{hint}")
        if self.judge_model or self.judge_base_url:
            check_servers(self.judge_base_url, self.judge_model, self.judge_api_key_env, prefix="judge_")
