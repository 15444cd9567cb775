"""Rewards by row: the column `reward_funcs` names those of the run that apply to it.

RL stage 2 rewards reasoning prompts by rules and general prompts by reward models, in one run [N]. A reward function
gets its own rows alone, so that a reward model costs nothing on the others; all other rows are `None` to it. The
answers to one question share its row, so each group is compared by the same rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import nn
from trl.trainer.utils import is_async_callable

from r1_trl.errors import InputError, did_you_mean

ROUTE = "reward_funcs"  # the column


def own_rows(name: str, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """The indices of the rows that a reward applies to: those without a route, and those whose route names it.

    Args:
        name (`str`): Of the reward, without the module of a dotted path.
        rows (`Sequence[Mapping]`): B rows.

    >>> own_rows("helpful_reward", [{}, {"reward_funcs": ["accuracy_reward"]}, {"reward_funcs": ["helpful_reward"]}])
    [0, 2]
    """
    return [i for i, row in enumerate(rows) if not row.get(ROUTE) or name in map(short_name, row[ROUTE])]


def short_name(name: str) -> str:
    """The name that a reward has in a run: the last part of a dotted path.

    >>> short_name("my_pkg.rewards.my_reward")
    'my_reward'
    """
    return name.rpartition(".")[2]


def check_routes(routes: Iterable[Sequence[str] | None], names: Sequence[str], place: str) -> None:
    """Refuses a route with the name of no reward of the run, or without a name.

    Args:
        routes (`Iterable[Sequence[str]]`): Values of the column.
        names (`Sequence[str]`): The rewards of the run.
        place (`str`): What has the column, for the message.

    Raises:
        InputError: Told with the name.

    >>> check_routes([None, ["helpfull_reward"]], ["accuracy_reward", "helpful_reward"], "rows.jsonl")
    Traceback (most recent call last):
    r1_trl.errors.InputError: dataset `rows.jsonl`, column `reward_funcs`: `helpfull_reward` is no reward of this \
run; did you mean `helpful_reward`? It has accuracy_reward, helpful_reward
    """
    column = f"dataset `{place}`, column `{ROUTE}`"
    given = [route if isinstance(route, str) else tuple(route) for route in routes if route is not None]
    for route in dict.fromkeys(given):
        if not route or isinstance(route, str):
            raise InputError(f"{column}: {route or []!r} must be a list of names of rewards, or null for all")
        for name in route:
            if short_name(name) not in names:
                hint = did_you_mean(name, names, "`")
                raise InputError(f"{column}: `{name}` is no reward of this run{hint} It has {', '.join(names)}")


class Router:
    """Sends each row to its own rewards. Remembers which columns a reward logs, so that tables stay aligned."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[str, None]] = {}

    def route(self, function: Any, name: str, rows: Sequence[Mapping[str, Any]]) -> Any:
        """A reward function for a whole batch that calls another one with its own rows alone.

        Args:
            function (`Callable` or [`~torch.nn.Module`]): A reward, asynchronous or not. A module, which TRL calls in
                its own way, is given back as it is.
            name (`str`): Its name.
            rows (`Sequence[Mapping]`): B rows.

        Returns:
            `Callable`: Gives B rewards, `None` for the rows of others. It is asynchronous where `function` is; it is
            `function` itself where the rows have no route.
        """
        if isinstance(function, nn.Module) or ROUTE not in rows[0]:
            return function
        own = own_rows(name, rows)
        call = _Call(own, len(rows), self._columns.setdefault(name, {}))
        if is_async_callable(function):
            return call.asynchronous(function)
        return call.synchronous(function)


class _Call:
    def __init__(self, own: list[int], total: int, columns: dict[str, None]) -> None:
        self.own, self.total, self.columns = own, total, columns

    def synchronous(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def routed(**kwargs: Any) -> list[Any]:
            return self.scatter(function(**self.select(kwargs))) if self.own else self.skip(**kwargs)

        return routed

    def asynchronous(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def routed(**kwargs: Any) -> list[Any]:
            return self.scatter(await function(**self.select(kwargs))) if self.own else self.skip(**kwargs)

        return routed

    def select(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The keywords for the own rows; what is no list (`trainer_state`, `log_metric`) holds for all."""
        chosen = {
            key: [value[i] for i in self.own] if isinstance(value, list) else value for key, value in kwargs.items()
        }
        log_extra = kwargs.get("log_extra")
        if log_extra is not None:

            def log_own(column: str, values: Sequence[Any]) -> None:
                self.columns[column] = None
                log_extra(column, self.scatter(values))

            chosen["log_extra"] = log_own
        return chosen

    def scatter(self, values: Sequence[Any]) -> list[Any]:
        if len(values) != len(self.own):
            raise ValueError(f"{len(values)} values for {len(self.own)} completions: give one to each")
        full: list[Any] = [None] * self.total
        for i, value in zip(self.own, values, strict=True):
            full[i] = value
        return full

    def skip(self, log_extra: Callable[[str, list[None]], None] | None = None, **kwargs: Any) -> list[None]:
        # A column of the table that gets no values keeps those of the batch before.
        for column in self.columns if log_extra is not None else ():
            log_extra(column, [None] * self.total)  # type: ignore[misc]
        return [None] * self.total
