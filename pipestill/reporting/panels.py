"""Parts of a study's report that a kind of answers adds, in its half ``show``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pipestill.io.records import Json
from pipestill.reporting.study import Study


@dataclass(frozen=True)
class Figure:
    """A figure of a study.

    Attributes:
        draw: a study to SVG; none where it has no numbers for the figure.
        caption: what stands below.
    """

    draw: Callable[[Study], str | None]
    caption: str


@dataclass(frozen=True)
class Panel:
    """A part of a study's section.

    Attributes:
        place: below the tables of results, or after the costs.
        template: name of its template, which is given the view as ``own``.
        view: a study to what the template says of it; none where there is nothing to say.
        title: of one after the costs, which is folded.
    """

    place: Literal["results", "end"]
    template: str
    view: Callable[[Study], Json | None]
    title: str = "Details"
