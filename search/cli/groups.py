"""The command ``shoal``: how its help lists the commands, and how it tells of wrong values."""

from __future__ import annotations

from typing import Any

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from spaces.problems import InputError, Problem
from spaces.sections import broken_rule

GROUPS = {
    "Search": ("search", "resume"),
    "Prepare": ("studies", "show", "plan", "probe", "doctor"),
    "Results": ("status", "best", "report", "tensorboard", "compare", "table"),
    "Confirm": ("confirm", "audit"),
    "Export": ("export", "train", "predict"),
    "Maintenance": ("clean", "rebuild", "replay", "repair"),
}


class Grouped(TyperGroup):
    """The command ``shoal``, with its commands in groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each group."""
        width = max(map(len, self.commands))
        limit = formatter.width - width - 6
        for title, names in GROUPS.items():
            rows = [(f"{n:<{width}}", self.commands[n].get_short_help_str(limit)) for n in names]
            with formatter.section(title):
                formatter.write_dl(rows)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; a wrong value of an option is told as one in a file is.

        Raises:
            InputError: with the option, the rule and the value.
        """
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            if error.param is None or not isinstance(error.__cause__, ValidationError):
                raise
            option = error.param.get_error_hint().replace("'", "")
            rules = [broken_rule(details) for details in error.__cause__.errors()]
            raise InputError([Problem(option, rule) for rule in rules]) from None
