"""Every name of a released state dict and its shape, by rule from the sizes."""

from torch import Tensor

from tgdp.model.released.names import REGISTERS
from tgdp.model.released.sizes import Sizes
from tgdp.model.tokens import sincos_positions

Shapes = dict[str, tuple[int, ...]]


def layout(sizes: Sizes) -> Shapes:
    """Return every name that the released model of these sizes holds, with its shape.

    Source: released `CAVMAE_DP.__init__`; CAV-MAE is the same without CLS and registers.
    """
    return _encoder(sizes) | (_decoder(sizes, sizes.decoder_width) if sizes.decoder_width else {})


def positions(name: str, sizes: Sizes) -> Tensor:
    """Return the fixed positions that the released model keeps under a name, (1, N, D)."""
    width = layout(sizes)[name][-1]
    return sincos_positions(width, sizes.audio if name.endswith("_a") else sizes.image)[None]


def _encoder(sizes: Sizes) -> Shapes:
    width = sizes.width
    shapes: Shapes = {
        "modality_a": (1, 1, width),
        "modality_v": (1, 1, width),
        "pos_embed_a": (1, sizes.audio.num_patches, width),
        "pos_embed_v": (1, sizes.image.num_patches, width),
        "patch_embed_a.proj.weight": (width, 1, sizes.patch[0], sizes.patch[0]),
        "patch_embed_a.proj.bias": (width,),
        "patch_embed_v.proj.weight": (width, 3, sizes.patch[1], sizes.patch[1]),
        "patch_embed_v.proj.bias": (width,),
    }
    if sizes.num_registers:
        shapes[REGISTERS] = (2 * sizes.num_registers, width)
    if sizes.has_cls:
        shapes |= {"cls_token_a": (1, 1, width), "cls_token_v": (1, 1, width)}
    stacks = {
        "blocks_a": sizes.modality_layers,
        "blocks_v": sizes.modality_layers,
        "blocks_u": sizes.joint_layers,
        "constrative_head_audio": sizes.head_layers,
        "constrative_head_visual": sizes.head_layers,
    }
    for stack, layers in stacks.items():
        shapes |= _stack(stack, layers, width, sizes.hidden)
    return shapes | _norm("norm_a", width) | _norm("norm_v", width) | _norm("norm", width)


def _decoder(sizes: Sizes, width: int) -> Shapes:
    audio, image = sizes.patch
    return {
        "mask_token": (1, 1, width),
        "decoder_modality_a": (1, 1, width),
        "decoder_modality_v": (1, 1, width),
        "decoder_pos_embed_a": (1, sizes.audio.num_patches, width),
        "decoder_pos_embed_v": (1, sizes.image.num_patches, width),
        **_linear("decoder_embed", sizes.width, width),
        **_stack("decoder_blocks", sizes.decoder_layers, width, sizes.decoder_hidden),
        **_norm("decoder_norm", width),
        **_linear("decoder_pred_a", width, audio**2),
        **_linear("decoder_pred_v", width, 3 * image**2),
    }


def _stack(name: str, layers: int, width: int, hidden: int) -> Shapes:
    shapes: Shapes = {}
    for layer in (f"{name}.{number}" for number in range(layers)):
        # Every layer has three pairs of norms, also where only the first is ever used.
        for norm in (
            f"{layer}.norm{place}{stream}" for place in "12" for stream in ("", "_a", "_v")
        ):
            shapes |= _norm(norm, width)
        shapes |= _linear(f"{layer}.attn.qkv", width, 3 * width)
        shapes |= _linear(f"{layer}.attn.proj", width, width)
        shapes |= _linear(f"{layer}.mlp.fc1", width, hidden)
        shapes |= _linear(f"{layer}.mlp.fc2", hidden, width)
    return shapes


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
