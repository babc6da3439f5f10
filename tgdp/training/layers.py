"""How the transformer layers are computed: compiled, or again on the way back to save memory."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tgdp.config import RuntimeConfig
from tgdp.model.blocks import Block, JointBlock
from tgdp.model.decoder import Decoder
from tgdp.model.tokens import PatchEmbed

MOST_SHAPES = 64
"""Shapes that one layer is compiled for: modality, pass, decoder, the last layer with fewer tokens.

torch gives up after 8 and goes on without compiling. A mask ratio that changes from step to step
makes new shapes for ever: this many are compiled, the rest is not.
"""


def prepare_layers(module: nn.Module, runtime: RuntimeConfig, *, is_trained: bool) -> None:
    """Set how the layers of a module are computed; what they compute stays the same.

    The layers are compiled one by one, and what makes tokens of inputs, not the whole model: those
    of equal shape share one piece of code, so that it takes a minute and not ten.

    Args:
        module: Student or teacher; its parameters and their names stay as they are.
        runtime: What is asked for.
        is_trained: Whether gradients are needed; without, there is nothing to compute again.
    """
    if not runtime.compile and not (runtime.activation_checkpointing and is_trained):
        return
    # One entry for each shape of each function, of student and teacher.
    torch._dynamo.config.recompile_limit = MOST_SHAPES  # pyright: ignore[reportPrivateImportUsage]
    for part in module.modules():
        if isinstance(part, Block):
            part.onward = _way(part.onward, runtime, is_trained=is_trained)
        elif isinstance(part, JointBlock):
            part.forward = _way(part.forward, runtime, is_trained=is_trained)
            part.ranked = _way(part.ranked, runtime, is_trained=is_trained)
        elif isinstance(part, PatchEmbed) and runtime.compile:
            part.forward = torch.compile(part.forward, dynamic=False)
        elif isinstance(part, Decoder) and runtime.compile:
            part.spread = torch.compile(part.spread, dynamic=False)


def _way(function: Callable[..., Any], runtime: RuntimeConfig, *, is_trained: bool) -> Any:
    if runtime.activation_checkpointing and is_trained:
        function = partial(checkpoint, function, use_reentrant=False, preserve_rng_state=False)
    return torch.compile(function, dynamic=False) if runtime.compile else function
