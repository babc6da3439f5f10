"""What a clip sounds like: a struck tone an object, over hum and hiss."""

import numpy as np
from numpy.typing import NDArray

from tgdp.data.synthetic.factors import Clip, SoundingObject
from tgdp.data.synthetic.spec import SynthSpec

SAMPLE_RATE = 16_000
PERIOD = 1.1
"""Seconds between two strikes of the same object."""

PARTIALS = ((1.0, 2.0, 3.0, 4.0), (1.0, 3.0, 5.0, 7.0), (1.0, 1.5, 2.5, 4.5), (1.0, 4.0, 7.0, 10.0))
"""Harmonic spacing of each shape, as multiples of the pitch."""


def synthesise(clip: Clip, spec: SynthSpec) -> NDArray[np.int16]:
    """Return the sound of a clip, 16 kHz mono."""
    rng = np.random.default_rng([*clip.entropy, 2])
    times = np.arange(round(spec.seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = 0.002 * rng.normal(size=times.size)
    sound += 0.01 * spec.noise * rng.uniform(0.3, 1.0) * rng.normal(size=times.size)
    hum = rng.uniform(50, 120)
    sound += 0.06 * spec.noise * rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * hum * times)
    for thing in clip.objects:
        sound += _strikes(thing, times, rng.uniform(0, 2 * np.pi)) / np.sqrt(len(clip.objects))
    return (sound.clip(-1, 1) * 32_767).astype(np.int16)


def _strikes(
    thing: SoundingObject, times: NDArray[np.float64], phase: float
) -> NDArray[np.float64]:
    onset = (0.05 + 0.65 * thing.place) * PERIOD
    since = (times - onset) % PERIOD
    since[times < onset] = PERIOD  # nothing has been struck yet
    envelope = np.minimum(since / 0.005, 1.0) * np.exp(-since / 0.12)
    pitch = 200.0 * 2.0 ** (3.0 * thing.hue)
    tone = sum(
        np.sin(2 * np.pi * pitch * partial * times + phase * partial) / (1 + 0.3 * rank)
        for rank, partial in enumerate(PARTIALS[thing.shape])
        if pitch * partial < SAMPLE_RATE / 2
    )
    loudness = 10.0 ** ((-26.0 + 20.0 * thing.size) / 20.0)
    return loudness * envelope * tone
