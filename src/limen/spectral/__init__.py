"""How little must be seen: filter, mosaic, noise, decoding and understanding, in one chain."""

from typing import TYPE_CHECKING

from limen._core.lazy import lazy

if TYPE_CHECKING:
    from limen.spectral.camera.alignment import Alignment
    from limen.spectral.camera.calibration import Calibration, recover_response
    from limen.spectral.camera.camera import Camera
    from limen.spectral.camera.counts import Counts
    from limen.spectral.camera.exposure import Exposure
    from limen.spectral.camera.matrix import encoding_matrix
    from limen.spectral.camera.measured import MeasuredFilters
    from limen.spectral.camera.mosaic import Mosaic
    from limen.spectral.camera.noise import Noise
    from limen.spectral.codec.codec import Codec
    from limen.spectral.codec.lmmse import LMMSE
    from limen.spectral.codec.mlp import PixelMLP
    from limen.spectral.codec.network import Network
    from limen.spectral.codec.non_negative import NonNegative
    from limen.spectral.codec.spectral_scores import SpectralScores, spectral_scores
    from limen.spectral.codec.split import halves
    from limen.spectral.codec.statistics import SpectralPrior, channel_noise
    from limen.spectral.codec.transformer import SpectralTransformer
    from limen.spectral.codec.unet import UNet
    from limen.spectral.design import Designed, bayes_loss, design, diversity, predicted_error
    from limen.spectral.encode.floats import encode_floats
    from limen.spectral.encode.integers import encode_exactly, encode_integers, quantised
    from limen.spectral.encode.tiles import Tiles
    from limen.spectral.end_to_end import soft_capture, train_end_to_end
    from limen.spectral.fit_to_target import TargetFit, fit_to_target
    from limen.spectral.light.cube import Cube
    from limen.spectral.light.illuminant import illuminant
    from limen.spectral.light.read_cube import read_cube
    from limen.spectral.light.read_material import read_material
    from limen.spectral.light.resample import resample
    from limen.spectral.light.spectra import Spectra, read_spectra
    from limen.spectral.light.write_cube import write_cube
    from limen.spectral.optics.cone import Cone, InCone
    from limen.spectral.optics.coupled_modes import CoupledModes, scattering_matrix
    from limen.spectral.optics.curves import FreeForm, Gaussians, Lorentzians
    from limen.spectral.optics.materials import Material
    from limen.spectral.optics.presets import bragg_cavity, fabry_perot
    from limen.spectral.optics.principal_components import PrincipalComponents
    from limen.spectral.optics.stack import StackPower, stack_power
    from limen.spectral.optics.thin_film import ThinFilm
    from limen.spectral.rates import Device, Rates, devices, rates
    from limen.spectral.toy import Fruit, fruit, lit_pixels
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
    from limen.spectral.wavelengths import Wavelengths

__all__ = [  # noqa: RUF022  in plain order
    "ACE",
    "Alignment",
    "Box",
    "Calibration",
    "Camera",
    "Codec",
    "Cone",
    "Counts",
    "CoupledModes",
    "Cube",
    "Designed",
    "Device",
    "EncodedDetector",
    "Exposure",
    "Frames",
    "FreeForm",
    "Fruit",
    "Gaussians",
    "InCone",
    "LMMSE",
    "LinearPixels",
    "Lorentzians",
    "MatchedFilter",
    "Material",
    "MeasuredFilters",
    "MemorySegmenter",
    "Metamers",
    "Mosaic",
    "Network",
    "Noise",
    "NonNegative",
    "PixelMLP",
    "PrincipalComponents",
    "Rates",
    "SAM",
    "SegmentationScores",
    "Segmenter",
    "SmoothedSegmenter",
    "Spectra",
    "SpectralPrior",
    "SpectralScores",
    "SpectralTransformer",
    "StackPower",
    "Stream",
    "StreamFrame",
    "StreamSummary",
    "TargetFit",
    "ThinFilm",
    "Tiles",
    "Tracker",
    "TrackingScores",
    "UNet",
    "Unknown",
    "Video",
    "VideoScores",
    "Wavelengths",
    "bayes_loss",
    "bragg_cavity",
    "channel_noise",
    "design",
    "devices",
    "diversity",
    "encode_exactly",
    "encode_floats",
    "encode_integers",
    "encoded_target",
    "encoding_matrix",
    "export_video",
    "fabry_perot",
    "fit_to_target",
    "fruit",
    "halves",
    "illuminant",
    "lit_pixels",
    "metamers",
    "predicted_error",
    "pure_cells",
    "quantised",
    "rates",
    "read_cube",
    "read_material",
    "read_spectra",
    "read_video",
    "recover_response",
    "relit",
    "resample",
    "scattering_matrix",
    "segmentation_scores",
    "soft_capture",
    "spectral_scores",
    "stack_power",
    "stream",
    "synthetic_video",
    "to_rgb",
    "tracking_scores",
    "train_end_to_end",
    "video_scores",
    "viewer",
    "write_cube",
    "write_video",
]
__getattr__, __dir__ = lazy(__name__, __file__)
