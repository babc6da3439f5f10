"""How many parameters a student has, worked out from the sizes alone, without torch."""

from tgdp.config import Config, ModelConfig

STREAMS = 3
"""Through the joint layers, each with norms of its own: shared, audio, image."""


def num_parameters(config: Config) -> int:
    """Return the parameters of the student, encoder and decoder: those that get a gradient.

    The teacher is not among them, nor are fixed positions.
    """
    model = config.model
    learned = int(config.contrastive.learned_temperature)
    return _encoder(model) + _decoder(model) + learned


def _encoder(model: ModelConfig) -> int:
    width = model.width
    layers = 2 * (model.modality_layers + model.contrastive_head_layers)
    more_norms = model.joint_layers * (STREAMS - 1) * 2 * _norm(width)
    around = int(model.pooling == "cls") + model.num_registers + 1
    patches = sum(_linear(values, width) for values in _pixels(model))
    return (
        (layers + model.joint_layers) * _layer(width, model.mlp_ratio)
        + more_norms
        + STREAMS * _norm(width)
        + 2 * around * width
        + patches
    )


def _decoder(model: ModelConfig) -> int:
    decoder = model.decoder
    width = decoder.width
    tokens = 3 * width  # the mask's, and one that marks each modality
    predicted = sum(_linear(width, values) for values in _pixels(model))
    layers = decoder.num_layers * _layer(width, model.mlp_ratio)
    return _linear(model.width, width) + tokens + layers + _norm(width) + predicted


def _layer(width: int, mlp_ratio: float) -> int:
    hidden = int(width * mlp_ratio)
    attention = _linear(width, 3 * width) + _linear(width, width)
    return 2 * _norm(width) + attention + _linear(width, hidden) + _linear(hidden, width)


def _linear(inputs: int, outputs: int) -> int:
    return (inputs + 1) * outputs


def _norm(width: int) -> int:
    return 2 * width


def _pixels(model: ModelConfig) -> tuple[int, int]:
    """Return the values of one patch of each modality."""
    return model.audio_patch**2, 3 * model.image_patch**2
