"""Preference rewards: what the helpful and the safety reward model think of a completion (paper, section 3).

Stands between the rollout and TRL's GRPO step, beside the rules. TRL takes a reward model itself, but scores the whole
batch at once, reasoning included, however long; here the part that is scored, and the memory it takes, are bounded.

Departures from the paper:

1. It does not say whether the safety reward is the model's logit or its probability. Here it is the probability of
   "safe": bounded, as the rules' rewards are, so that no completion can outweigh them. The helpful reward is the
   logit, whose zero and unit mean nothing: `reward_weights` sets its weight.
2. It does not say what a completion without a final summary earns. Here it earns what an empty answer does, and never
   more than the worst answer to the same prompt in the batch. `None` is worth 0 to TRL, so that omitting the answer
   would pay wherever scores are negative; a fixed number would stand anywhere on a scale without a zero.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch

from r1_trl.completion import Messages
from r1_trl.errors import InputError
from r1_trl.preference.folder import KINDS, RECORD, find_reward_model
from r1_trl.preference.scorer import RewardScorer
from r1_trl.preference.text import SCORES, scored_text


class PreferenceReward:
    """Scores completions by a reward model. It loads when it is first called, but is checked when it is made.

    Args:
        model_name_or_path (`str`):
            A folder of `r1-trl reward-model`, a whole model or an adapter, or any `AutoModelForSequenceClassification`
            with one label.
        scores (`str`, *optional*):
            `"answer"`: the final answer alone; `"response"`: all of the completion. Defaults to what the model was
            trained on, by `reward_model.json`.
        sources (`list[str]`, *optional*):
            Rows of another `source` are `None`. All rows by default.
        micro_batch_size (`int`, *optional*, defaults to `8`):
            Completions in one forward pass, those of similar length together. Memory is bounded by the weights and
            `micro_batch_size` x `max_length` tokens.
        max_length (`int`, *optional*, defaults to `8192`):
            Tokens of prompt and response [N], at most those that the model has positions for. What is longer loses its
            beginning, prompt first: the score is read at the end.
        dtype (`str`, *optional*):
            `"bfloat16"`, `"float16"` or `"float32"`. Defaults to what the device computes in.
        load_in_4bit, load_in_8bit (`bool`, *optional*):
            Quantise the weights by bitsandbytes. Where neither is given, an adapter's base is as in its training.
        device (`str`, *optional*):
            Defaults to that of this process, by accelerate.
        offload (`bool`, *optional*, defaults to `False`):
            The weights wait in the CPU's memory between two calls.
        apply_sigmoid (`bool`, *optional*):
            The probability in place of the logit. Defaults to `True` for a safety model and `False` for any other.
        name (`str`, *optional*, defaults to `"preference_reward"`):
            In logs.

    Raises:
        [`~r1_trl.errors.InputError`]: There is no such model, or an argument is refused.

    >>> PreferenceReward("miniature:base")
    Traceback (most recent call last):
    r1_trl.errors.InputError: preference_reward: `model_name_or_path: miniature:base` is a Qwen3ForCausalLM and no \
reward model (AutoModelForSequenceClassification with one label): train one by `r1-trl reward-model`
    """

    kind: ClassVar[str | None] = None  # that the model must be of

    def __init__(
        self,
        model_name_or_path: str,
        scores: str | None = None,
        sources: Sequence[str] | None = None,
        micro_batch_size: int = 8,
        max_length: int = 8192,
        dtype: str | None = None,
        load_in_4bit: bool | None = None,
        load_in_8bit: bool | None = None,
        device: str | None = None,
        offload: bool = False,
        apply_sigmoid: bool | None = None,
        name: str | None = None,
    ) -> None:
        self.__name__ = name or (f"{self.kind}_reward" if self.kind else "preference_reward")
        self.sources = sources
        given = {"load_in_4bit": load_in_4bit, "load_in_8bit": load_in_8bit}
        quantisation = {key: value for key, value in given.items() if value is not None}
        try:
            found = find_reward_model(model_name_or_path)
            trained = found.record.get("kind")
            self.scores = self._check(found.name, trained, scores or found.record.get("scores"))
            self.scorer = RewardScorer(
                found, self.scores, micro_batch_size, max_length, dtype, quantisation, device, offload
            )
        except InputError as error:
            raise InputError(f"{self.__name__}: {error}") from error
        self.apply_sigmoid = (trained or self.kind) == "safety" if apply_sigmoid is None else apply_sigmoid

    def check_template(self) -> None:
        """Makes sure that the model can read conversations, without loading its weights.

        Raises:
            [`~r1_trl.errors.InputError`]: The tokenizer's chat template does not show what is to be scored.
        """
        self.scorer.load_tokenizer(conversational=True)

    def _check(self, model: str, trained: str | None, scores: str | None) -> str:
        if self.kind and trained and trained != self.kind:
            raise InputError(
                f"`model_name_or_path: {model}` is a {trained} model by its {RECORD}: name a {self.kind} one"
            )
        if isinstance(self.sources, str):
            raise InputError(f"`sources: {self.sources}` must be a list")
        scores = scores or (KINDS[self.kind] if self.kind else None)
        if scores not in SCORES:
            raise InputError(f"`scores: {scores}` must be {' or '.join(SCORES)}, as the model was trained")
        return scores

    def __call__(
        self,
        prompts: Sequence[str | Messages],
        completions: Sequence[str | Messages],
        source: Sequence[str | None] | None = None,
        think_opened: Sequence[bool | None] | bool | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **kwargs: Any,
    ) -> list[float | None]:
        """Scores a batch; TRL passes every argument by its name.

        Args:
            prompts (`Sequence` of `str` or of messages, length B): The prompts.
            completions (`Sequence` of `str` or of messages, length B): The completions, in TRL's two forms.
            source (`Sequence[str]` of length B, *optional*): The dataset's column, needed where `sources` are given.
            think_opened (`Sequence[bool]` of length B or `bool`, *optional*): Whether the prompt has opened `<think>`.
            log_metric (`Callable`, *optional*): TRL's; logs the shares `<name>/no_answer` and `<name>/cut` (longer
                than `max_length`) of the rows scored.
            **kwargs: Not used.

        Returns:
            `list[float | None]` of length B: logits or, for a safety model, probabilities; `None` for other sources.

        Raises:
            [`~r1_trl.errors.InputError`]: `sources` are given and there is no column `source`, or the tokenizer's
                chat template does not show what is to be scored.
        """
        size = len(completions)
        if self.sources is not None and source is None:
            raise InputError(f"{self.__name__}: `sources: {self.sources}` needs a column `source` in the dataset")
        opened = think_opened if isinstance(think_opened, Sequence) else [think_opened] * size
        mine = [i for i in range(size) if self.sources is None or (source or [])[i] in self.sources]
        rewards: list[float | None] = [None] * size
        if mine:
            asked = [prompts[i] for i in mine]
            texts = [scored_text(completions[i], self.scores, prompts[i], opened[i]) for i in mine]
            for i, score in zip(mine, self._score(asked, texts, log_metric), strict=True):
                rewards[i] = score
        return rewards

    def _score(
        self,
        prompts: list[str | Messages],
        texts: list[str | None],
        log_metric: Callable[[str, float], None] | None,
    ) -> list[float]:
        scores, cut = self.scorer(prompts, [text or "" for text in texts])
        if log_metric is not None:
            log_metric(f"{self.__name__}/no_answer", texts.count(None) / len(texts))
            log_metric(f"{self.__name__}/cut", cut / len(texts))
        if self.apply_sigmoid:
            scores = torch.tensor(scores).sigmoid().tolist()
        return cap_missing_answers(scores, prompts, [text is not None for text in texts])


class HelpfulReward(PreferenceReward):
    """[`PreferenceReward`] of a helpful model: how good is the final answer? Arguments and errors as there."""

    kind = "helpful"


class SafetyReward(PreferenceReward):
    """[`PreferenceReward`] of a safety model: how safe is the whole response? Arguments and errors as there."""

    kind = "safety"


def cap_missing_answers(
    scores: Sequence[float], prompts: Sequence[str | Messages], answered: Sequence[bool]
) -> list[float]:
    """No completion without an answer earns more than the worst answer to its prompt.

    Args:
        scores (`Sequence[float]` of length B): What the model says; of an empty answer, where there is none.
        prompts (`Sequence` of `str` or of messages, length B): Equal ones make a group.
        answered (`Sequence[bool]` of length B): Whether there is an answer.

    >>> cap_missing_answers([2.0, -3.0, 0.5, 0.5], ["a", "a", "a", "b"], [True, True, False, False])
    [2.0, -3.0, -3.0, 0.5]
    """
    groups = [prompt if isinstance(prompt, str) else json.dumps(prompt, default=str) for prompt in prompts]
    worst: dict[str, float] = {}
    for score, group, there in zip(scores, groups, answered, strict=True):
        if there:
            worst[group] = min(score, worst.get(group, score))
    return [
        score if there else min(score, worst.get(group, score))
        for score, group, there in zip(scores, groups, answered, strict=True)
    ]
