"""Understanding encoded channels without decoding them."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.spectral.understand.channels import pure_cells
    from limen.spectral.understand.linear_pixels import LinearPixels
    from limen.spectral.understand.memory_segmenter import MemorySegmenter
    from limen.spectral.understand.segmentation_scores import (
        SegmentationScores,
        segmentation_scores,
    )
    from limen.spectral.understand.segmenter import Segmenter
    from limen.spectral.understand.smoothed_segmenter import SmoothedSegmenter
    from limen.spectral.understand.targets import ACE, SAM, MatchedFilter, encoded_target
    from limen.spectral.understand.tracker import Box, Tracker
    from limen.spectral.understand.tracking_scores import TrackingScores, tracking_scores
    from limen.spectral.understand.unknown import Unknown
    from limen.spectral.understand.video_scores import VideoScores, video_scores

__all__ = [  # noqa: RUF022  in plain order
    "ACE",
    "Box",
    "LinearPixels",
    "MatchedFilter",
    "MemorySegmenter",
    "SAM",
    "SegmentationScores",
    "Segmenter",
    "SmoothedSegmenter",
    "Tracker",
    "TrackingScores",
    "Unknown",
    "VideoScores",
    "encoded_target",
    "pure_cells",
    "segmentation_scores",
    "tracking_scores",
    "video_scores",
]
__getattr__, __dir__ = lazy(__name__, __file__)
