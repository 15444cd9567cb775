"""A table of completions, for the trackers that show one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from r1_trl.completion import completion_text, prompt_text
from r1_trl.tracking.wandb_table import log_increment

_TEXTS = {"prompt": prompt_text, "completion": completion_text}


def log_table(table: pd.DataFrame, key: str, step: int, report_to: Iterable[str] | None) -> None:
    """Logs the completions of a step to W&B and Trackio, where they are asked for.

    Args:
        table ([`~pandas.DataFrame`]): One row a completion. `prompt` and `completion` are shown as plain text; a
            column `image` holds lists of pictures.
        key (`str`): What the table is called.
        step (`int`): The optimizer step.
        report_to (`Iterable[str]`, *optional*): Trackers of the run; others show no tables.

    >>> log_table(pd.DataFrame({"prompt": ["2 + 2?"], "completion": ["4"]}), "completions", 1, ["tensorboard"])
    """
    trackers = set(report_to or ()) & {"wandb", "trackio"}
    if not trackers:
        return
    table = shown(table)
    if "wandb" in trackers:
        import wandb

        if wandb.run is not None:
            log_increment(wandb.run, key, _with_images(table, wandb), step)
    if "trackio" in trackers:
        import trackio

        trackio.log({key: trackio.Table(dataframe=_with_images(table, trackio))}, step=step)


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `prompt` and `completion` as plain text, where it has them.

    >>> shown(pd.DataFrame({"prompt": [[{"role": "user", "content": "2 + 2?"}]]}))["prompt"].tolist()
    ['2 + 2?']
    """
    return table.assign(**{name: table[name].map(read) for name, read in _TEXTS.items() if name in table})


def _with_images(table: pd.DataFrame, tracker: Any) -> pd.DataFrame:
    if "image" not in table:
        return table

    def wrap(images: Sequence[Any] | None) -> list[Any]:
        return [tracker.Image(image) for image in images or ()]

    return table.assign(image=table["image"].map(wrap))
