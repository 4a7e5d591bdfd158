"""What limen raises on purpose, and the exit code each kind becomes at the command line."""

from collections.abc import Iterable
from difflib import get_close_matches


class LimenError(Exception):
    """Base of every deliberate error."""

    exit_code = 1


class UsageError(LimenError, ValueError):
    """Wrong use: what must hold, what came, what to do. Raised before any work starts."""

    exit_code = 2


class WorkError(LimenError, RuntimeError):
    """Correct use, but the work failed; the last good checkpoint is kept."""

    exit_code = 1


class MissingExtraError(LimenError, ImportError):
    """An optional dependency is absent; the message is the command that installs it."""

    exit_code = 2


class InterruptedRun(KeyboardInterrupt):
    """The user asked to stop, and the run was checkpointed first."""

    exit_code = 130


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> str:
    """The `count` known names closest to `name`, for the end of an error sentence.

    Example:
        >>> nearest("NOP", ["NPO", "GA", "WGA"], count=1)
        'NPO'
    """
    names = sorted(known)
    folded = {candidate.casefold(): candidate for candidate in names}
    close = get_close_matches(name.casefold(), folded, n=count, cutoff=0.0)
    return ", ".join(folded[match] for match in close)
