import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limen._core.errors import UsageError
from limen.spectral.rates import Rates, devices, rates

PAPER = {"height": 3000, "width": 4096, "bands": 204, "cube_bits": 16, "fps": 30}


def test_the_claim_is_reproduced_to_the_last_bit():
    found = rates(**PAPER, sensor_bits=8, mosaic=(3, 3))
    assert found.nominal == 1_203_240_960_000
    assert found.readout == 2_949_120_000


def test_nominal_and_honest_ratios_are_408_and_45_and_a_third():
    found = rates(**PAPER, sensor_bits=8, mosaic=(3, 3))
    assert found.ratio == 408
    assert found.honest_ratio == pytest.approx(408 / 9, rel=1e-15)


def test_twelve_bits_read_out_more_and_gain_less():
    found = Rates.paper_1p2(sensor_bits=12)
    assert found.readout == 4_423_680_000
    assert found.ratio == 272


def test_the_information_at_full_well_is_6_6_bit_a_pixel():
    found = rates(**PAPER, sensor_bits=8, mosaic=(3, 3))
    assert found.information / (3000 * 4096 * 30) == pytest.approx(6.644, abs=1e-3)


@given(st.integers(1, 5000), st.integers(1, 500), st.integers(1, 16), st.floats(0.1, 1e6))
def test_the_ratio_times_the_read_out_is_the_cube_and_information_never_above_it(
    side, bands, bits, snr
):
    found = rates(
        height=side, width=side, bands=bands, cube_bits=16, fps=30, sensor_bits=bits, snr=snr
    )
    assert found.ratio * found.readout == pytest.approx(found.nominal, rel=1e-15)
    assert found.information <= found.readout
    if snr**2 < 4.0**bits - 1:
        assert found.information == pytest.approx(
            side * side * 30 * 0.5 * math.log2(1 + snr**2), rel=1e-12
        )


def test_measured_counts_whole_bytes_and_the_roofline_is_their_share_of_the_bandwidth():
    found = rates(
        height=10, width=10, bands=5, cube_bits=12, fps=1, sensor_bits=8, seconds=2.0, bandwidth=1e3
    )
    assert found.measured == 10 * 10 * 5 * 16 / 2
    assert found.roofline == 0.5


def test_the_reconstruction_says_that_it_is_one():
    assert "reconstructed by us" in Rates.paper_1p2().note


def test_the_table_prints_what_is_claimed_beside_what_is_read():
    found = Rates.paper_1p2().table(protocol="A camera")
    told = {row[0]: float(row[1].replace(",", "")) for row in found.rows}
    assert told["nominal"] == pytest.approx(1203.24096)
    assert told["readout"] == pytest.approx(2.94912)
    assert found.protocol.startswith("A camera; reconstructed by us")


def test_a_ledger_survives_its_own_record():
    assert Rates.from_dict(Rates.paper_1p2().to_dict()) == Rates.paper_1p2()


def test_every_device_says_how_far_it_is_known():
    assert {device.mark for device in devices()} <= {"verified", "derived", "unverified"}
    found = [device.rate for device in devices()]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"fps": 0}, "fps"),
        ({"bands": -1}, "bands"),
        ({"snr": math.nan}, "snr"),
        ({"mosaic": (4096, 1)}, "mosaic"),
        ({"bandwidth": 1.0}, "seconds"),
    ],
)
def test_no_camera_is_refused_in_one_sentence(changed, says):
    with pytest.raises(UsageError, match=says):
        rates(**{**PAPER, "sensor_bits": 8, **changed})
