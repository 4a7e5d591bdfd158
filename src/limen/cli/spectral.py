"""`limen spectral`: design, make, encode, train, judge, stream."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="See with a few numbers what takes hundreds of bands.",
    rich_markup_mode=None,
)

Seed = Annotated[int, typer.Option(min=0, help="Decides every random number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Seen = Annotated[
    str, typer.Option(help="Saved camera, or nine: Gaussian filters in a 3 x 3 mosaic.")
]
Key = Annotated[str | None, typer.Option(help="Array in a file with several [the only one].")]
Bands = Annotated[
    Path | None, typer.Option(help="Wavelengths in nm, one a line, if the file states none.")
]
Order = Annotated[str | None, typer.Option(help="Axes as they lie in the file, such as byx.")]
Scale = Annotated[float | None, typer.Option(help="What values are multiplied by [1].")]
Sort = Annotated[bool, typer.Option(help="Sort bands that overlap, as AVIRIS's do.")]


@app.command()
def design(
    cube: Annotated[Path, typer.Argument(metavar="CUBE", help="Scene whose upper half teaches.")],
    *,
    into: Annotated[Path, typer.Option(help="File for the camera (.safetensors).")],
    filters: Annotated[
        str, typer.Option(help="thin-film, fabry-perot, free-form, gaussians or lorentzians.")
    ] = "thin-film",
    count: Annotated[int, typer.Option(min=1, help="Filters.")] = 9,
    layers: Annotated[int, typer.Option(min=1, help="Layers of a thin film.")] = 7,
    mosaic: Annotated[
        int, typer.Option(min=1, help="Side of the mosaic; 1: every pixel sees all.")
    ] = 1,
    exposure: Annotated[
        str, typer.Option(help="Rule: equal_exposure or full_well.")
    ] = "equal_exposure",
    light: Annotated[
        str | None, typer.Option(help="Of reflectances: equal, A, led, blackbody:T [radiance].")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps from each start.")] = 300,
    restarts: Annotated[int, typer.Option(min=1, help="Starts; the best is kept.")] = 4,
    wavelengths: Bands = None,
    key: Key = None,
    order: Order = None,
    scale: Scale = None,
    sort: Sort = False,
    page: Annotated[Path | None, typer.Option(help="File for a page (.html) [none].")] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train filters for a scene, and tell what they gain."""
    from limen.cli import designing as do

    scene = do.scene(cube, wavelengths, key=key, order=order, scale=scale, sort=sort)
    do.check_outputs(into, page)
    plan = do.Plan(filters, count, layers, mosaic, exposure, light, steps, restarts, seed)
    do.design(scene, plan, into=into, page=page, as_json=as_json)


@app.command()
def make(
    *,
    into: Annotated[Path, typer.Option(help="Folder for the video; it must be new.")],
    kinds: Annotated[int, typer.Option(min=1, max=6, help="Pairs of real and artificial.")] = 4,
    frames: Annotated[int, typer.Option(min=1, help="Frames.")] = 24,
    height: Annotated[int, typer.Option(min=12, help="Rows, a multiple of 3.")] = 96,
    width: Annotated[int, typer.Option(min=12, help="Columns, a multiple of 3.")] = 132,
    film: Annotated[Path | None, typer.Option(help="Film of it, .mp4 or .gif [none].")] = None,
    seed: Seed = 0,
) -> None:
    """Make a video whose things RGB cannot tell apart."""
    from limen.cli import filming as do

    do.make(into, kinds=kinds, frames=frames, size=(height, width), film=film, seed=seed)


@app.command()
def encode(
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="A cube, or a folder of cubes.")],
    *,
    into: Annotated[Path, typer.Option(help="File for the sensor's numbers (.npz).")],
    camera: Seen = "nine",
    wavelengths: Bands = None,
    key: Key = None,
    order: Order = None,
    scale: Scale = None,
    sort: Sort = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Capture a scene as the numbers of a sensor."""
    from limen.cli import designing, filming

    how = designing.reading(wavelengths, key=key, order=order, scale=scale, sort=sort)
    filming.encode(scene, camera, how, into=into, seed=seed, as_json=as_json)


@app.command()
def train(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Folder of cubes with masks.")],
    *,
    into: Annotated[Path, typer.Option(help="File for the reader (.safetensors).")],
    test: Annotated[
        Path | None, typer.Option(help="Another recording, to be judged on [none].")
    ] = None,
    camera: Seen = "nine",
    reader: Annotated[
        str, typer.Option(help="linear (each pixel alone) or unet (surroundings too).")
    ] = "linear",
    steps: Annotated[int, typer.Option(min=1, help="Steps of the U-Net.")] = 400,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train a reader that names pixels by their channels."""
    from limen.cli import filming as do

    do.train(video, camera, reader, steps=steps, test=test, into=into, seed=seed, as_json=as_json)


@app.command()
def judge(
    video: Annotated[
        Path | None, typer.Argument(metavar="[VIDEO]", help="Folder of cubes with masks.")
    ] = None,
    *,
    reader: Annotated[Path | None, typer.Option(help="Saved reader [none].")] = None,
    camera: Seen = "nine",
    rates: Annotated[bool, typer.Option("--rates", help="Tell the camera's rates.")] = False,
    height: Annotated[int, typer.Option(min=1, help="Sensor rows, for --rates.")] = 3000,
    width: Annotated[int, typer.Option(min=1, help="Sensor columns.")] = 4096,
    bands: Annotated[int, typer.Option(min=1, help="Bands of the cube.")] = 204,
    cube_bits: Annotated[int, typer.Option(min=1, help="Bits of a value of the cube.")] = 16,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 30.0,
    sensor_bits: Annotated[int, typer.Option(min=1, help="Bits of a sensor value.")] = 8,
    mosaic: Annotated[int, typer.Option(min=1, help="Side of the mosaic.")] = 3,
    seconds: Annotated[
        float | None, typer.Option(help="What software took for one frame [not timed].")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Judge a reader on a recording, or tell rates."""
    from limen.cli import designing, filming

    if rates:
        designing.rates(
            height=height, width=width, bands=bands, cube_bits=cube_bits, fps=fps,
            sensor_bits=sensor_bits, mosaic=mosaic, seconds=seconds, as_json=as_json,
        )  # fmt: skip
    if video is not None or not rates:
        filming.judge(video, camera, reader, seed=seed, as_json=as_json)


@app.command()
def stream(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Folder of cubes, or one cube.")],
    *,
    into: Annotated[
        Path | None, typer.Option(help="File for a viewer with four panes (.html) [none].")
    ] = None,
    reader: Annotated[Path | None, typer.Option(help="Saved reader [none].")] = None,
    camera: Seen = "nine",
    film: Annotated[Path | None, typer.Option(help="Film of the masks, .mp4 or .gif.")] = None,
    drop: Annotated[bool, typer.Option(help="Drop frames that wait, as a live camera.")] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Read a video frame by frame, and tell latencies."""
    from limen.cli import filming as do

    do.stream(
        video, camera, reader, into=into, film=film, drop=drop, seed=seed, as_json=as_json
    )  # fmt: skip
