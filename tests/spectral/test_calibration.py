import numpy as np
import pytest
import torch

import limen
from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, torch_stream
from limen.spectral.camera.alignment import Alignment
from limen.spectral.camera.calibration import Calibration, recover_response
from limen.spectral.camera.camera import Camera
from limen.spectral.codec.mlp import PixelMLP
from limen.spectral.end_to_end import soft_capture, train_end_to_end
from spectral._banks import Bands, random_bank

BANDS = Bands(np.linspace(400, 1000, 24))


class Logits(torch.nn.Module):
    count = 4

    def __init__(self):
        super().__init__()
        self.z = torch.nn.Parameter(torch.zeros(4, 24))

    def forward(self, wavelengths):
        return torch.sigmoid(self.z)


def test_a_smooth_response_is_recovered_from_known_targets():
    axis = np.linspace(0, 1, 24)
    truth = np.exp(-0.5 * ((axis - np.array([[0.3], [0.6]])) / 0.15) ** 2)
    shown = numpy_stream(0, "targets").random((60, 24))
    signals = shown @ truth.T
    found = recover_response(
        shown, signals + 1e-3 * numpy_stream(1, "n").normal(size=signals.shape)
    )
    assert np.abs(found - truth).max() < 0.02
    assert (found >= 0).all()


def test_with_fewer_targets_than_bands_smoothness_fills_in():
    axis = np.linspace(0, 1, 24)
    truth = np.exp(-0.5 * ((axis - 0.5) / 0.2) ** 2)[None]
    centres = np.linspace(0, 1, 12)
    shown = np.exp(-0.5 * ((axis - centres[:, None]) / 0.08) ** 2)
    assert np.abs(recover_response(shown, shown @ truth.T) - truth).max() < 0.05


def test_calibration_undoes_what_pixels_add_and_skips_bad_ones():
    draw = numpy_stream(0, "pixels")
    dark, span = 10 + draw.random((6, 7)), 100 + 20 * draw.random((6, 7))
    light = np.full((6, 7), 0.4)
    frame = dark + span * light
    frame[2, 3] = 9999.0
    bad = np.zeros((6, 7), dtype=bool)
    bad[2, 3] = True
    assert np.allclose(Calibration(dark, dark + span, bad)(frame), 0.4)


def test_alignment_is_found_again_from_its_own_places():
    truth = Alignment(origin=(3.2, 7.9), pitch=5.034, rotation_degrees=1.7)
    cells = np.array([[0.0, 0.0], [10.0, 2.0], [4.0, 9.0], [7.0, 7.0]])
    grid = truth.places((12, 12))
    places = np.array([grid[int(i), int(j)] for i, j in cells])
    found = Alignment.fit(cells, places)
    assert found.pitch == pytest.approx(truth.pitch, rel=1e-12)
    assert found.rotation_degrees == pytest.approx(1.7, rel=1e-9)
    assert found.origin == pytest.approx(truth.origin, rel=1e-9)


def test_sampling_between_pixels_is_exact_on_a_plane_where_the_nearest_is_not():
    y, x = np.mgrid[:60, :70]
    frame = 2.0 * y + 3.0 * x
    alignment = Alignment(origin=(4.3, 2.6), pitch=5.034, rotation_degrees=2.0)
    places = alignment.places((8, 8))[:, :]
    alignment = Alignment((4.3 - places[..., 0].min().clip(None, 0), 2.6), 5.034, 2.0)
    places = alignment.places((8, 8))
    want = 2 * places[..., 0] + 3 * places[..., 1]
    assert np.allclose(alignment.sample(frame, shape=(8, 8)), want, atol=1e-9)
    nearest = frame[tuple(np.rint(places).astype(int).transpose(2, 0, 1))]
    assert np.abs(nearest - want).max() > 0.5


def test_cells_beyond_the_frame_are_refused():
    with pytest.raises(UsageError, match="must lie on the frame"):
        Alignment((0.0, 0.0), 5.0).sample(np.zeros((10, 10)), shape=(4, 4))


def test_calibration_and_alignment_survive_their_files(tmp_path):
    alignment = Alignment((1.5, 2.5), 3.25, 0.5)
    assert limen.load(limen.save(alignment, tmp_path / "a")) == alignment
    calibration = Calibration(np.zeros((2, 2)), np.ones((2, 2)))
    again = limen.load(limen.save(calibration, tmp_path / "c"))
    assert np.array_equal(again.flat, calibration.flat)


def test_the_soft_capture_scatters_around_the_code_as_the_noise_says():
    camera = Camera(random_bank(4, 24), mosaic=(2, 2))
    values = torch.full((100, 100, 24), 0.5)
    light = soft_capture(
        camera, values, wavelengths=BANDS, generator=torch_stream(0, "soft")
    ).detach()
    code = camera.encode(values[:2, :2], BANDS).detach().flatten()
    gain = camera.gain(BANDS)
    want = camera.noise.variance(gain * code, bits=12) / gain**2
    assert torch.allclose(light.mean((1, 2)), code.float(), atol=3e-4)
    assert torch.allclose(light.var((1, 2)), want.float(), rtol=0.1)


def test_training_end_to_end_moves_filters_to_what_separates_the_classes():
    draw = torch_stream(0, "scene")
    labels = (torch.rand(1, 12, 12, generator=draw) > 0.5).long()
    values = torch.full((1, 12, 12, 24), 0.5)
    sign = torch.where(torch.arange(24) < 12, 0.08, -0.08)  # no light through T = 1 tells them
    values = values + (2 * labels[..., None] - 1) * sign
    camera = Camera(Logits())
    before = camera.filters.z.detach().clone()
    torch.manual_seed(0)
    losses = train_end_to_end(
        camera,
        PixelMLP(4, 2, width=16),
        [(values, labels)],
        wavelengths=BANDS,
        loss=torch.nn.functional.cross_entropy,
        steps=150,
        lr=0.05,
        head_lr=1e-2,
    )
    assert losses[-1] < 0.5 * losses[0]
    assert not torch.equal(before, camera.filters.z)
