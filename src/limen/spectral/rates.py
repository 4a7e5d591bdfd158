"""How many bits a hyperspectral camera claims, resolves, reads out, and carries."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from limen._core.errors import UsageError
from limen.report.table import Cell, Table

_COUNTED = {
    "nominal": "a spectrum at every sensor pixel, which nobody reads",
    "honest": "a spectrum at every super-pixel",
    "readout": "what leaves the sensor",
    "information": "what photon noise lets that mean at most",
    "measured": "what software went through",
}


@dataclass(frozen=True)
class Rates:
    """The ledger of one camera's rates in bit/s: what is claimed stands beside what is read.

    Attributes:
        nominal: The cube on the full sensor grid: pixels x bands x cube bits x frames/s.
        honest: The same with one spectrum for each super-pixel of the mosaic.
        readout: What leaves the sensor: pixels x sensor bits x frames/s.
        information: Most that the read-out can tell at its signal-to-noise ratio; Shannon's bound,
            and never above the read-out.
        measured: Bits of cube that software went through, per second; None where not timed.
        roofline: `measured` as a share of the machine's read bandwidth; None where not measured.
        note: Where the figures come from.

    Example:
        >>> Rates.paper_1p2().nominal, Rates.paper_1p2().readout
        (1203240960000, 2949120000)
    """

    nominal: float
    honest: float
    readout: float
    information: float
    measured: float | None = None
    roofline: float | None = None
    note: str = ""

    @classmethod
    def paper_1p2(cls, *, sensor_bits: int = 8) -> "Rates":
        """The one natural factorisation of 1.20 Tb/s; a reconstruction, its authors give none.

        4096 x 3000 pixels, 204 bands of 16 bit, 30 frames/s, a 3 x 3 mosaic.

        Args:
            sensor_bits: Depth of the sensor, 8 or 12 bit in what is sold.

        Returns:
            The ledger.

        Example:
            >>> round(Rates.paper_1p2().honest / 1e12, 4)
            0.1337
        """
        found = rates(
            height=3000,
            width=4096,
            bands=204,
            cube_bits=16,
            fps=30,
            sensor_bits=sensor_bits,
            mosaic=(3, 3),
        )
        note = "reconstructed by us: the published text gives neither sensor, bits nor frame rate"
        return cls(found.nominal, found.honest, found.readout, found.information, note=note)

    @property
    def ratio(self) -> float:
        """Nominal over read out: how many bits are spoken of for each bit that moves."""
        return self.nominal / self.readout

    @property
    def honest_ratio(self) -> float:
        """Honest over read out: the same on the grid of super-pixels."""
        return self.honest / self.readout

    def table(self, *, protocol: str = "") -> Table:
        """Every rate in Gb/s (1 Gb = 1e9 bit), its ratio to what is read out, and what it counts.

        Args:
            protocol: Of which camera; the note follows.

        Returns:
            A row for each rate that is known.
        """
        rows: list[list[Cell]] = []
        for name, counted in _COUNTED.items():
            value = getattr(self, name)
            if value is not None:
                rows.append([name, f"{value / 1e9:,.5f}", value / self.readout, counted])
        said = "; ".join(part for part in (protocol, self.note) if part)
        return Table(
            ["rate", "Gb/s", "times the read-out", "counts"], rows, title="Rates of one camera",
            protocol=said,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-safe."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Rates":
        """The inverse of `to_dict`."""
        return cls(**data)


def rates(
    *,
    height: int,
    width: int,
    bands: int,
    cube_bits: int,
    fps: float,
    sensor_bits: int,
    mosaic: tuple[int, int] = (1, 1),
    snr: float = 100.0,
    seconds: float | None = None,
    bandwidth: float | None = None,
) -> Rates:
    """A camera's rates in bit/s, nominal, honest, read out, as information, and as measured.

    nominal = H W B b_c f, honest = nominal / p with p sub-cells in a super-pixel,
    readout = H W b_s f, information = H W f min(b_s, log2(1 + SNR^2) / 2), and
    measured = H W B (whole bytes of b_c) / seconds.

    The nominal rate is that of a cube which nobody read: a mosaic measures one number for each
    pixel, so the spectra it resolves are p times fewer, and what moves is the read-out. None of
    the first is wrong as long as the others stand beside it.

    Args:
        height: Sensor rows, at least 1.
        width: Sensor columns, at least 1.
        bands: Bands of the cube, at least 1.
        cube_bits: Bits of one value of the cube.
        fps: Frames per second, above 0.
        sensor_bits: Bits of one sensor value.
        mosaic: Rows and columns of a super-pixel; (1, 1) where each pixel has its own spectrum.
        snr: Amplitude signal-to-noise ratio of a pixel; 100 is shot noise at 10,000 electrons.
        seconds: Wall time in which software goes through one frame's cube, above 0.
        bandwidth: Measured read bandwidth of the machine in byte/s, above 0.

    Returns:
        The ledger; a kilobit is 1000 bit.

    Raises:
        UsageError: A number that is not positive and finite, a mosaic larger than the sensor, or a
            bandwidth without seconds.

    Reference:
        Makarenko et al., "Hardware-accelerated integrated optoelectronic platform towards
        real-time high-resolution hyperspectral video understanding", Nature Communications, 2024:
        the label of Fig. 1 is the nominal rate. The others are ours.

    Example:
        >>> r = rates(height=10, width=10, bands=8, cube_bits=16, fps=2, sensor_bits=8,
        ...           mosaic=(2, 2))
        >>> r.nominal, r.honest, r.readout, r.ratio, r.honest_ratio
        (25600, 6400.0, 1600, 16.0, 4.0)
    """
    counts = {"height": height, "width": width, "bands": bands, "fps": fps, "snr": snr}
    counts |= {"cube_bits": cube_bits, "sensor_bits": sensor_bits}
    counts |= {"mosaic rows": mosaic[0], "mosaic columns": mosaic[1]}
    for name, value in {**counts, "seconds": seconds, "bandwidth": bandwidth}.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UsageError(f"{name} must be positive and finite, got {value}; give a real camera")
    if mosaic[0] > height or mosaic[1] > width:
        raise UsageError(
            f"mosaic={mosaic} must fit the sensor of {height} x {width}; give a smaller one"
        )
    if bandwidth is not None and seconds is None:
        raise UsageError("bandwidth needs seconds, the time of one frame; give both or neither")
    pixels = height * width
    nominal = pixels * bands * cube_bits * fps
    told = min(float(sensor_bits), 0.5 * math.log2(1 + snr**2))
    measured = None if seconds is None else 8 * pixels * bands * _bytes(cube_bits) / seconds
    return Rates(
        nominal=nominal,
        honest=nominal / (mosaic[0] * mosaic[1]),
        readout=pixels * sensor_bits * fps,
        information=pixels * fps * told,
        measured=measured,
        roofline=measured / (8 * bandwidth) if measured and bandwidth else None,
    )


def _bytes(bits: int) -> int:
    """Bytes that hold one value of so many bits in memory: 1, 2, 4 or 8."""
    return 1 << max(0, math.ceil(math.log2(bits / 8)))


@dataclass(frozen=True)
class Device:
    """A camera or a wire, its figures, and how far we stand behind them.

    Attributes:
        name: What it is.
        form: How it takes a cube.
        figures: The figures its rate follows from.
        rate: Nominal rate in bit/s.
        mark: "verified" where read in its source, "derived" where computed from such figures,
            "unverified" where no source was at hand.

    Example:
        >>> [device.mark for device in devices() if device.name.startswith("DDR5-4800")]
        ['derived']
    """

    name: str
    form: str
    figures: str
    rate: float
    mark: str


def devices() -> tuple[Device, ...]:
    """What else moves spectra, fastest first, each row with its mark.

    Returns:
        The devices; rates are pixels x bands x bits x frames (or lines) per second.

    Example:
        >>> devices()[0].rate / 1e12
        1.20324096
    """
    rows = (
        Device(
            "Encoder mosaic of the 1.2 Tb/s claim",
            "mosaic",
            "4096 x 3000 x 204 x 16 bit x 30 /s, reconstructed by us",
            Rates.paper_1p2().nominal,
            "derived",
        ),
        Device(
            "Bian et al., Nature 2024",
            "broadband mosaic",
            "1024 x 1024 x 96 x 16 bit x 124 /s",
            1024 * 1024 * 96 * 16 * 124,
            "derived",
        ),
        Device("DDR5-4800 channel, ideal", "memory", "4800 MT/s x 64 bit", 4800e6 * 64, "derived"),
        Device(
            "XIMEA/imec 4 x 4",
            "narrow-band mosaic",
            "2048 x 1088 raw x 10 bit x 170 /s",
            2048 * 1088 * 10 * 170,
            "unverified",
        ),
        Device(
            "Cubert ULTRIS X20",
            "light field",
            "410 x 410 x 164 x 12 bit x 6 /s",
            410 * 410 * 164 * 12 * 6,
            "unverified",
        ),
        Device(
            "Specim FX10 class",
            "line scan",
            "1024 x 224 x 12 bit x 330 lines/s",
            1024 * 224 * 12 * 330,
            "unverified",
        ),
        Device(
            "HOT tracking videos",
            "narrow-band mosaic",
            "512 x 256 x 16 x 10 bit x 25 /s",
            512 * 256 * 16 * 10 * 25,
            "unverified",
        ),
        Device(
            "First prototype of the encoder mosaic",
            "mosaic",
            "108 x 108 x 34 x 16 bit x 30 /s",
            108 * 108 * 34 * 16 * 30,
            "derived",
        ),
    )
    return tuple(sorted(rows, key=lambda row: -row.rate))
