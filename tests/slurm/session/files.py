"""What the session needs in its folder: a sweep of twelve cells, and two profiles."""

from pathlib import Path

SWEEP = '''\
"""How much should the contrastive path see, in twelve cells?"""

from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

SWEEP = Sweep(
    name="twelve",
    title="Twelve cells",
    question="How much should the contrastive path see, in twelve cells?",
    source="",
    key="contrastive.mask.ratio",
    variants=tuple(
        Variant(f"{ratio:.2f}", {"contrastive.mask.ratio": ratio})
        for ratio in (0.0, 0.2, 0.35, 0.5, 0.65, 0.75)
    ),
    metrics=RETRIEVAL,
    seeds=(0, 1),
)
'''

PROFILES = {
    "session": """\
description: may be preempted, is queued again by itself
partition: preempt
cpus: 1
memory: 2G
walltime: 20
array_parallelism: 1
sbatch: {nodelist: node3}
""",
    "session-once": """\
description: never queued again
partition: main
cpus: 1
memory: 2G
walltime: 20
requeue: none
array_parallelism: 1
sbatch: {nodelist: node1}
""",
}


def write(folder: Path) -> None:
    """Write them into a folder, where `tgdp-sweep` finds them if it is started there."""
    (folder / "sweeps").mkdir(parents=True)
    (folder / "sweeps" / "twelve.py").write_text(SWEEP, encoding="utf-8")
    (folder / "profiles").mkdir()
    for name, text in PROFILES.items():
        (folder / "profiles" / f"{name}.yaml").write_text(text, encoding="utf-8")
