"""What the encoder's settings make of files and of live streams."""

import io
from fractions import Fraction

import av
import numpy as np

from streamcam.sinks.encoder import PictureConverter, add_video_stream

SIZE = (320, 240)


def encoded(*, live: bool) -> tuple[int, list[int]]:
    """Encode a box that crosses a resting, rough ground; return bytes, and packets by frame."""
    rng = np.random.default_rng(0)
    ground = rng.normal(128, 12, (SIZE[1], SIZE[0], 3)).clip(0, 255).astype(np.uint8)
    target, packets = io.BytesIO(), []
    convert, tick = PictureConverter(SIZE), Fraction(1, 25)
    with av.open(target, "w", format="mp4") as container:
        stream = add_video_stream(container, "libx264", SIZE, tick, Fraction(25), 1, live=live)
        for index in range(50):
            picture = ground.copy()
            picture[80:140, 4 * index : 4 * index + 60] = rng.integers(0, 256, 3)
            frame = convert(picture)
            frame.pts, frame.time_base = index, tick
            out = stream.encode(frame)
            packets.append(len(out))
            container.mux(out)
        container.mux(stream.encode(None))
    return target.getbuffer().nbytes, packets


def test_files_look_ahead_and_are_smaller_for_it() -> None:
    file, live = encoded(live=False), encoded(live=True)
    assert live[1] == [1] * 50, "a live frame's packet comes out with it"
    assert sum(file[1][:10]) == 0
    assert file[0] < 0.9 * live[0]
