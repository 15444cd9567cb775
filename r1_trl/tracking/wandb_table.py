"""Tables in W&B of which every step stays reachable.

TRL logs a new table at each step under one key, of which the workspace shows the last one alone
(huggingface/trl#2045). Here one table grows by the rows of each step, in W&B's mode `INCREMENTAL`: a step is a file of
its own, also in an offline run. The panel in the workspace shows the latest hundred steps; the artifact behind it
holds all of them.

wandb cuts a table at 10,000 rows by default; here at 200,000, as its artifacts do.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import pandas as pd

_tables: WeakKeyDictionary[Any, dict[tuple[str, tuple[str, ...]], Any]] = WeakKeyDictionary()


def log_increment(run: Any, key: str, rows: pd.DataFrame, step: int) -> None:
    """Adds rows to a table of a run.

    Args:
        run (`wandb.Run`): The run.
        key (`str`): The table's name.
        rows ([`~pandas.DataFrame`]): The rows of the step. Other columns than before begin a new table.
        step (`int`): The optimizer step, the x-axis.
    """
    columns = tuple(map(str, rows.columns))
    tables = _tables.setdefault(run, {})
    table = tables.get((key, columns))
    if table is None:
        table = tables[key, columns] = _table(list(columns), log_mode="INCREMENTAL")
        if not run.resumed:  # else wandb goes on with the number in the run's summary
            table._increment_num = 0  # its own name for the first one is "None", which it cannot sort
    # What has been logged is in its file. Kept here as well, the texts of a long run would fill the memory.
    table.data.clear()
    table._last_logged_idx = None
    for row in table_rows(rows):
        table.add_data(*row)
    run.log({key: table, "train/global_step": step})


def whole_table(rows: pd.DataFrame) -> Any:
    """A `wandb.Table` of these rows."""
    return _table(list(map(str, rows.columns)), data=table_rows(rows))


def _table(columns: list[str], **how: Any) -> Any:
    import wandb

    wandb.Table.MAX_ROWS = max(wandb.Table.MAX_ROWS, wandb.Table.MAX_ARTIFACT_ROWS)
    return wandb.Table(columns=columns, allow_mixed_types=True, **how)  # type: ignore[arg-type]


def table_rows(table: pd.DataFrame) -> list[list[Any]]:
    """The cells of a table by rows, with `None` for what is missing.

    >>> table_rows(pd.DataFrame({"accuracy_reward": [1.0, None], "answer": ["4", None]}))
    [[1.0, '4'], [None, None]]
    """
    rows: list[list[Any]] = table.astype(object).where(table.notna(), None).values.tolist()
    return rows
