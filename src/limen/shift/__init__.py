"""What a model only seems to know, and what its training data can promise."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.measure.hull import Hull
    from limen.shift import remedies, rules
    from limen.shift.bounds import (
        HullDistance,
        mixture_risk,
        risk_bound,
        sample_margin,
        total_variation_to_hull,
        unseen_mass,
    )
    from limen.shift.fld import critical_bias, fld_error, fld_rises, growing_bias
    from limen.shift.gap import gaps_table, mixture_gap, mixture_gap_by_class
    from limen.shift.gapped import Gap
    from limen.shift.line import RobustnessLine
    from limen.shift.point_hull import Certificate, Membership, certificate, membership
    from limen.shift.published import (
        Placed,
        PublishedResult,
        place,
        published,
        published_line,
        results,
    )
    from limen.shift.remedies.augmented import Augmented, Blurred, Pretrained, Rotated
    from limen.shift.remedies.balanced import Balanced
    from limen.shift.remedies.compare_remedies import compare_remedies
    from limen.shift.remedies.compared import Compared
    from limen.shift.remedies.coral import CORAL
    from limen.shift.remedies.erm import ERM
    from limen.shift.remedies.group_dro import GroupDRO
    from limen.shift.remedies.logistic import Logistic
    from limen.shift.remedies.mixup import Mixup
    from limen.shift.remedies.selected import Selected
    from limen.shift.remedies.training import Training
    from limen.shift.rules.herding import herding
    from limen.shift.rules.hull_cover import hull_cover
    from limen.shift.rules.kcenter import kcenter
    from limen.shift.rules.logdet import logdet
    from limen.shift.rules.loss import loss
    from limen.shift.rules.policy import policy
    from limen.shift.rules.random import balanced_random, random
    from limen.shift.select import select
    from limen.shift.selection import Selection
    from limen.shift.testbed import Testbed, read_testbed
    from limen.shift.theory import (
        ShiftErrors,
        SpuriousLatents,
        linear_clip_loss,
        linear_clip_minimiser,
    )
    from limen.shift.trend import Trend, isotonic, trend

__all__ = [  # noqa: RUF022  in plain order
    "Augmented",
    "Balanced",
    "Blurred",
    "CORAL",
    "Certificate",
    "Compared",
    "ERM",
    "Gap",
    "GroupDRO",
    "Hull",
    "HullDistance",
    "Logistic",
    "Membership",
    "Mixup",
    "Placed",
    "Pretrained",
    "PublishedResult",
    "RobustnessLine",
    "Rotated",
    "Selected",
    "Selection",
    "ShiftErrors",
    "SpuriousLatents",
    "Testbed",
    "Training",
    "Trend",
    "balanced_random",
    "certificate",
    "compare_remedies",
    "critical_bias",
    "fld_error",
    "fld_rises",
    "gaps_table",
    "growing_bias",
    "herding",
    "hull_cover",
    "isotonic",
    "kcenter",
    "linear_clip_loss",
    "linear_clip_minimiser",
    "logdet",
    "loss",
    "membership",
    "mixture_gap",
    "mixture_gap_by_class",
    "mixture_risk",
    "place",
    "policy",
    "published",
    "published_line",
    "random",
    "read_testbed",
    "remedies",
    "results",
    "risk_bound",
    "rules",
    "sample_margin",
    "select",
    "total_variation_to_hull",
    "trend",
    "unseen_mass",
]
__getattr__, __dir__ = lazy(__name__, __file__)
