import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson as exact_poisson

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, torch_stream
from limen.spectral import Gaussians, Wavelengths
from limen.spectral.camera.camera import Camera
from limen.spectral.camera.counter import poisson, uniform
from limen.spectral.camera.exposure import Exposure
from limen.spectral.camera.matrix import encoding_matrix
from limen.spectral.camera.mosaic import Mosaic
from limen.spectral.camera.noise import Noise
from spectral._banks import Bands, Curves, random_bank

BANDS = Bands(np.linspace(400, 1000, 12) ** 1.01)


def cube(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch_stream(seed, "cube"), dtype=dtype)


def ways():
    kernel = np.array([[0.0, 0.05, 0.02], [0.05, 0.7, 0.06], [0.0, 0.1, 0.02]])
    return [
        {},
        {"mosaic": (3, 3)},
        {"mosaic": (3, 3), "psf": 0.7, "crosstalk": kernel},
        {"psf": np.stack([kernel + 0.01 * b for b in range(12)]), "crosstalk": kernel},
    ]


@pytest.mark.parametrize("way", ways(), ids=["full", "mosaic", "blurred mosaic", "blurred full"])
class TestLinear:
    def test_encoding_is_linear(self, way):
        camera = Camera(random_bank(9, 12), **way)
        x, y = cube(6, 9, 12), cube(6, 9, 12, seed=1)
        both = camera.encode(0.3 * x + 2.0 * y, BANDS)
        apart = 0.3 * camera.encode(x, BANDS) + 2.0 * camera.encode(y, BANDS)
        assert torch.allclose(both, apart, rtol=1e-12, atol=1e-14)

    def test_encoding_is_linear_in_single_precision(self, way):
        camera = Camera(random_bank(9, 12), **way)
        x, y = cube(6, 9, 12).float(), cube(6, 9, 12, seed=1).float()
        both = camera.encode(0.3 * x + 2.0 * y, BANDS)
        apart = 0.3 * camera.encode(x, BANDS) + 2.0 * camera.encode(y, BANDS)
        assert torch.allclose(both, apart, rtol=1e-6, atol=1e-6)

    def test_the_adjoint_is_exact(self, way):
        camera = Camera(random_bank(9, 12), **way)
        x = cube(2, 6, 9, 12)
        there = camera.encode(x, BANDS)
        s = torch.rand(there.shape, generator=torch_stream(3, "s"), dtype=torch.float64)
        back = camera.adjoint(s, BANDS)
        assert torch.allclose((there * s).sum(), (x * back).sum(), rtol=1e-12)
        single = camera.adjoint(s.float(), BANDS)
        assert torch.allclose(single.double(), back, rtol=1e-5, atol=1e-6)

    def test_codes_lie_between_nothing_and_the_brightest_light(self, way):
        camera = Camera(random_bank(9, 12), **way)
        x = cube(6, 9, 12)
        code = camera.encode(x, BANDS)
        assert (code >= 0).all()
        assert (code <= x.max()).all()


def test_a_flat_spectrum_through_open_filters_comes_out_as_it_is():
    camera = Camera(Curves(np.ones((1, 12))))
    code = camera.encode(torch.full((2, 2, 12), 0.37, dtype=torch.float64), BANDS).detach()
    assert torch.allclose(code, torch.full_like(code, 0.37), atol=1e-12, rtol=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.booleans())
def test_rows_of_the_matrix_lie_from_0_to_a_sum_of_1_whatever_the_bands_and_the_light(
    seed, bands, lit
):
    draw = numpy_stream(seed, "matrix")
    at = Wavelengths(np.cumsum(draw.uniform(1, 50, size=bands)) + 350)
    curves = torch.from_numpy(draw.random((3, bands)))
    light = {"illuminant": draw.random(bands), "efficiency": draw.random(bands)} if lit else {}
    matrix = encoding_matrix(curves, at, **light)
    assert (matrix >= 0).all()
    assert (matrix.sum(1) <= 1 + 1e-12).all()
    assert (
        encoding_matrix(torch.ones_like(curves), at, **light)
        .sum(1)
        .allclose(torch.ones(3, dtype=torch.float64), rtol=1e-12)
    )
    values = torch.from_numpy(draw.random((20, bands)))
    codes = values @ matrix.T
    assert (codes >= 0).all()
    assert (codes <= values.max(1, keepdim=True).values + 1e-12).all()


def test_twice_the_bands_leave_a_quarter_of_the_error_of_what_a_camera_sees():
    def seen(count: int) -> float:
        at = Wavelengths(400 + 300 * np.linspace(0, 1, count) ** 1.5)
        light = torch.from_numpy(0.5 + 0.4 * np.sin(at.nm / 40))
        camera = Camera(Gaussians([560.0], 90.0))
        return float((camera.matrix(at) @ light).detach())

    exact = seen(4097)
    errors = np.array([seen(count) - exact for count in (65, 129, 257)])
    assert errors[:-1] / errors[1:] == pytest.approx(4, rel=0.05)


def test_photons_weight_800_nm_twice_as_much_as_400():
    bands = Bands([400, 800])
    row = encoding_matrix(torch.ones(1, 2, dtype=torch.float64), bands)
    assert row[0, 1] / row[0, 0] == pytest.approx(2, rel=1e-12)


def test_an_illuminant_and_an_efficiency_weigh_their_bands_and_white_stays_one():
    curve = np.linspace(0.1, 1, 12)
    matrix = encoding_matrix(
        torch.ones(1, 12, dtype=torch.float64), BANDS, illuminant=curve, efficiency=lambda _: curve
    )
    want = curve**2 * BANDS.nm * BANDS.weights
    assert np.allclose(matrix[0], want / want.sum(), rtol=1e-12)


def test_two_spectra_that_differ_in_the_null_space_give_one_code():
    camera = Camera(random_bank(3, 12))
    matrix = camera.matrix(BANDS).detach()
    x = cube(1, 1, 12)
    unseen = cube(12, seed=5)
    unseen = unseen - torch.linalg.pinv(matrix) @ (matrix @ unseen)
    code = camera.encode(x, BANDS)
    assert torch.allclose(camera.encode(x + unseen, BANDS), code, atol=1e-12, rtol=0)
    more = Camera(random_bank(9, 12, seed=7))
    apart = more.encode(x + unseen, BANDS) - more.encode(x, BANDS)
    assert apart.abs().max() > 1e-3


def test_the_mosaic_takes_each_pixel_from_the_full_frame():
    full = cube(6, 9, 9)
    mosaic = Mosaic(3, 3)
    gathered = mosaic.gather(mosaic.sample(full))
    for place in range(9):
        i, j = divmod(place, 3)
        assert torch.equal(gathered[..., place], full[i::3, j::3, place])


@pytest.mark.parametrize("mosaic", [Mosaic(3, 3), Mosaic(2, 3, (0, 1, 2, 2, 1, 0)), Mosaic(1, 1)])
def test_scatter_spread_and_gather_are_exact_adjoints_and_inverses(mosaic):
    full, plane = cube(2, 6, 6, mosaic.count), cube(2, 6, 6, seed=2)
    assert torch.allclose(
        (mosaic.sample(full) * plane).sum(), (full * mosaic.scatter(plane)).sum(), rtol=1e-12
    )
    assert torch.equal(mosaic.spread(mosaic.gather(plane)), plane)
    assert np.array_equal(mosaic.spread(mosaic.gather(plane.numpy())), plane.numpy())


def test_filling_in_keeps_what_was_measured_and_a_flat_frame_flat():
    mosaic = Mosaic(3, 3)
    plane = cube(9, 12)
    assert torch.equal(mosaic.sample(mosaic.demosaic(plane)), plane)
    flat = mosaic.demosaic(torch.full((9, 12), 0.4, dtype=torch.float64))
    assert torch.allclose(flat, torch.full_like(flat, 0.4), rtol=1e-12)


def test_filling_in_is_bilinear_inside_the_frame():
    ramp = torch.arange(12, dtype=torch.float64).expand(12, 12)
    filled = Mosaic(3, 3).demosaic(ramp)
    assert torch.allclose(filled[:, 3:9, 4], ramp[:, 3:9], atol=1e-12)


def test_a_mosaic_that_does_not_divide_the_frame_names_the_crop():
    with pytest.raises(UsageError, match="crop it to 6 x 9"):
        Camera(random_bank(9, 12), mosaic=(3, 3)).capture(
            cube(7, 10, 12), seed=0, wavelengths=BANDS
        )


@pytest.mark.parametrize("mean", [0.0, 0.5, 3.0, 19.0, 25.0, 400.0])
def test_poisson_by_quantile_is_poisson(mean):
    chance = uniform((range(20_000),), 0, "p")
    ours = poisson(np.full(20_000, mean), chance)
    theirs = exact_poisson.ppf(chance, mean).clip(0)
    assert (ours != theirs).mean() < 1e-3
    assert np.abs(ours - theirs).max() <= 1


def test_photon_transfer_shows_the_gain_and_the_read_noise():
    noise = Noise(prnu=0, dsnu=0, read=4.0)
    step = noise.step(12)
    means, spreads = [], []
    for level in (5.0, 50.0, 500.0, 2000.0, 6000.0):
        mean = np.full((1, 1000, 1000), level)
        places = (range(1), range(1000), range(1000))
        dn, _ = noise.digitise(noise.electrons(mean, places, seed=int(level)), bits=12)
        means.append(dn.mean() - noise.black)
        spreads.append(dn.var())
    slope, start = np.polyfit(means, spreads, 1, w=1 / np.array(spreads))  # spreads err by shares
    assert slope == pytest.approx(1 / step, rel=0.02)
    assert start * step**2 == pytest.approx(noise.read**2 + step**2 / 12, rel=0.05)
    places = (range(1), range(1000), range(1000))
    dark, _ = noise.digitise(noise.electrons(np.zeros((1, 1000, 1000)), places, seed=1), bits=12)
    assert dark.var() * step**2 == pytest.approx(noise.read**2 + step**2 / 12, rel=0.05)


def test_the_signal_to_noise_ratio_is_that_of_shot_and_read_noise():
    noise = Noise(prnu=0, dsnu=0, read=10.0)
    places = (range(1), range(300), range(300))
    got = noise.electrons(np.full((1, 300, 300), 400.0), places, seed=0)
    assert got.mean() / got.std() == pytest.approx(400 / np.sqrt(400 + 100), rel=0.02)


def test_rounding_errs_by_half_a_step_at_most_and_evenly():
    noise = Noise.off()
    electrons = np.linspace(10, 9000, 20_011)[None]
    dn, mask = noise.digitise(electrons, bits=10)
    error = dn - electrons / noise.step(10)
    assert not mask.any()
    assert np.abs(error).max() <= 0.5 + 1e-9
    assert error.var() == pytest.approx(1 / 12, rel=0.02)


def test_sixteen_bits_come_close_to_the_light_itself():
    camera = Camera(random_bank(4, 12), noise=Noise.off(), bits=16)
    x = cube(8, 8, 12)
    counts = camera.capture(x, seed=0, wavelengths=BANDS)
    code = camera.encode(x, BANDS).detach().numpy()
    assert np.abs(counts.signal() - code).max() <= 0.51 * counts.step / counts.gain


def test_too_much_light_saturates_and_is_counted():
    camera = Camera(Curves(np.ones((1, 12))))
    scene = torch.zeros(4, 4, 12)
    scene[:1] = 10.0
    counts = camera.capture(scene, seed=0, wavelengths=BANDS)
    assert counts.saturated == 0.25
    assert counts.mask[0].all()
    assert (counts.values[0] == 4095).all()


def test_one_seed_gives_one_frame_and_another_another():
    camera = Camera(random_bank(9, 12), mosaic=(3, 3))
    x = cube(6, 9, 12)
    first, again, other = (camera.capture(x, seed=s, wavelengths=BANDS).values for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("mosaic", [None, (3, 3)])
def test_a_tile_is_the_same_as_in_the_whole_frame(mosaic):
    camera = Camera(random_bank(9, 12), mosaic=mosaic)
    video = cube(3, 9, 9, 12)
    whole = camera.capture(video, seed=4, wavelengths=BANDS).values
    tile = camera.capture(video[1:, 3:6, 3:], seed=4, wavelengths=BANDS, origin=(1, 3, 3))
    assert np.array_equal(tile.values, whole[1:, 3:6, 3:])


def test_the_pattern_of_a_sensor_stays_while_its_shot_noise_changes():
    camera = Camera(Curves(np.ones((1, 12))), noise=Noise(prnu=0.2, read=0, shot=False))
    flat = torch.full((2, 8, 8, 12), 0.5)
    first, second = camera.capture(flat, seed=0, wavelengths=BANDS).values
    assert np.array_equal(first, second)
    assert first.std() > 0


def test_full_well_lets_the_brightest_channel_fill_its_share():
    camera = Camera(random_bank(4, 12), exposure=Exposure("full_well"), noise=Noise.off())
    white = camera.capture(np.ones((1, 1, 12)), seed=0, wavelengths=BANDS)
    assert white.values.max() * white.step == pytest.approx(8000, abs=white.step)


def test_the_soft_maximum_of_full_well_is_close_and_reaches_every_channel():
    matrix = torch.rand(4, 12, generator=torch_stream(0, "m"), dtype=torch.float64) / 12
    matrix.requires_grad_()
    rule = Exposure("full_well")
    hard = rule.gain(matrix, full_well=1e4)
    soft = rule.gain(matrix, full_well=1e4, sharpness=50.0)
    assert float(soft.detach()) <= float(hard.detach())
    assert float(soft.detach()) == pytest.approx(float(hard.detach()), rel=0.05)
    soft.backward()
    assert (matrix.grad.abs().sum(1) > 0).all()


def test_the_soft_exposure_has_the_variance_of_the_hard_one_and_a_gradient():
    noise = Noise(prnu=0, dsnu=0)
    mean = torch.full((200_000,), 400.0, requires_grad=True)
    soft = noise.soft(mean, bits=12, generator=torch_stream(0, "soft"))
    assert float(soft.detach().var()) == pytest.approx(noise.variance(400.0, bits=12), rel=0.02)
    soft.sum().backward()
    assert float(mean.grad.mean()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_light_that_is_none_is_refused_with_its_place(bad):
    scene = np.ones((3, 3, 12))
    scene[1, 2, 5] = bad
    with pytest.raises(UsageError, match="row 1, column 2, band 5"):
        Camera(random_bank(4, 12)).capture(scene, seed=0, wavelengths=BANDS)


def test_bands_are_asked_for_and_never_guessed():
    with pytest.raises(UsageError, match="never guessed"):
        Camera(random_bank(4, 12)).capture(np.ones((3, 3, 12)), seed=0)


def test_filters_and_mosaic_must_agree():
    with pytest.raises(UsageError, match="names 9 channels"):
        Camera(random_bank(4, 12), mosaic=(3, 3))
