"""What a run is: one frozen, fully resolved configuration, and the signature that names it."""

from tgdp.config.checks import MEL_BINS, num_kept
from tgdp.config.inputs import DataConfig, DecoderConfig, InitConfig, ModelConfig
from tgdp.config.method import (
    ContrastiveConfig,
    ContrastiveMask,
    DistillationConfig,
    MaskConfig,
    ReconstructionConfig,
    TeacherConfig,
)
from tgdp.config.root import Config, EvaluationConfig, RuntimeConfig, TrainingConfig
from tgdp.config.signature import flatten, keys, pretrain_signature, science, signature, signatures
from tgdp.config.text import dump, from_dict, load, override, parse, parse_assignments, to_dict

__all__ = [
    "MEL_BINS",
    "Config",
    "ContrastiveConfig",
    "ContrastiveMask",
    "DataConfig",
    "DecoderConfig",
    "DistillationConfig",
    "EvaluationConfig",
    "InitConfig",
    "MaskConfig",
    "ModelConfig",
    "ReconstructionConfig",
    "RuntimeConfig",
    "TeacherConfig",
    "TrainingConfig",
    "dump",
    "flatten",
    "from_dict",
    "keys",
    "load",
    "num_kept",
    "override",
    "parse",
    "parse_assignments",
    "pretrain_signature",
    "science",
    "signature",
    "signatures",
    "to_dict",
]
