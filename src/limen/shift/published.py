"""Published accuracies on common and counter photos, to place one's own model beside."""

from collections.abc import Mapping
from dataclasses import dataclass

from limen._core.errors import UsageError
from limen.report.scatter import Scatter
from limen.report.table import Table
from limen.shift.line import RobustnessLine

DISCOVERY = "ViT-B/32 LAION400M"

# backbone, what it learned from, common and counter accuracy in per cent
_CLIP = """
RN50|OpenAI|64.02|40.70
RN101|OpenAI|64.27|45.15
RN50x4|OpenAI|70.02|49.07
RN50x16|OpenAI|76.43|59.13
RN50x64|OpenAI|80.25|66.77
ViT-B/16|LAION400M|73.11|52.17
ViT-B/16|OpenAI|73.08|56.56
ViT-B/16|DataComp1B|80.36|64.24
ViT-B/16|LAION2B|73.18|53.18
ViT-B/16|DFN2B|85.03|70.61
ViT-B/32|LAION400M|67.13|36.95
ViT-B/32|OpenAI|69.13|45.62
ViT-B/32|DataComp1B|75.96|53.74
ViT-B/32|LAION2B|72.94|48.74
ViT-B/32-256|DataComp1B|80.72|61.65
ViT-L/14|LAION400M|80.90|63.31
ViT-L/14|OpenAI|85.38|70.28
ViT-L/14|DataComp1B|89.29|79.90
ViT-L/14|LAION2B|82.23|66.27
ViT-L/14|DFN2B|90.77|80.55
ViT-L/14-336|OpenAI|86.36|73.14
ViT-H/14|LAION2B|85.74|73.13
ViT-H/14|DFN5B|88.55|79.13
ViT-H/14-384|DFN5B|90.23|83.67
ViT-G/14|LAION2B|86.81|73.32
ViT-bigG/14|LAION2B|87.57|76.96
ConvNeXt-B|LAION400M|59.85|36.77
ConvNeXt-BW|LAION2B|61.03|39.91
"""
_IMAGENET = """
AlexNet|ImageNet|59.56|39.24
VGG11|ImageNet|73.37|56.12
VGG13|ImageNet|75.33|58.43
VGG19|ImageNet|77.84|61.74
RN18|ImageNet|74.36|56.07
RN34|ImageNet|78.31|61.01
RN50|ImageNet|81.44|66.07
RN101|ImageNet|81.76|68.18
ViT-B/16|ImageNet|84.97|74.98
ViT-B/32|ImageNet|79.84|64.36
ViT-L/16|ImageNet|83.74|72.69
ViT-L/32|ImageNet|81.23|67.54
ConvNeXt-S|ImageNet|88.27|79.97
ConvNeXt-B|ImageNet|88.60|80.53
ConvNeXt-L|ImageNet|89.12|81.47
"""
_OF_TWENTY = {
    "CLIP": """
ViT-B/32|LAION400M|70.46|39.44
ViT-B/16|LAION400M|75.51|54.59
ViT-L/14|LAION400M|82.27|64.89
ViT-L/14|DataComp1B|90.13|80.46
""",
    "ImageNet": """
RN50|ImageNet|83.72|68.60
ViT-B/16|ImageNet|86.57|76.88
ConvNeXt-L|ImageNet|89.84|82.67
""",
    "LVLM": """
MiniGPT4|Vicuna7B|47.99|39.73
LLaVA1.5|7B|40.06|30.09
""",
}
_UNBALANCED = {
    "CLIP": "ViT-B/32|LAION400M|69.02|33.94",
    "ImageNet": "ViT-B/16|ImageNet|86.97|71.62",
}


@dataclass(frozen=True)
class PublishedResult:
    """One published pair of accuracies, in [0, 1]; a lower drop leans less on the background.

    Attributes:
        family: "CLIP", "ImageNet" or "LVLM".
        backbone: The network.
        data: What it learned from; for an LVLM, its language model.
        common: Accuracy on the common photos.
        counter: On the counter photos.
        protocol: How many names it chose from, and how classes were weighed.

    Example:
        >>> result = PublishedResult("CLIP", "RN50", "OpenAI", 0.64, 0.40, "1 vs 1000")
        >>> result.name, round(result.drop, 2)
        ('RN50 OpenAI', 0.24)
    """

    family: str
    backbone: str
    data: str
    common: float
    counter: float
    protocol: str

    @property
    def name(self) -> str:
        """Backbone and data."""
        return f"{self.backbone} {self.data}"

    @property
    def drop(self) -> float:
        """Common less counter accuracy, from the rounded accuracies."""
        return self.common - self.counter


@dataclass(frozen=True)
class Placed:
    """A model beside the published ones; excess above 0 is more robust than that family.

    Attributes:
        name: The model.
        common: Its accuracy on the common photos, in [0, 1].
        counter: On the counter photos.
        over_imagenet: Excess over the line of the ImageNet classifiers.
        over_clip: Excess over the line of the CLIPs.
        lines: Both lines, by family.

    Example:
        >>> place(0.84, 0.70).over_clip > 0
        True
    """

    name: str
    common: float
    counter: float
    over_imagenet: float
    over_clip: float
    lines: Mapping[str, RobustnessLine]

    def table(self) -> Table:
        """The model first, then every published row, with excess over both lines in points."""
        rows = [("yours", self.name, self.common, self.counter)]
        rows += [(r.family, r.name, r.common, r.counter) for r in results()]
        columns = ["family", "model", "common [%]", "counter [%]", "drop [points]",
                   "over ImageNet [points]", "over CLIP [points]"]  # fmt: skip
        return Table(
            columns,
            [[family, name, *(round(100 * found, 2) for found in (
                one, two, one - two, self.lines["ImageNet"].excess(one, two),
                self.lines["CLIP"].excess(one, two)))] for family, name, one, two in rows],
            title="Beside published models",
            protocol="Published: class-balanced accuracy, 1 vs 1000. A model of a line's own "
            "family has drawn that line towards itself.",
        )  # fmt: skip

    def scatter(self) -> Scatter:
        """The model, the ImageNet classifiers, their line and the diagonal."""
        return self.lines["ImageNet"].record({self.name: (self.common, self.counter)})


def results(protocol: str = "1 vs 1000") -> list[PublishedResult]:
    """Published pairs of accuracies under one protocol, as data.

    Args:
        protocol: "1 vs 1000" has 28 CLIPs and 15 ImageNet classifiers; the others are excerpts.

    Returns:
        One result a model, CLIPs first.

    Raises:
        UsageError: No such protocol.

    Reference:
        Q. Wang, Y. Lin, Y. Chen, L. Schmidt, B. Han and T. Zhang, "A Sober Look at the Robustness
        of CLIPs to Spurious Features", NeurIPS 2024, tables 3 and 4 (1 vs 1000), 5, 13 and 14
        (1 vs 20), 11 and 12 (unbalanced).

    Example:
        >>> len(results())
        43
    """
    tables: dict[str, dict[str, str]] = {
        "1 vs 1000": {"CLIP": _CLIP, "ImageNet": _IMAGENET},
        "1 vs 20": _OF_TWENTY,
        "1 vs 1000, unbalanced": _UNBALANCED,
    }
    if protocol not in tables:
        raise UsageError(f"protocol must be one of {list(tables)}, got {protocol!r}")
    found = []
    for family, lines in tables[protocol].items():
        for line in lines.split("\n"):
            if line:
                backbone, data, common, counter = line.split("|")
                pair = float(common) / 100, float(counter) / 100
                found.append(PublishedResult(family, backbone, data, *pair, protocol))
    return found


def published(protocol: str = "1 vs 1000") -> Table:
    """The published accuracies as a table, in points; a lower drop is better.

    Args:
        protocol: As in `results`.

    Returns:
        A record for a page.

    Raises:
        UsageError: No such protocol.

    Reference:
        Q. Wang et al., "A Sober Look at the Robustness of CLIPs to Spurious Features", NeurIPS
        2024. Departure: drops are computed from the rounded accuracies, so that the last digit may
        differ from the printed one; ResNet-50 with 20 names is printed as 15.29.

    Example:
        >>> published().rows[0]
        ['CLIP', 'RN50', 'OpenAI', 64.02, 40.7, 23.32]
    """
    return Table(
        ["family", "backbone", "data", "common [%]", "counter [%]", "drop [points]"],
        [[r.family, r.backbone, r.data,
          *(round(100 * value, 2) for value in (r.common, r.counter, r.drop))]
         for r in results(protocol)],
        title=f"Published accuracies, {protocol}",
    )  # fmt: skip


def published_line(
    family: str, *, transform: str = "logit", include_discovery: bool = False
) -> RobustnessLine:
    """The line of a published family, CLIP or ImageNet.

    Args:
        family: "CLIP" or "ImageNet".
        transform: As in `RobustnessLine`.
        include_discovery: Keep the CLIP that chose the groups; its drop is large by that choice
            alone (regression to the mean), so it is left out unless asked for.

    Returns:
        The fitted line.

    Raises:
        UsageError: No such family or transform.

    Reference:
        Q. Wang et al., "A Sober Look at the Robustness of CLIPs to Spurious Features", NeurIPS
        2024, figure 2. Departure: the figure does not state its transform; the default is logit.

    Example:
        >>> round(published_line("ImageNet").slope, 4)
        1.1454
    """
    found = [r for r in results() if r.family == family]
    if not found:
        raise UsageError(f"family must be 'CLIP' or 'ImageNet', got {family!r}")
    left_out = [r.name for r in found if r.name == DISCOVERY and not include_discovery]
    return RobustnessLine(transform).fit(
        [r.common for r in found], [r.counter for r in found],
        names=[r.name for r in found], exclude=left_out,
    )  # fmt: skip


def place(
    common: float,
    counter: float,
    *,
    name: str = "yours",
    transform: str = "logit",
    include_discovery: bool = False,
) -> Placed:
    """A model's excess over the published lines; above 0 is more robust than that family.

    Only class-balanced accuracies with 1,000 names on the same photos can be compared.

    Args:
        common: Accuracy on the common photos, in [0, 1].
        counter: On the counter photos.
        name: What the model is called.
        transform: As in `RobustnessLine`.
        include_discovery: As in `published_line`.

    Returns:
        Both excesses, with a table and a scatter.

    Raises:
        UsageError: Not accuracies in [0, 1], or no such transform.

    Example:
        >>> round(100 * place(0.6713, 0.3695).over_imagenet, 2)    # the CLIP that chose the groups
        -9.87
    """
    lines = {
        family: published_line(family, transform=transform, include_discovery=include_discovery)
        for family in ("ImageNet", "CLIP")
    }
    over = {family: float(line.excess(common, counter)) for family, line in lines.items()}
    return Placed(name, common, counter, over["ImageNet"], over["CLIP"], lines)
