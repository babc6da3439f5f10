"""The precision that a step is computed in."""

import torch

from tgdp.config import Config
from tgdp.errors import UserError

TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def autocast(config: Config, device: torch.device, *, caches: bool = True) -> torch.autocast:
    """Return the precision context of a run; with float32 it changes nothing.

    Args:
        config: The run.
        device: Where it is computed.
        caches: Whether a weight is converted once for all its uses; not while a graph is recorded,
            in which the conversion would then be left out.
    """
    half = TYPES.get(config.training.precision)
    return torch.autocast(
        device.type,
        dtype=half or torch.bfloat16,
        enabled=half is not None,
        cache_enabled=caches,
    )


def build_scaler(config: Config, device: torch.device) -> torch.amp.GradScaler:
    """Return what keeps float16 gradients in range; for other types it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=config.training.precision == "float16")


def check_precision(config: Config, device: torch.device) -> None:
    """See that a device has the type that is asked for.

    Raises:
        UserError: A GPU has no bfloat16; the mend is named. It is not replaced by float16 here,
            because that makes another run.
    """
    if config.training.precision != "bfloat16" or device.type != "cuda":
        return
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name(device)
        raise UserError(
            f"training.precision bfloat16: {name} has none; choose --set "
            "training.precision=float16, which scales the loss, or float32"
        )
