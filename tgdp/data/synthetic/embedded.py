"""The embedded benchmark, made and prepared once."""

from collections.abc import Callable
from pathlib import Path

from tgdp.data.card import CARD_FILE, read_card
from tgdp.data.manifest import read_manifest
from tgdp.data.prepare import Progress, prepare
from tgdp.data.synthetic.benchmark import write_benchmark
from tgdp.data.synthetic.spec import EMBEDDED, EMBEDDED_STORAGE, SynthSpec
from tgdp.errors import UserError

Report = Callable[[str, int, int], None]


def ensure(
    folder: Path,
    workers: int,
    report: Report = lambda stage, done, total: None,
    spec: SynthSpec = EMBEDDED,
) -> Path:
    """Make the embedded benchmark and prepare it, if it is not there.

    Args:
        folder: Prepared folder to write; the clips themselves go beside it, `<folder>-clips`.
        workers: Processes.
        report: Called with the stage ("making", "preparing"), clips done and clips in all.
        spec: What to make.

    Raises:
        UserError: The folder holds other data, or cannot be written.
    """
    if not (folder / CARD_FILE).exists():
        clips = folder.with_name(f"{folder.name}-clips")
        manifest = write_benchmark(
            clips, spec, workers=workers, report=lambda done, total: report("making", done, total)
        )

        def preparing(now: Progress) -> None:
            report("preparing", now.done, now.total)

        prepare(
            read_manifest(manifest), folder, EMBEDDED_STORAGE, workers=workers, report=preparing
        )
    found = read_card(folder).fingerprint
    if found != spec.fingerprint:
        raise UserError(
            f"{folder / CARD_FILE}: field 'fingerprint' is {found}, but this version's benchmark "
            f"is {spec.fingerprint}; remove {folder} and {folder.name}-clips beside it, and start "
            "again"
        )
    return folder
