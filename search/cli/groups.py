"""How ``shoal --help`` lists the commands: by what they are for."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

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
