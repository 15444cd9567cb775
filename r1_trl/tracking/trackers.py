"""Which of the trackers in `report_to` are there: one that is missing must not stop a run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from transformers.integrations import is_tensorboard_available, is_trackio_available, is_wandb_available

_INSTALLED = {
    "wandb": is_wandb_available,
    "trackio": is_trackio_available,
    "tensorboard": is_tensorboard_available,
}

logger = logging.getLogger(__name__)


def installed_trackers(report_to: Iterable[str] | None) -> list[str]:
    """Those that are installed; the others are left out with one line each, where a trainer would raise.

    Args:
        report_to (`Iterable[str]`, *optional*): Names, as [`~transformers.TrainingArguments`] has them. Those of other
            trackers than wandb, trackio and tensorboard stay.

    >>> installed_trackers(["wandb", "tensorboard"])
    ['wandb', 'tensorboard']
    """
    found = []
    for name in report_to or ():
        if _INSTALLED.get(name, _always)():
            found.append(name)
        elif int(os.environ.get("RANK", "0")) == 0:  # once, not from every process
            logger.warning("%s is not installed: the run goes on without it. pip install %s", name, name)
    return found


def _always() -> bool:
    return True
