"""Which metrics a report shows of a stage, in which order and under which names: the paper's figures come first."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1_trl.report.numbers import NUMBER, SHARE, TOKENS

REWARD_PART = re.compile(r"(?:eval_)?rewards/(.+)/mean")
_PASS_AT_K = re.compile(r"eval_pass@(\d+)")


@dataclass(frozen=True)
class Metric:
    """One figure.

    Args:
        title (`str`): What it shows.
        keys (`tuple[str, ...]`): Names in a log; the first that the run has counts. Held-out ones have `eval_` before.
        note (`str`): One sentence for a reader who meets it for the first time.
        unit (`str`): `"share"`, `"tokens"` or `"number"`.
        whole (`bool`): Whether a share is drawn from 0 to 100%, rather than as far as it goes.
        zero (`bool`): Whether the axis begins at 0.
        held_out (`bool`): Whether its held-out values say anything.
    """

    title: str
    keys: tuple[str, ...]
    note: str = ""
    unit: str = NUMBER
    whole: bool = False
    zero: bool = True
    held_out: bool = True


PASS_AT_1 = Metric(
    "Right answers (pass@1)",
    ("pass@1", "rewards/accuracy_reward/mean"),
    "Share of answers that the verifier finds right.",
    SHARE,
    whole=True,
)
LENGTH = Metric("Length of an answer (tokens)", ("completions/mean_length",), "Mean over all answers.", TOKENS)
LANGUAGE = Metric(
    "Language consistency",
    ("rewards/language_consistency_reward/mean",),
    "Share of the reasoning's words that are in the language of the question.",
    SHARE,
    whole=True,
)
KL = Metric("KL divergence from the reference", ("kl",))
REWARD = Metric("Reward", ("reward",), "Sum of all parts, weighted.", zero=False)
ENTROPY = Metric("Entropy", ("entropy",), "Nats a token: how undecided the model is.")
REPLACED = "Drops where the reference is replaced."
_GRPO = (
    REWARD,
    KL,
    ENTROPY,
    Metric(
        "Clipped tokens", ("clip_ratio/region_mean",), "Share whose ratio ran past the bound ε.", SHARE, held_out=False
    ),
    Metric(
        "Reflective words",
        ("reflection/words_per_thousand",),
        "wait, but, check and the like, in a thousand words.",
    ),
    Metric(
        "Answers changed by reflection",
        ("reflection/changed_answers",),
        "Share whose result changes after a reflective word.",
        SHARE,
    ),
    Metric("Truncated answers", ("completions/clipped_ratio",), "Share that ran into the length limit.", SHARE),
    Metric(
        "Groups without spread",
        ("frac_reward_zero_std",),
        "Share of questions whose answers all earned the same: no gradient.",
        SHARE,
        whole=True,
    ),
)
_SFT = (
    Metric("Loss", ("loss",), "Cross-entropy of the target tokens.", zero=False),
    Metric(
        "Token accuracy", ("mean_token_accuracy",), "Share of target tokens that are the likeliest.", SHARE, whole=True
    ),
)
_REWARD_MODEL = (
    Metric("Loss", ("loss",), "Of the reward model, on pairs or labels."),
    Metric("Accuracy", ("accuracy",), "Share of pairs or labels that are judged right.", SHARE, whole=True),
    Metric("Margin", ("margin",), "Mean difference between chosen and rejected.", zero=False),
)


def logged_keys(log_history: Sequence[Mapping[str, Any]]) -> list[str]:
    """All keys of all logs, in the order in which they first occur.

    >>> logged_keys([{"loss": 1.0}, {"loss": 0.5, "kl": 0.0}])
    ['loss', 'kl']
    """
    return list(dict.fromkeys(key for log in log_history for key in log))


def metrics_of(log_history: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """The metrics to show of a stage, told by what it logged. Rewards by part are no part of it.

    >>> [metric.title for metric in metrics_of([{"loss": 1.0, "mean_token_accuracy": 0.5}])]
    ['Loss', 'Token accuracy']
    """
    keys = logged_keys(log_history)
    if any(REWARD_PART.fullmatch(key) for key in keys):
        return [PASS_AT_1, *_pass_at_k(keys), LENGTH, LANGUAGE, *_GRPO]
    return list(_REWARD_MODEL if "accuracy" in keys or "margin" in keys else _SFT)


def reward_parts(log_history: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """One metric for each reward that was logged.

    >>> [part.title for part in reward_parts([{"rewards/format_reward/mean": 1.0, "rewards/format_reward/std": 0.0}])]
    ['format']
    """
    found = (REWARD_PART.fullmatch(key) for key in logged_keys(log_history))
    names = dict.fromkeys(match[1] for match in found if match)
    return [Metric(_readable(name), (f"rewards/{name}/mean",), "Mean of this reward.", zero=False) for name in names]


def _readable(reward: str) -> str:
    return reward.removesuffix("_reward").replace("_", " ")


def _pass_at_k(keys: Sequence[str]) -> list[Metric]:
    sizes = sorted({int(match[1]) for match in map(_PASS_AT_K.fullmatch, keys) if match} - {1})
    note = "Share of questions that one of so many answers solves."
    return [Metric(f"One of {k} right (pass@{k})", (f"pass@{k}",), note, SHARE, whole=True) for k in sizes]
