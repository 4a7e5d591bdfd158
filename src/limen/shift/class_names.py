"""Names of the classes that a model can answer with, and which of them a folder means."""

from collections.abc import Sequence
from pathlib import Path

from limen._core.errors import UsageError, nearest

Names = Sequence[str] | str | Path
LIST = "imagenet_names.txt"


def read_names(source: Names) -> list[str]:
    r"""The classes' names in the order of the model's columns.

    Args:
        source: The names themselves, or a text file with one a line. A line may begin with its
            number and a tab, and then the numbers must be 0, 1, 2 and so on.

    Returns:
        One name a column; synonyms stay together, separated by commas.

    Raises:
        UsageError: The file cannot be read, a name is empty, or the numbers have a gap.

    Example:
        >>> from tempfile import mkdtemp
        >>> path = Path(mkdtemp()) / "names.txt"
        >>> _ = path.write_text("0\ttench, Tinca tinca\n1\tgoldfish\n")
        >>> read_names(path)
        ['tench, Tinca tinca', 'goldfish']
    """
    if not isinstance(source, str | Path):
        found = [str(name).strip() for name in source]
    else:
        try:
            lines = Path(source).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as broken:
            raise UsageError(f"{source} must be a text file of class names: {broken}") from broken
        found = _numbered([line for line in lines if line.strip()], source)
    empty = [place for place, name in enumerate(found) if not name]
    if empty or not found:
        raise UsageError(f"class names must be one or more and none empty, got empty at {empty}")
    return found


def class_of(folder: str, names: Sequence[str] | None = None) -> tuple[int, str]:
    """Number and name of the class that a folder is called after.

    "9 ostrich" says its number. "ostrich" is looked up, whatever its case and with underscores as
    spaces, among whole names and their synonyms; without names, among the 45 animals.

    Args:
        folder: Name of the folder, without what stands above it.
        names: As `read_names` gives them.

    Returns:
        The number, which is the model's column, and the name.

    Raises:
        UsageError: No number and no such name, a number beyond the names, or a name of several
            classes.

    Example:
        >>> class_of("9 ostrich"), class_of("Ice_Bear")
        ((9, 'ostrich'), (296, 'Ice Bear'))
    """
    first, _, rest = folder.strip().partition(" ")
    if first.isascii() and first.isdigit():
        index = int(first)
        if names is not None and index >= len(names):
            raise UsageError(
                f"folder {folder!r} must begin with an index of 0 to {len(names) - 1}, as "
                f"{len(names)} names are given, got {index}"
            )
        return index, rest.strip() or (names[index] if names is not None else first)
    known = _known(names)
    wanted = _plain(folder)
    if wanted not in known:
        raise UsageError(
            f"folder {folder!r} must begin with a class index or be a class's name; nearest names: "
            f"{nearest(wanted, known)}"
        )
    if len(known[wanted]) > 1:
        raise UsageError(
            f"folder {folder!r} names the classes {', '.join(map(str, known[wanted]))}; put the "
            f"index that is meant before it, as in '{known[wanted][0]} {folder}'"
        )
    return known[wanted][0], folder.strip().replace("_", " ")


def _known(names: Sequence[str] | None) -> dict[str, list[int]]:
    """Every whole name and synonym, with the classes that it may mean."""
    found: dict[str, list[int]] = {}
    for index, called in _called(names):
        for name in called:
            indices = found.setdefault(_plain(name), [])
            if index not in indices:
                indices.append(index)
    return found


def _called(names: Sequence[str] | None) -> list[tuple[int, list[str]]]:
    if names is None:
        from limen.shift.animals import animals

        return [(a.index, [a.wnid, a.label, *a.label.split(",")]) for a in animals()]
    return [(index, [name, *name.split(",")]) for index, name in enumerate(names)]


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _numbered(lines: Sequence[str], source: str | Path) -> list[str]:
    """Names without the numbers that stand before them.

    Raises:
        UsageError: The numbers are not 0, 1, 2 and so on.
    """
    if not all("\t" in line and line.split("\t", 1)[0].strip().isdigit() for line in lines):
        return [line.strip() for line in lines]
    pairs = [line.split("\t", 1) for line in lines]
    for place, (number, _) in enumerate(pairs):
        if int(number) != place:
            raise UsageError(
                f"{source}: line {place + 1} must begin with {place}, got {int(number)}; number "
                "the names from 0 without gaps"
            )
    return [name.strip() for _, name in pairs]
