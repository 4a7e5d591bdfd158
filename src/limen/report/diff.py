"""The same prompt, answered before and after."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import cast

from limen._core.errors import UsageError

_WORD = re.compile(r"\s+|\S+")
_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True)
class Side:
    """One answer, cut into runs of (text, does it agree with what was expected)."""

    runs: list[tuple[str, bool]]
    agreeing: int
    expected: int


@dataclass(frozen=True)
class Answer:
    """One prompt with the answers of two models, and what a right answer would be.

    Example:
        >>> answer = Answer("Capital of France?", "It is Paris.", "It is Rome.", expected="Paris")
        >>> answer.sides()[0].runs
        [('It is ', False), ('Paris.', True)]
        >>> [side.agreeing for side in answer.sides()]
        [1, 0]
    """

    prompt: str
    before: str
    after: str
    _: KW_ONLY
    expected: str = ""
    label: str = ""

    def sides(self) -> tuple[Side, Side]:
        """Both answers, with the words marked that agree with `expected`, in its order."""
        return _side(self.before, self.expected), _side(self.after, self.expected)


@dataclass(frozen=True)
class Diff:
    """Prompts answered before and after, side by side; words that agree with `expected` are marked.

    Args:
        items: `Answer` objects, or mappings with their names.
        title: a few words above.
        caption: what to see in it, in a sentence.
        before_name: whose answers stand to the left.
        after_name: whose answers stand to the right.

    Raises:
        UsageError: a mapping that is no `Answer`.

    Example:
        >>> diff = Diff([{"prompt": "2 + 2?", "before": "4", "after": "I do not know."}])
        >>> diff.items[0].after
        'I do not know.'
    """

    items: Sequence[Answer | Mapping[str, str]]
    _: KW_ONLY
    title: str = ""
    caption: str = ""
    before_name: str = "before"
    after_name: str = "after"

    kind = "diff"

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", [_answer(item) for item in self.items])

    def to_dict(self) -> dict[str, object]:
        """Everything, JSON-safe."""
        return {
            "kind": self.kind,
            "items": [asdict(cast("Answer", item)) for item in self.items],
            "title": self.title,
            "caption": self.caption,
            "before_name": self.before_name,
            "after_name": self.after_name,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Diff":
        """The inverse of `to_dict`."""
        return cls(
            cast("list[Mapping[str, str]]", data["items"]),
            title=str(data["title"]),
            caption=str(data["caption"]),
            before_name=str(data["before_name"]),
            after_name=str(data["after_name"]),
        )


def _answer(item: Answer | Mapping[str, str]) -> Answer:
    if isinstance(item, Answer):
        return item
    try:
        return Answer(**item)
    except TypeError as wrong:
        raise UsageError(
            "an answer must have prompt, before and after, and may have expected and label; "
            f"got {', '.join(map(str, item))}"
        ) from wrong


def _side(text: str, expected: str) -> Side:
    pieces = _WORD.findall(text)
    places = [place for place, piece in enumerate(pieces) if not piece.isspace()]
    wanted = [_bare(word) for word in expected.split()]
    matcher = SequenceMatcher(None, [_bare(pieces[p]) for p in places], wanted, autojunk=False)
    marked = {
        places[block.a + offset]
        for block in matcher.get_matching_blocks()
        for offset in range(block.size)
    }
    agreeing = len(marked)
    marked |= {p for p in range(len(pieces)) if {p - 1, p + 1} <= marked}  # the space between two
    runs = [
        ("".join(pieces[p] for p in group), agrees)
        for agrees, group in groupby(range(len(pieces)), key=marked.__contains__)
    ]
    return Side(runs, agreeing, len(wanted))


def _bare(word: str) -> str:
    return (_EDGES.sub("", word) or word).casefold()
