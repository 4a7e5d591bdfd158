"""What a model only seems to know, and what its training data can promise."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.measure.hull import Hull
    from limen.shift import models, remedies, repairs, rules
    from limen.shift.animals import Animal, animals
    from limen.shift.bounds import (
        HullDistance,
        mixture_risk,
        risk_bound,
        sample_margin,
        total_variation_to_hull,
        unseen_mass,
    )
    from limen.shift.bridge import Bridge
    from limen.shift.class_names import read_names
    from limen.shift.compare import Contrast, compare
    from limen.shift.counted import Counted
    from limen.shift.counter import counter
    from limen.shift.discover import discover
    from limen.shift.discovered import AttributeGroup, Discovery, SpuriousPair
    from limen.shift.fld import critical_bias, fld_error, fld_rises, growing_bias
    from limen.shift.gap import gaps_table, mixture_gap, mixture_gap_by_class
    from limen.shift.gapped import Gap
    from limen.shift.held_out import HeldOut, held_out
    from limen.shift.labels import LabelSpace, label_space
    from limen.shift.line import RobustnessLine
    from limen.shift.lite import Lite0, lite0
    from limen.shift.lite_pair import lite_pair
    from limen.shift.manifest import read_manifest
    from limen.shift.minilm import SentenceEncoder, minilm
    from limen.shift.models.classifier import Classifier
    from limen.shift.models.embeddings import Embeddings
    from limen.shift.models.pair import Pair
    from limen.shift.models.protocol import Model
    from limen.shift.models.unit import unit
    from limen.shift.models.zero_shot import ZeroShot
    from limen.shift.photos import Photos, read_photos
    from limen.shift.point_hull import Certificate, Membership, certificate, membership
    from limen.shift.prompts import class_embeddings, prompts, read_templates, template
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
    from limen.shift.repairs.dfr import DFR
    from limen.shift.repairs.judge_repairs import judge_repairs
    from limen.shift.repairs.last_layer_balance import LastLayerBalance
    from limen.shift.repairs.linear import Linear
    from limen.shift.repairs.projection import Projection
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
    from limen.shift.transfer import transfer
    from limen.shift.trend import Trend, isotonic, trend

__all__ = [  # noqa: RUF022  in plain order
    "Animal",
    "AttributeGroup",
    "Augmented",
    "Balanced",
    "Blurred",
    "Bridge",
    "CORAL",
    "Certificate",
    "Classifier",
    "Compared",
    "Contrast",
    "Counted",
    "DFR",
    "Discovery",
    "ERM",
    "Embeddings",
    "Gap",
    "GroupDRO",
    "HeldOut",
    "Hull",
    "HullDistance",
    "LabelSpace",
    "LastLayerBalance",
    "Linear",
    "Lite0",
    "Logistic",
    "Membership",
    "Mixup",
    "Model",
    "Pair",
    "Photos",
    "Placed",
    "Pretrained",
    "Projection",
    "PublishedResult",
    "RobustnessLine",
    "Rotated",
    "Selected",
    "Selection",
    "SentenceEncoder",
    "ShiftErrors",
    "SpuriousLatents",
    "SpuriousPair",
    "Testbed",
    "Training",
    "Trend",
    "ZeroShot",
    "animals",
    "balanced_random",
    "certificate",
    "class_embeddings",
    "compare",
    "compare_remedies",
    "counter",
    "critical_bias",
    "discover",
    "fld_error",
    "fld_rises",
    "gaps_table",
    "growing_bias",
    "held_out",
    "herding",
    "hull_cover",
    "isotonic",
    "judge_repairs",
    "kcenter",
    "label_space",
    "linear_clip_loss",
    "linear_clip_minimiser",
    "lite0",
    "lite_pair",
    "logdet",
    "loss",
    "membership",
    "minilm",
    "mixture_gap",
    "mixture_gap_by_class",
    "mixture_risk",
    "models",
    "place",
    "policy",
    "prompts",
    "published",
    "published_line",
    "random",
    "read_manifest",
    "read_names",
    "read_photos",
    "read_templates",
    "read_testbed",
    "remedies",
    "repairs",
    "results",
    "risk_bound",
    "rules",
    "sample_margin",
    "select",
    "template",
    "total_variation_to_hull",
    "transfer",
    "trend",
    "unit",
    "unseen_mass",
]
__getattr__, __dir__ = lazy(__name__, __file__)
