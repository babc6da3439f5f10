"""Names of the released checkpoints <-> ours: see `tgdp.model.released`."""

from tgdp.model.released.names import from_released, our_name

__all__ = ["from_released", "our_name"]
