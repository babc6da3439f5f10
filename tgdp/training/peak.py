"""How many operations a second a device can do at most, by its data sheet."""

import re
from typing import NamedTuple

import torch


class Peak(NamedTuple):
    """Dense peaks in 10^12 operations a second; None where the device has no such unit.

    Attributes:
        half: bfloat16 and float16 with float32 sums, on tensor cores.
        tf32: float32 products rounded to TF32, on tensor cores.
        float32: Plain float32.
        has_bfloat16: Whether `half` holds for bfloat16 too.
    """

    half: float
    tf32: float | None
    float32: float
    has_bfloat16: bool = True


PEAKS: tuple[tuple[str, Peak], ...] = (
    # NVIDIA's data sheets and architecture papers of each card. Where a sheet states figures with
    # sparsity alone, half of that. The first pattern that fits counts.
    (r"H200 NVL", Peak(835.5, 417.5, 60.0)),
    (r"\bG?H200\b", Peak(989.5, 494.5, 67.0)),
    (r"H100 NVL", Peak(835.5, 417.5, 60.0)),
    (r"H100 PCIe", Peak(756.5, 378.0, 51.0)),
    (r"\bH100\b", Peak(989.5, 494.5, 67.0)),
    (r"\bA100\b", Peak(312.0, 156.0, 19.5)),
    (r"\bA40\b", Peak(149.7, 74.8, 37.4)),
    (r"\bA30\b", Peak(165.0, 82.0, 10.3)),
    (r"\bA10\b", Peak(125.0, 62.5, 31.2)),
    (r"\bL40S\b", Peak(362.05, 183.0, 91.6)),
    (r"\bL40\b", Peak(181.05, 90.5, 90.5)),
    (r"\bL4\b", Peak(121.0, 60.0, 30.3)),
    (r"V100S", Peak(130.0, None, 16.4, has_bfloat16=False)),
    (r"V100-PCIE", Peak(112.0, None, 14.0, has_bfloat16=False)),
    (r"V100", Peak(125.0, None, 15.7, has_bfloat16=False)),
    (r"\bT4\b", Peak(65.0, None, 8.1, has_bfloat16=False)),
    (r"RTX 3090(?! Ti)", Peak(71.0, 35.6, 35.6)),
    (r"RTX 4090(?! (D|Laptop))", Peak(165.2, 82.6, 82.6)),
)


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Return the operations a second that a device can do at most; None if that is not known.

    Args:
        device: A CPU has no peak here.
        precision: `float32`, `bfloat16` or `float16`. With float32, that of TF32 counts where
            torch is allowed to use it.

    Source: data sheets, dense.
    """
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    peak = peak_of(name, precision, tf32=torch.get_float32_matmul_precision() != "highest")
    return None if peak is None else peak * 1e12


def peak_of(name: str, precision: str, *, tf32: bool) -> float | None:
    """Return the dense peak of a card, in 10^12 operations a second; None if that is not known.

    Args:
        name: What the driver calls the card.
        precision: `float32`, `bfloat16` or `float16`.
        tf32: Whether float32 products may be rounded to TF32.
    """
    peak = next((peak for pattern, peak in PEAKS if re.search(pattern, name)), None)
    if peak is None:
        return None
    if precision == "float32":
        return peak.tf32 if tf32 and peak.tf32 is not None else peak.float32
    return peak.half if precision == "float16" or peak.has_bfloat16 else None
