"""The page of the command line, from the Typer app: each verb with its arguments and options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer

from audiozoo.cli import app


def verbs() -> Iterator[tuple[str, Any]]:
    """Yield each verb and its command; those of a group follow the group, as in "cache clear"."""
    for name, command in typer.main.get_command(app).commands.items():
        yield name, command
        for inner, nested in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", nested


def page() -> str:
    """Return the page as Markdown."""
    lines = ["# Command line", "", "`audiozoo VERB --help` prints the same. `--traceback`, before or after the verb, shows the"]
    lines += [
        "traceback of an error. The status is 0 after success, 1 if some files could not be used, 2 after an error of the"
    ]
    lines += ["user, 70 after a bug and 130 after Ctrl-C."]
    for name, command in verbs():
        lines += ["", *_section(name, command)]
    return "\n".join(lines) + "\n"


def _section(name: str, command: Any) -> list[str]:
    level = "##" if " " not in name else "###"
    lines = [f"{level} {name} {{ #{name.replace(' ', '-')} }}", "", inspect.cleandoc(command.help or ""), ""]
    lines += ["```text", _usage(name, command), "```"]
    example = re.sub(r"^\[.*?\]Example:\[/\] ", "", command.epilog or "")
    lines += ["", "For example:", "", f"```text\n{example}\n```"] if example else []
    rows = [_row(parameter) for parameter in command.params if not parameter.hidden and parameter.name != "help"]
    return [*lines, "", "| argument or option | default | meaning |", "| --- | --- | --- |", *rows] if rows else lines


def _usage(name: str, command: Any) -> str:
    words = ["audiozoo", name, "[OPTIONS]"]
    words += [_argument(given) for given in command.params if given.param_type_name == "argument"]
    return " ".join([*words, *(["COMMAND"] if hasattr(command, "commands") else [])])


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _row(parameter: Any) -> str:
    named = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts] if named else [_argument(parameter).strip("[]")]
    cells = [", ".join(f"`{name}`" for name in names), _default(parameter), parameter.help or ""]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    unset = parameter.default is None or parameter.default is False or callable(parameter.default)
    return "" if unset else f"`{parameter.default}`"
