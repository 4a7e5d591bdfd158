"""Hyperspectral video: made, streamed, exported, looked at."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.spectral.video.encoded_detector import EncodedDetector
    from limen.spectral.video.export_video import export_video
    from limen.spectral.video.metamers import Metamers, metamers
    from limen.spectral.video.relit import relit
    from limen.spectral.video.stream import Stream, StreamFrame, StreamSummary, stream
    from limen.spectral.video.synthetic_video import synthetic_video
    from limen.spectral.video.to_rgb import to_rgb
    from limen.spectral.video.video import Frames, Video
    from limen.spectral.video.video_folder import read_video, write_video
    from limen.spectral.video.viewer import viewer

__all__ = [
    "EncodedDetector",
    "Frames",
    "Metamers",
    "Stream",
    "StreamFrame",
    "StreamSummary",
    "Video",
    "export_video",
    "metamers",
    "read_video",
    "relit",
    "stream",
    "synthetic_video",
    "to_rgb",
    "viewer",
    "write_video",
]
__getattr__, __dir__ = lazy(__name__, __file__)
