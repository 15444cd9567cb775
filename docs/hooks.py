"""Renders docstrings in TRL's style: types in backticks, cross-references as [`~module.Name`], bare doctests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from griffe import Extension, Function, Object

REFERENCE = (Path(__file__).parent / "pages" / "reference.md").read_text(encoding="utf-8")
DOCUMENTED = {path.rpartition(".")[2]: path for path in re.findall(r"^::: (\S+)", REFERENCE, re.MULTILINE)}

_LINK = re.compile(r"\[`~?([\w.]+)`\](?![(\[])")
# `name (type, *optional*, defaults to `x`):` or, in Returns and Raises, `type: ...`
_PARAMETER = re.compile(r"^( {4}\*{0,2}\w[\w, *]*) \((.+)\):", re.MULTILINE)
_RESULT = re.compile(r"^( {4})((?:`[^`\n]+`|\[`[\w.~]+`\])[^:`\n]*):(?=\s)", re.MULTILINE)
_RAISES = re.compile(r"(?<=^Raises:\n)(?: {4}.*\n?)+", re.MULTILINE)
_DEFAULT = re.compile(r"(?:, \*optional\*)?, defaults to `[^`]+`$")
_DOCTEST = re.compile(r"(?:^>>> .*\n?(?:^(?!>>> |```|\s*$).+\n?)*)+", re.MULTILINE)


class TrlDocstrings(Extension):
    """Rewrites every docstring of the package into what the parser for Google's style and Markdown expect."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            parameters = obj.parameters if isinstance(obj, Function) else []
            none = {parameter.name for parameter in parameters if str(parameter.default) == "None"}
            obj.docstring.value = rewrite(obj.docstring.value, none)


def rewrite(text: str, none: set[str]) -> str:
    """One docstring; a default is named once, by the signature, unless that is only the `None` that stands for it."""

    def parameter(match: re.Match[str]) -> str:
        type_text = match[2] if match[1].strip() in none else _DEFAULT.sub("", match[2])
        return f"{match[1]} ({_plain(type_text)}):"

    text = _PARAMETER.sub(parameter, text)
    text = _RESULT.sub(lambda match: f"{match[1]}{_plain(match[2])}:", text)
    text = _RAISES.sub(lambda match: re.sub(r"\n {4}(?! |\w+:)", " ", match[0]), text)
    text = _DOCTEST.sub(_fence, text)
    return _LINK.sub(_link, text)


def _plain(type_text: str) -> str:
    text = _LINK.sub(lambda match: match[1].rpartition(".")[2], type_text)
    return text.replace("`", "").replace("*optional*", "optional")


def _fence(match: re.Match[str]) -> str:
    inside_fence = match.string[: match.start()].rstrip("\n").endswith("```python")
    return match[0] if inside_fence else f"```python\n{match[0].rstrip()}\n```\n"


def _link(match: re.Match[str]) -> str:
    name = match[1].rpartition(".")[2]
    return f"[`{name}`][{DOCUMENTED[name]}]" if name in DOCUMENTED else f"`{match[1]}`"
