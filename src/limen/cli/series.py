"""Series for `limen anomaly`, read and refused in the words of its options."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, get_args

from limen._core.errors import UsageError
from limen.anomaly.data import Recording, read_series
from limen.anomaly.series import POLICIES, Missing
from limen.run.progress import say

_PLAIN = POLICIES.removeprefix("missing=").replace("'", "")


@dataclass(frozen=True)
class Reader:
    """How files are read.

    Attributes:
        time: Column of times; None looks for one.
        label: Column of labels; None looks for one.
        channels: Columns to take, with commas between; None takes all others.
        missing: What to do with NaN.
    """

    time: str | None = None
    label: str | None = None
    channels: str | None = None
    missing: str = "raise"

    def __post_init__(self) -> None:
        if self.missing not in get_args(Missing):
            raise UsageError(
                f"--missing {self.missing!r} must be one of {', '.join(get_args(Missing))}"
            )

    def one(self, path: str) -> Recording:
        """One series."""
        names = self.channels.split(",") if self.channels else None
        try:
            found = read_series(
                path, time=self.time, label=self.label,
                channels=names and [name.strip() for name in names],
                missing=cast("Missing", self.missing),
            )  # fmt: skip
        except UsageError as wrong:
            raise UsageError(str(wrong).replace(POLICIES, "--missing " + _PLAIN)) from None
        points, channels = found.values.shape
        if channels > points:
            say(
                f"{found.source} is read as {points} points of {channels} channels, one row a point"
            )
        return found

    def all(self, paths: Sequence[str], *, end: int | None = None) -> list[Recording]:
        """Several series of the same channels, each up to `end`.

        Raises:
            UsageError: Their channels differ, or one is shorter than `end`.
        """
        found = [self.one(path) for path in paths]
        first = found[0].names if found[0].named else None
        found = [one.like(first) for one in found]
        for one in found[1:]:
            if one.names != found[0].names:
                raise UsageError(
                    f"all --data must have the same channels; {found[0].source} has "
                    f"{', '.join(found[0].names)}, {one.source} has {', '.join(one.names)}"
                )
        short = [one for one in found if end is not None and len(one.values) < end]
        if short:
            raise UsageError(
                f"--end {end} must lie within every series; {short[0].source} has "
                f"{len(short[0].values)} points"
            )
        cut = [one.part(0, end) for one in found]
        marked = sum(int(one.labels.sum()) for one in cut if one.labels is not None)
        if marked:
            say(f"{marked} points to train on are labelled abnormal; training does not look at it")
        return cut

    def labelled(self, paths: Sequence[str]) -> list[Recording]:
        """Several series with labels.

        Raises:
            UsageError: One has none, or two have one name.
        """
        found = [self.one(path) for path in paths]
        bare = [one.source for one in found if one.labels is None]
        if bare:
            raise UsageError(
                f"{bare[0]} must have labels, a column of 0 and 1; name it with --label"
            )
        names = [one.source for one in found]
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            raise UsageError(f"each --data must have a name of its own; {twice} comes twice")
        return found
