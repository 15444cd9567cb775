"""`r1-trl cost RUN`: what a run took, stage by stage, beside what DeepSeek-R1 took, and what it would elsewhere."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1_trl.errors import InputError
from r1_trl.files import write_json
from r1_trl.stages.tool_parser import ToolParser
from r1_trl.tables import format_table
from r1_trl.tracking.card_prices import named_card
from r1_trl.tracking.config import TrackingConfig
from r1_trl.tracking.paper_cost import paper_cost
from r1_trl.tracking.projection import Target, project
from r1_trl.tracking.run_cost import run_cost
from r1_trl.tracking.run_folder import read_run

UNKNOWN = "-"
# Places in a row of the table.
_COLUMNS = {
    "wall_seconds": 1,
    "device_hours": 2,
    "tokens_generated": 4,
    "tokens_trained": 5,
    "peak_memory_gb": 6,
    "usd": 7,
}
DESCRIPTION = "What a run has cost, stage by stage, and would cost with another model or card."
ASSUMPTIONS = """An estimate: FLOPs = 2 N generated + (6 + 2 P) N trained tokens, with N weights and P passes for
log-probabilities alone; hours = FLOPs / (utilisation x the card's dense bfloat16 peak). It keeps the tokens of this
run and, unless --utilisation is given, the share of the peak that each stage has reached. Generation waits for memory
rather than arithmetic at small batches, so the truth depends on the batch that fits: measure a few steps before you
rely on it. Whether a model fits a card: `r1-trl doctor`."""


def make_parser() -> argparse.ArgumentParser:
    """The parser of `r1-trl cost`."""
    parser = ToolParser("cost", DESCRIPTION)
    parser.add_argument("run", type=Path, help="output_dir of a pipeline, a quickstart or a stage")
    parser.add_argument("--gpu_hour_usd", type=float, help="dollars for an hour of one device of this run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    target = parser.add_argument_group("the same tokens with another model or card (an estimate)")
    target.add_argument("--model_params", type=float, help="weights of every model, such as 7e9; the run's by default")
    target.add_argument("--card", help='such as "RTX 4090"; the run\'s by default')
    target.add_argument("--utilisation", type=float, help="share of the card's peak, up to 1; the run's by default")
    target.add_argument("--card_hour_usd", type=float, help="dollars for an hour of that card; by default by its name")
    return parser


def main(argv: list[str]) -> None:
    """Runs the command.

    Args:
        argv (`list[str]`): The words after `r1-trl cost`.

    Raises:
        InputError: There is no run, or it lacks what a projection needs.
    """
    args = make_parser().parse_args(argv)
    TrackingConfig(gpu_hour_usd=args.gpu_hour_usd)
    target = read_target(args)
    run = read_run(args.run)
    cost = run_cost(run, args.gpu_hour_usd)
    projection = None if target == Target() else project(run, cost, target)
    print(format_cost(cost))
    if projection is not None:
        print(f"\n{format_projection(projection)}")
    if args.json is not None:
        try:
            write_json(args.json, {**cost, "paper": paper_cost(), "projection": projection})
        except OSError as error:
            raise InputError(f"`--json {args.json}` cannot be written: {error.strerror}. Name a file") from error


def read_target(args: argparse.Namespace) -> Target:
    """What the command line asks to project onto.

    Raises:
        InputError: A number is out of range, or the card is not known.
    """
    if args.card_hour_usd is not None and not args.card_hour_usd >= 0:
        raise InputError(f"`--card_hour_usd {args.card_hour_usd:g}` must be dollars, 0 or more")
    if args.model_params is not None and not args.model_params > 0:
        raise InputError(f"`--model_params {args.model_params:g}` must be positive, such as 7e9")
    if args.utilisation is not None and not 0 < args.utilisation <= 1:
        raise InputError(f"`--utilisation {args.utilisation:g}` must be in (0, 1]")
    card = None if args.card is None else named_card(args.card)
    if args.utilisation is not None and card is None:
        raise InputError("`--utilisation` is a share of a card's peak: name it by `--card`")
    return Target(args.model_params, card, args.utilisation, args.card_hour_usd)


def format_cost(cost: Mapping[str, Any]) -> str:
    """The stages as rows with a total, and the paper's table.

    Args:
        cost (`Mapping`): As [`~r1_trl.tracking.run_cost.run_cost`] returns it.
    """
    head = ["stage", "wall", "device hours", "device", "generated", "trained", "peak GB", "USD"]
    rows = [head, *(_row(row["stage"], row) for row in cost["stages"]), _total(cost)]
    lines = [cost["run"], format_table(rows)]
    labels = {"tokens_generated": "generated tokens", "tokens_trained": "trained tokens", "usd": "dollars"}
    for name, label in {"device_hours": "hours", **labels}.items():
        unknown = cost["unknown"][name]
        if unknown and cost["total"][name] is not None:
            shown = ", ".join(unknown[:4]) + (", ..." if len(unknown) > 4 else "")
            lines.append(f"the total of {label} is without {len(unknown)} stage(s) that did not record them: {shown}")
    if cost["total"]["usd"] is None:
        lines.append("dollars: name the price of an hour by --gpu_hour_usd")
    return "\n".join([*lines, "", format_paper()])


def format_paper() -> str:
    """The paper's own table.

    >>> print(format_paper())
    DeepSeek-R1 (H800 hours at $2)  GPU hours      USD
    R1-Zero                           101,000  202,000
    SFT data                            5,000   10,000
    R1                                 41,000   82,000
    total                             147,000  294,000
    """
    parts = paper_cost().items()
    rows = [[part, f"{numbers['gpu_hours']:,}", f"{numbers['usd']:,.0f}"] for part, numbers in parts]
    return format_table([["DeepSeek-R1 (H800 hours at $2)", "GPU hours", "USD"], *rows])


def format_projection(projection: Mapping[str, Any]) -> str:
    """The projected stages with their total, and what they rest on."""
    rows = [["projected", "weights", "device", "FLOPs", "of peak", "device hours", "USD"]]
    for row in projection["stages"]:
        share = UNKNOWN if row["utilisation"] is None else f"{100 * row['utilisation']:.3g}%"
        numbers = [f"{row['model_params']:.3g}", row["device"], f"{row['flops']:.2e}", share]
        rows.append([row["stage"], *numbers, _hours(row["device_hours"]), _usd(row["usd"])])
    rows.append(["total", "", "", "", "", _hours(projection["device_hours"]), _usd(projection["usd"])])
    left_out = projection["left_out"]
    told = [f"not projected, as they run no model: {', '.join(left_out)}"] if left_out else []
    return "\n".join([format_table(rows), *told, ASSUMPTIONS])


def _row(name: str, cost: Mapping[str, Any]) -> list[str]:
    memory, unfinished = cost["peak_memory_gb"], not cost.get("finished", True)
    return [
        f"{name} (not ended)" if unfinished else name,
        _wall(cost["wall_seconds"]),
        _hours(cost["device_hours"]),
        _devices(cost),
        _count(cost["tokens_generated"]),
        _count(cost["tokens_trained"]),
        UNKNOWN if memory is None else f"{memory:.2f}",
        _usd(cost["usd"]),
    ]


def _total(cost: Mapping[str, Any]) -> list[str]:
    """Sums of what is known: behind "≥" where a stage is not in them, and none where they know nothing."""
    total, unknown = cost["total"], cost["unknown"]
    known = {name: value if value or not unknown[name] else None for name, value in total.items()}
    in_part = {_COLUMNS[name] for name, value in known.items() if value is not None and unknown[name]}
    return [f"≥ {cell}" if place in in_part else cell for place, cell in enumerate(_row("total", known))]


def _wall(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _devices(cost: Mapping[str, Any]) -> str:
    name, count = cost.get("device"), cost.get("processes")
    return "" if "device" not in cost else UNKNOWN if name is None else f"{count} x {name}"


def _hours(hours: float | None) -> str:
    return UNKNOWN if hours is None else f"{hours:,.4f}" if hours < 10 else f"{hours:,.1f}"


def _count(tokens: int | None) -> str:
    return UNKNOWN if tokens is None else f"{tokens:,}"


def _usd(dollars: float | None) -> str:
    return UNKNOWN if dollars is None else f"{dollars:,.4f}" if dollars < 1 else f"{dollars:,.2f}"
