"""`r1-trl recipes`: the recipes that come with the package, to read, to run, and to copy."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from r1_trl.errors import InputError

_NOT_COPIED = shutil.ignore_patterns("__pycache__")
_BESIDE = ("../accelerate/", "recipes/accelerate/")  # of a pipeline, whose paths start from it; of a command
_REWRITTEN = (".yaml", ".sbatch", ".md")  # these name the folder they are in


def recipes_folder() -> Path:
    """The folder of all recipes: inside the installed package, or beside it in a clone of the repository.

    >>> (recipes_folder() / "miniature_cpu" / "grpo.yaml").is_file()
    True
    """
    package = Path(__file__).resolve().parent
    installed = package / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def list_recipes() -> dict[str, str]:
    """Name and summary of each recipe; the summary is the first line of prose in its README.

    >>> "miniature_cpu" in list_recipes()
    True
    """
    return {readme.parent.name: _summary(readme) for readme in sorted(recipes_folder().glob("*/README.md"))}


def copy_recipe(name: str, destination: Path) -> Path:
    """Copies a recipe's folder, and the configurations of `accelerate` where it names one of them.

    What names the recipe's folder in its files and README names the new one.

    Args:
        name (`str`): One of [`list_recipes`].
        destination (`Path`): The folder to make; it must not exist.

    Returns:
        `Path`: The new folder.

    Raises:
        InputError: There is no such recipe, or the destination exists.
    """
    known = list_recipes()
    if name not in known:
        raise InputError(f"unknown recipe `{name}`: there are {', '.join(known)}")
    if destination.exists():
        raise InputError(f"`{destination}` exists: name a new folder")
    copied = Path(shutil.copytree(recipes_folder() / name, destination, ignore=_NOT_COPIED))
    neighbour = copied / "accelerate"
    for file in [path for path in copied.iterdir() if path.suffix in _REWRITTEN]:
        text = file.read_text(encoding="utf-8").replace(f"recipes/{name}/", f"{copied.as_posix()}/")
        if any(place in text for place in _BESIDE):
            if not neighbour.exists():
                copy_recipe("accelerate", neighbour)
            text = text.replace(_BESIDE[0], "accelerate/").replace(_BESIDE[1], f"{neighbour.as_posix()}/")
        file.write_text(text, encoding="utf-8")
    return copied


def main(argv: list[str]) -> None:
    """Runs the command.

    Args:
        argv (`list[str]`): The words after `r1-trl recipes`.

    Raises:
        InputError: An unknown recipe, or a destination that exists.
    """
    parser = argparse.ArgumentParser(prog="r1-trl recipes", description="List the recipes, or copy one to edit.")
    actions = parser.add_subparsers(dest="action", metavar="copy")
    copy = actions.add_parser("copy", help="copy a recipe's folder")
    copy.add_argument("name", help="name of the recipe")
    copy.add_argument("folder", type=Path, help="folder to make")
    args = parser.parse_args(argv)
    if args.action == "copy":
        print(f"{copy_recipe(args.name, args.folder)}: edit it; the commands are in {args.folder / 'README.md'}")
        return
    recipes = list_recipes()
    width = max(map(len, recipes)) + 2
    for name, summary in recipes.items():
        print(f"{name:<{width}}{summary}")
    print("\n`r1-trl recipes copy NAME FOLDER` copies one to edit.")


def _summary(readme: Path) -> str:
    lines = readme.read_text(encoding="utf-8").splitlines()
    return next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
