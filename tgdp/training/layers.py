"""How the transformer layers are computed: compiled, or again on the way back to save memory."""

from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tgdp.config import RuntimeConfig
from tgdp.model.blocks import Block, JointBlock

MOST_SHAPES = 64
"""Shapes that one layer is compiled for: modality, pass, decoder, the last layer with fewer tokens.

torch gives up after 8 and goes on without compiling. A mask ratio that changes from step to step
makes new shapes for ever: this many are compiled, the rest is not.
"""


def prepare_layers(module: nn.Module, runtime: RuntimeConfig, *, is_trained: bool) -> None:
    """Set how the layers of a module are computed; what they compute stays the same.

    The layers are compiled one by one, not the whole model: those of equal shape share one piece of
    code, so that it takes a minute and not ten.

    Args:
        module: Student or teacher; its parameters and their names stay as they are.
        runtime: What is asked for.
        is_trained: Whether gradients are needed; without, there is nothing to compute again.
    """
    if not runtime.compile and not (runtime.activation_checkpointing and is_trained):
        return
    # One entry for each shape of each function, of student and teacher.
    torch._dynamo.config.recompile_limit = MOST_SHAPES  # pyright: ignore[reportPrivateImportUsage]
    for layer in module.modules():
        if not isinstance(layer, (Block, JointBlock)):
            continue
        if runtime.activation_checkpointing and is_trained:
            layer.forward = partial(
                checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False
            )
        if runtime.compile:
            layer.compile(dynamic=False)
            if isinstance(layer, JointBlock):
                layer.ranked = torch.compile(layer.ranked, dynamic=False)
