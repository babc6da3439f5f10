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
    # Tensors of 64-bit integers wrap around on overflow, as the hash wants; Python's do not.
    purpose_, seed_, epoch_ = torch.tensor(
        [zlib.crc32(purpose.encode()), seed, epoch], device=samples.device
    )
    state = _mix(_mix(_mix(purpose_ + seed_ * _STEP) + epoch_ * _STEP) + samples.long() * _STEP)
    positions = torch.arange(num, device=samples.device)
    bits = _mix(state[:, None] + (positions + 1) * _STEP)
    # The upper 24 bits fill the mantissa of a float32 exactly, so 1.0 is never reached.
    return _shift(bits, 40).float() / (1 << 24)


_STEP = -7046029254386353131  # 2**64 divided by the golden ratio, as a signed 64-bit number


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * -4658895280553007687
    value = (value ^ _shift(value, 27)) * -7723592293110705685
    return value ^ _shift(value, 31)


def _shift(value: Tensor, bits: int) -> Tensor:
    # torch shifts signed integers arithmetically; the hash needs zeros to come in from the left.
    return (value >> bits) & ((1 << (64 - bits)) - 1)
