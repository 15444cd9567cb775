"""Many answers to many questions: for evaluation, for rejection sampling, and for judges.

Stands between the checkpoints and whoever reads their answers. One interface ([`Sampler`]), three backends, and a file
that survives a kill ([`sample_to_file`]). The names load on first use: torch comes with the backend that needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1_trl.sampling.config import SamplingConfig
    from r1_trl.sampling.openai import OpenAISampler
    from r1_trl.sampling.run import sample_to_file
    from r1_trl.sampling.sampler import ExactSampler, Request, Sample, Sampler, answer_seed
    from r1_trl.sampling.transformers import TransformersSampler, sample_completions
    from r1_trl.sampling.vllm import VLLMSampler

_MODULES = {
    "ExactSampler": "r1_trl.sampling.sampler",
    "OpenAISampler": "r1_trl.sampling.openai",
    "Request": "r1_trl.sampling.sampler",
    "Sample": "r1_trl.sampling.sampler",
    "Sampler": "r1_trl.sampling.sampler",
    "SamplingConfig": "r1_trl.sampling.config",
    "TransformersSampler": "r1_trl.sampling.transformers",
    "VLLMSampler": "r1_trl.sampling.vllm",
    "answer_seed": "r1_trl.sampling.sampler",
    "sample_completions": "r1_trl.sampling.transformers",
    "sample_to_file": "r1_trl.sampling.run",
}

__all__ = [
    "ExactSampler",
    "OpenAISampler",
    "Request",
    "Sample",
    "Sampler",
    "SamplingConfig",
    "TransformersSampler",
    "VLLMSampler",
    "answer_seed",
    "sample_completions",
    "sample_to_file",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
