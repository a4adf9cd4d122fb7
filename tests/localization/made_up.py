"""Random segments for property tests."""

import numpy as np
from hypothesis import strategies as st

from tsc_jax.localization.segments import make_segments


@st.composite
def segments(draw, units=(1, 0.1)):
    """Few places and few scores, some negative: many overlaps, duplicates and ties; some segments are empty."""
    count = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    unit = draw(st.sampled_from(units))
    start = rng.integers(0, draw(st.sampled_from([5, 40, 200])), count)
    length = rng.integers(0, draw(st.sampled_from([2, 8, 30])), count)
    score = rng.integers(-4, 5, count) / draw(st.sampled_from([1, 3]))
    times = start * unit, (start + length) * unit
    return make_segments(rng.integers(0, 3, count), rng.integers(0, 2, count), *times, score)
