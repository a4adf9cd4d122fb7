"""Snippet features of raw video: processor time of the network and of decoding, for each snippet, summed over cores."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from benchmarks import machine
from tsc_jax.video import i3d, weights
from tsc_jax.video.decode import CROP, read_frames
from tsc_jax.video.extract import SNIPPET

WIDTH, HEIGHT, SECONDS = 640, 360, 8  # of the video that is decoded
SHAPE = (1, SNIPPET, CROP, CROP, 3)


def extraction(repeats: int, width: int, snippets: int) -> Iterator[dict]:
    """The network in both types, one snippet at a time, then the decoder."""
    del width, snippets
    variables = weights.load_variables()
    frames = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path)
        share = SNIPPET / sum(1 for _ in read_frames(path))
        decoded = f"decoding a snippet, {WIDTH} x {HEIGHT}, H.264"
        measures = {
            f"snippet of video, {dtype}": network(variables, dtype, frames) for dtype in ("float32", "bfloat16")
        }
        measures[decoded] = lambda: share * processor_seconds(lambda: [None for _ in read_frames(path)])
        samples = machine.interleaved(measures, repeats)
    flops = snippet_flops(variables)
    for name, times in samples.items():
        work = {} if name == decoded else {"FLOP": flops, "FLOP/s": flops / machine.median(times)}
        yield {"name": name, "unit": "CPU s", "samples": times, **work}


def snippet_flops(variables: dict) -> float:
    """FLOPs of the network for one snippet, as XLA counts them."""
    frames = jax.ShapeDtypeStruct(SHAPE, np.uint8)
    return jax.jit(i3d.features).lower(i3d.fold(variables), frames).cost_analysis()["flops"]


def network(variables: dict, dtype: str, frames: np.ndarray) -> Callable[[], float]:
    """A measure of processor seconds of one call."""
    params, features = i3d.fold(variables, dtype), jax.jit(i3d.features)
    return lambda: processor_seconds(lambda: features(params, frames).block_until_ready())


def processor_seconds(function: Callable[[], object]) -> float:
    """Seconds that all threads of this process have computed for."""
    start = time.process_time()
    function()
    return time.process_time() - start


def write_video(path: Path) -> None:
    """A coarse texture that moves."""
    import av

    texture = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(25 * SECONDS):
            picture = np.roll(texture, 3 * index, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
