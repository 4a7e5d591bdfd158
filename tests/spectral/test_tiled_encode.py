import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen._core.streams import numpy_stream, torch_stream
from limen.spectral.encode import kernel as kernels
from limen.spectral.encode.floats import encode_floats
from limen.spectral.encode.integers import encode_exactly, encode_integers, quantised
from limen.spectral.encode.tiles import Tiles


def problem(pixels, bands, channels, *, peak=4095, top=2047, seed=0):
    draw = numpy_stream(seed, "integers")
    cube = draw.integers(0, peak + 1, size=(pixels, bands)).astype(np.uint16)
    weights = draw.integers(-top, top + 1, size=(channels, bands)).astype(np.int16)
    return cube, weights


@given(st.integers(1, 40), st.integers(1, 33), st.sampled_from([1, 3, 9, 10, 16]))
@settings(deadline=None, max_examples=30)
def test_integers_are_exact_to_the_last_bit(pixels, bands, channels):
    cube, weights = problem(pixels, bands, channels, seed=pixels)
    tiles = Tiles.cut(cube)
    got = tiles.pixels(encode_integers(tiles, weights))
    assert np.array_equal(got, encode_exactly(cube, weights))


def test_the_largest_allowed_sum_does_not_overflow():
    cube = np.full((17, 204), 4095, dtype=np.uint16)
    weights = np.full((9, 204), 2047, dtype=np.int16)
    tiles = Tiles.cut(cube)
    assert (tiles.pixels(encode_integers(tiles, weights)) == 204 * 4095 * 2047).all()


def test_a_sum_that_could_overflow_is_refused():
    tiles = Tiles.cut(np.full((4, 300), 4095, dtype=np.uint16))
    with pytest.raises(UsageError, match=r"below 2\^31"):
        encode_integers(tiles, np.full((1, 300), 2047, dtype=np.int16))


def test_sixteen_bit_values_are_refused():
    with pytest.raises(UsageError, match="15 bit"):
        Tiles.cut(np.full((4, 4), 40_000, dtype=np.uint16))


def test_threads_change_nothing():
    cube, weights = problem(1001, 31, 9)
    tiles = Tiles.cut(cube)
    one, three = encode_integers(tiles, weights), encode_integers(tiles, weights, threads=3)
    assert np.array_equal(one, three)


def test_the_code_without_the_one_instruction_gives_the_same_sums(monkeypatch):
    monkeypatch.setattr(kernels, "_has_avx2", lambda: False)
    kernels.kernel.cache_clear()
    cube, weights = problem(33, 15, 4)
    tiles = Tiles.cut(cube)
    got = tiles.pixels(encode_integers(tiles, weights))
    kernels.kernel.cache_clear()
    assert np.array_equal(got, encode_exactly(cube, weights))


def test_tiles_give_back_the_cube():
    cube, _ = problem(35, 7, 1)
    assert np.array_equal(Tiles.cut(cube.reshape(5, 7, 7)).join(), cube.reshape(5, 7, 7))


def test_quantised_weights_err_by_half_a_step_at_most():
    matrix = numpy_stream(0, "m").random((9, 20))
    weights, scale = quantised(matrix)
    assert np.abs(weights * scale - matrix).max() <= scale / 2 + 1e-15
    assert np.abs(weights).max() == 2047


def test_blocks_agree_with_one_product_in_floats():
    cube = torch.rand(13, 11, 24, generator=torch_stream(0, "c"))
    matrix = torch.rand(9, 24, generator=torch_stream(1, "m"))
    whole = cube @ matrix.T
    assert torch.allclose(encode_floats(cube, matrix, block=10), whole, rtol=1e-6)


def test_floats_and_integers_agree_within_single_precision():
    cube, weights = problem(64, 50, 9)
    tiles = Tiles.cut(cube)
    exact = tiles.pixels(encode_integers(tiles, weights))
    floats = encode_floats(
        torch.as_tensor(cube.astype(np.float32)), torch.as_tensor(weights.astype(np.float32))
    )
    assert np.allclose(floats.numpy(), exact, rtol=1e-6, atol=1e-6 * 50 * 4095 * 2047)
