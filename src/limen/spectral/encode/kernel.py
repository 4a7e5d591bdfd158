"""The integer kernel: eight pixels at once, two bands to an instruction, sums in registers."""

from collections.abc import Callable
from functools import cache
from inspect import unwrap
from typing import Any

from limen._core.optional import require

LANES = 8
GROUP = 9
Kernel = Callable[..., None]


@cache
def kernel(channels: int) -> Kernel:
    """A compiled loop over tiles for so many channels; releases the lock, so threads may share it.

    For each tile and channel: sum over band pairs of x0 w0 + x1 w1 in int32. The sums of up to
    nine channels stay in vector registers while a tile passes once; x86 with AVX2 multiplies two
    bands in one instruction (pmaddwd), other machines get the same sums from plain vector code.

    Args:
        channels: Channels, at least 1.

    Returns:
        run(tiles, weights, out, start, stop): tiles int16 (tiles, pairs, 8, 2), weights int32
        (groups, pairs, channels of a group) holding two int16 each, out int32
        (tiles, channels, 8); rows start to stop are written.

    Example:
        >>> kernel(2) is kernel(2)
        True
    """
    numba = require("numba", extra="spectral")
    size = group_size(channels)
    dot = _dot(size)

    def run(tiles: Any, weights: Any, out: Any, start: int, stop: int) -> None:  # noqa: PLR0917
        pairs = tiles.shape[1]
        for tile in range(start, stop):
            for group in range(weights.shape[0]):
                dot(
                    tiles[tile].ctypes.data,
                    weights[group].ctypes.data,
                    out[tile, group * size :].ctypes.data,
                    pairs,
                )

    # unwrapped: a checker of types that sits around `run` would not compile
    compiled: Kernel = numba.njit(nogil=True, boundscheck=False)(unwrap(run))
    return compiled


def group_size(channels: int) -> int:
    """Channels that one pass over a tile sums up: the fewest passes, evenly filled.

    Args:
        channels: Of the camera, at least 1.

    Returns:
        Channels a pass.

    Example:
        >>> [group_size(k) for k in (3, 9, 10, 16, 25)]
        [3, 9, 5, 8, 9]
    """
    passes = -(-channels // GROUP)
    return -(-channels // passes)


def _dot(size: int) -> Any:
    """An intrinsic: the sums of `size` channels over one tile, written as vector code."""
    extending = require("numba.extending", extra="spectral")
    types = require("numba.core.types", extra="spectral")

    def dot(typing: Any, tile: Any, weights: Any, out: Any, pairs: Any) -> Any:  # noqa: PLR0917
        signature = types.void(tile, weights, out, pairs)

        def build(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            _emit(builder, arguments, size)
            return context.get_dummy_value()

        return signature, build

    return extending.intrinsic(unwrap(dot))


def _emit(builder: Any, arguments: Any, size: int) -> None:
    """The loop over band pairs, with one vector of eight sums for each channel."""
    ir = require("llvmlite.ir", extra="spectral")
    i32, i64 = ir.IntType(32), ir.IntType(64)
    eight, sixteen = ir.VectorType(i32, LANES), ir.VectorType(ir.IntType(16), 2 * LANES)
    tile, weights, out, pairs = arguments
    source = builder.inttoptr(tile, sixteen.as_pointer())
    factor = builder.inttoptr(weights, i32.as_pointer())
    target = builder.inttoptr(out, eight.as_pointer())
    before = builder.block
    body = builder.append_basic_block("pairs")
    after = builder.append_basic_block("written")
    builder.branch(body)
    builder.position_at_end(body)
    at = builder.phi(i64)
    at.add_incoming(ir.Constant(i64, 0), before)
    sums = [builder.phi(eight) for _ in range(size)]
    for total in sums:
        total.add_incoming(ir.Constant(eight, None), before)
    x = builder.load(builder.gep(source, [at]), align=16)
    base = builder.mul(at, ir.Constant(i64, size))
    multiplied = _multiplier(builder, x)
    grown = []
    for channel, total in enumerate(sums):
        place = builder.add(base, ir.Constant(i64, channel))
        pair = builder.load(builder.gep(factor, [place]))
        grown.append(builder.add(total, multiplied(_splat(builder, pair, eight))))
    following = builder.add(at, ir.Constant(i64, 1))
    at.add_incoming(following, body)
    for total, value in zip(sums, grown, strict=True):
        total.add_incoming(value, body)
    builder.cbranch(builder.icmp_signed("<", following, pairs), body, after)
    builder.position_at_end(after)
    for channel, value in enumerate(grown):
        builder.store(value, builder.gep(target, [ir.Constant(i64, channel)]), align=4)


def _splat(builder: Any, value: Any, vector: Any) -> Any:
    ir = require("llvmlite.ir", extra="spectral")
    i32 = ir.IntType(32)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(i32, 0))
    mask = ir.Constant(ir.VectorType(i32, LANES), None)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


def _multiplier(builder: Any, x: Any) -> Callable[[Any], Any]:
    """Pairs of int16 products, summed to int32: one instruction where the processor has it."""
    ir = require("llvmlite.ir", extra="spectral")
    i32 = ir.IntType(32)
    eight = ir.VectorType(i32, LANES)
    sixteen = ir.VectorType(ir.IntType(16), 2 * LANES)
    if _has_avx2():
        cgutils = require("numba.core.cgutils", extra="spectral")
        kind = ir.FunctionType(eight, [sixteen, sixteen])
        madd = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.avx2.pmadd.wd")
        return lambda pair: builder.call(madd, [x, builder.bitcast(pair, sixteen)])
    half = ir.Constant(eight, [16] * LANES)
    whole = builder.bitcast(x, eight)

    def low(of: Any) -> Any:
        return builder.ashr(builder.shl(of, half), half)

    def high(of: Any) -> Any:
        return builder.ashr(of, half)

    return lambda pair: builder.add(
        builder.mul(low(whole), low(pair)), builder.mul(high(whole), high(pair))
    )


def _has_avx2() -> bool:
    binding = require("llvmlite.binding", extra="spectral")
    return bool(binding.get_host_cpu_features().get("avx2", False))
