"""Pictures as PNG files, with nothing but zlib."""

import struct
import zlib

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 3: 2, 4: 6}


def png(pixels: np.ndarray) -> bytes:
    """The PNG file of uint8 pixels: (height, width), or with 3 (RGB) or 4 (RGBA) channels last.

    Example:
        >>> size(png(np.zeros((2, 3), dtype=np.uint8)))
        (3, 2)
    """
    image = pixels[:, :, None] if pixels.ndim == 2 else pixels
    height, width, channels = image.shape
    rows = np.ascontiguousarray(image).reshape(height, width * channels)
    filtered = np.pad(rows, ((0, 0), (1, 0)))  # a zero before each row: no filter
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[channels], 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), 9)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def size(file: bytes) -> tuple[int, int]:
    """Width and height, from the header of a PNG file."""
    width, height = struct.unpack(">II", file[16:24])
    return int(width), int(height)


def _chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check
