"""The settings of `r1-trl data judge-pairs`: candidates, judge and votes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from r1_trl.errors import InputError
from r1_trl.preference.text import SCORES
from r1_trl.sampling.config import check_servers, read_object, require_at_least


@dataclass
class JudgePairsConfig:
    """
    Settings of `r1-trl data judge-pairs`. Four votes and a margin above 1 are the paper's [N]; the rest is not stated.

    Parameters:
        output_dir (`str`, *optional*, defaults to `"runs/pairs"`):
            Where `pairs.jsonl`, `funnel.json`, `votes.jsonl` and `stage.json` go.
        responses_column (`str`, *optional*, defaults to `"responses"`):
            The column with a list of candidates for each prompt: texts, or conversations of the assistant.
        samples_file (`str`, *optional*):
            A `samples.jsonl` of r1-trl in place of that column: answers to the rows of the dataset, in their order.
        scores (`str`, *optional*, defaults to `"answer"`):
            What is judged: the final `answer`, which is what a helpful model scores [N], or the whole `response`.
        num_votes (`int`, *optional*, defaults to `4`):
            Queries for each pair, each with the two answers in random order [N].
        min_margin (`float`, *optional*, defaults to `1.0`):
            The averaged scores must differ by more [N]. A judge scores from 1 to 10.
        max_length_ratio (`float`, *optional*, defaults to `2.0`):
            The longer answer may have so many times the characters of the shorter one. "Comparable" [N] is not stated.
        pairs_per_prompt (`int`, *optional*, defaults to `1`):
            At most so many pairs of a prompt's candidates, drawn by chance. Not stated.
        seed (`int`, *optional*, defaults to `42`):
            Of the pairs, the orders and the sampling.
        judge_function (`str`, *optional*):
            Dotted path of a function `(question, answer_a, answer_b) -> (score_a, score_b)` that judges by a rule.
        judge_base_url (`list[str]`, *optional*):
            Servers compatible with OpenAI's API, such as `http://localhost:8000/v1`, that judge (extra `openai`).
        judge_model (`str`, *optional*):
            The model's name on them.
        judge_api_key_env (`str`, *optional*):
            The environment variable with the key; without it, none is sent.
        judge_prompt_file (`str`, *optional*):
            A prompt of one's own, with `$question`, `$answer_a` and `$answer_b`, in place of the built-in one.
        judge_temperature (`float`, *optional*, defaults to `0.6`):
            Of its replies.
        judge_top_p (`float`, *optional*, defaults to `0.95`):
            Likewise.
        judge_max_completion_length (`int`, *optional*, defaults to `8192`):
            Tokens of a reply.
        judge_extra_body (`dict` or `str`, *optional*):
            What else goes into each request; JSON on the command line.
        judge_max_concurrent_requests (`int`, *optional*, defaults to `64`):
            Requests in flight to each server.
        judge_request_timeout (`float`, *optional*, defaults to `600.0`):
            Seconds for one reply.
        judge_server_timeout (`float`, *optional*, defaults to `600.0`):
            The run ends when every server has failed for so many seconds.
    """

    output_dir: str = field(default="runs/pairs", metadata={"help": "Where the pairs and the votes go."})
    responses_column: str = field(default="responses", metadata={"help": "Column with the list of candidates."})
    samples_file: str | None = field(default=None, metadata={"help": "A samples.jsonl in place of that column."})
    scores: str = field(
        default="answer", metadata={"help": "What is judged: answer or response.", "choices": list(SCORES)}
    )
    num_votes: int = field(default=4, metadata={"help": "Queries for each pair, in random order [N]."})
    min_margin: float = field(default=1.0, metadata={"help": "Averages must differ by more [N]."})
    max_length_ratio: float = field(default=2.0, metadata={"help": "Longer over shorter answer; not stated."})
    pairs_per_prompt: int = field(default=1, metadata={"help": "At most so many pairs of a prompt; not stated."})
    seed: int = field(default=42, metadata={"help": "Of the pairs, the orders and the sampling."})
    judge_function: str | None = field(
        default=None, metadata={"help": "Dotted path of (question, answer_a, answer_b) -> (score_a, score_b)."}
    )
    judge_base_url: list[str] | None = field(default=None, metadata={"help": "Servers of the judge."})
    judge_model: str | None = field(default=None, metadata={"help": "Its name on the servers."})
    judge_api_key_env: str | None = field(default=None, metadata={"help": "Environment variable with the key."})
    judge_prompt_file: str | None = field(default=None, metadata={"help": "A prompt of one's own."})
    judge_temperature: float = field(default=0.6, metadata={"help": "Of the judge's replies."})
    judge_top_p: float = field(default=0.95, metadata={"help": "Of the judge's replies."})
    judge_max_completion_length: int = field(default=8192, metadata={"help": "Tokens of a reply."})
    judge_extra_body: dict[str, Any] | str | None = field(
        default=None, metadata={"help": "What else goes into each request; JSON on the command line."}
    )
    judge_max_concurrent_requests: int = field(default=64, metadata={"help": "Requests in flight to each server."})
    judge_request_timeout: float = field(default=600.0, metadata={"help": "Seconds for one reply."})
    judge_server_timeout: float = field(
        default=600.0, metadata={"help": "The run ends when every server has failed for so many seconds."}
    )

    def __post_init__(self) -> None:
        positive = ("num_votes", "max_length_ratio", "pairs_per_prompt", "judge_max_completion_length")
        require_at_least(self, 1, *positive, "judge_max_concurrent_requests")
        require_at_least(self, 0, "min_margin", "judge_temperature")
        for name in ("judge_request_timeout", "judge_server_timeout"):
            if not getattr(self, name) > 0:
                raise InputError(f"`{name}: {getattr(self, name)}` must be positive")
        if not 0 < self.judge_top_p <= 1:
            raise InputError(f"`judge_top_p: {self.judge_top_p}` must be in (0, 1]")
        if self.scores not in SCORES:
            raise InputError(f"`scores: {self.scores}` must be {' or '.join(SCORES)}")
        self.judge_extra_body = read_object(self.judge_extra_body, "judge_extra_body")
        if bool(self.judge_function) == bool(self.judge_base_url or self.judge_model):
            raise InputError("name one judge: `judge_base_url` and `judge_model`, or `judge_function`")
        if not self.judge_function:
            check_servers(self.judge_base_url, self.judge_model, self.judge_api_key_env, "judge_")
