"""A model of a moment, for the tests that need one and not what it learns."""

SMALL_MODEL = {
    "model.width": 16,
    "model.num_heads": 2,
    "model.modality_layers": 1,
    "model.decoder.width": 8,
}
"""Changes of the preset `tiny`."""
