"""Numbers that are written with a decimal comma, which the reader of a file takes for texts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from spaces.problems import shown

_NUMBER = re.compile(r"\s*[+-]?\d[\d.\s]*,\d+\s*|\s*[+-]?,\d+\s*")


def decimal_comma_problem(texts: Iterable[object]) -> str | None:
    """What is wrong with a column, where most of its texts are such numbers; else None.

    Args:
        texts: the column's; what is no text does not count.
    """
    different = sorted({text for text in texts if isinstance(text, str)})
    numbers = [text for text in different if _NUMBER.fullmatch(text)]
    if len(numbers) <= len(different) / 2:
        return None
    return (
        f"holds numbers with a decimal comma, such as {shown(numbers[0])}; write them with a point "
        'in the file (pandas reads it by read_csv(file, decimal=","), and to_csv writes it)'
    )
