"""Random numbers that depend on what they are for and on nothing else.

A draw is a hash of (seed, purpose, epoch, sample index, position). So the number of loader workers,
the number of ranks, the device and a restart in the middle of an epoch do not change a run.
"""

import zlib

import torch
from jaxtyping import Float, Int
from torch import Tensor


def uniform(
    seed: int, purpose: str, epoch: int, samples: Int[Tensor, " B"], num: int
) -> Float[Tensor, "B num"]:
    """Return `num` numbers in [0, 1) for each sample, on the device of `samples`.

    Args:
        seed: Seed of the run.
        purpose: What the numbers decide ("frame", "mask/audio"); each purpose has its own stream.
        epoch: Pass over the data, from 0.
        samples: Index of each sample in its split.
        num: Numbers a sample.

    Source: ours; the mixing function is the finaliser of SplitMix64 (Steele et al., 2014).
    """
    # Worked out here, not on the device: to send it a number is to wait until it has done all that
    # it was given before, and while one waits it is given nothing new.
    key = _mix_one(_mix_one(zlib.crc32(purpose.encode()) + seed * _STEP) + epoch * _STEP)
    state = _mix(samples.long() * _signed(_STEP) + _signed(key))
    positions = torch.arange(num, device=samples.device)
    bits = _mix(state[:, None] + (positions + 1) * _signed(_STEP))
    # The upper 24 bits fill the mantissa of a float32 exactly, so 1.0 is never reached.
    return _shift(bits, 40).float() / (1 << 24)


_STEP = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = (1 << 64) - 1


def _mix_one(value: int) -> int:
    value &= _ALL
    value = (value ^ (value >> 30)) * _FIRST & _ALL
    value = (value ^ (value >> 27)) * _SECOND & _ALL
    return value ^ (value >> 31)


def _mix(value: Tensor) -> Tensor:
    # Tensors of 64-bit integers wrap around on overflow, as the hash wants; Python's do not.
    value = (value ^ _shift(value, 30)) * _signed(_FIRST)
    value = (value ^ _shift(value, 27)) * _signed(_SECOND)
    return value ^ _shift(value, 31)


def _shift(value: Tensor, bits: int) -> Tensor:
    # torch shifts signed integers arithmetically; the hash needs zeros to come in from the left.
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """Return the signed 64-bit number of the same bits, which tensors take."""
    return value - (1 << 64) if value >> 63 else value
