"""The columns of a table that its sweep does not declare: the probes that its runs have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tgdp.report.measured import UNKNOWN, Measured
from tgdp.sweep.declare import Metric

NAME = re.compile(
    r"(?P<protocol>probe-\w+/v\d+)/(?P<dataset>[^/]+)/"
    r"(?:(?P<which>best|teacher|step-\d+)/)?(?P<modality>av|a|v)/(?P<kind>map|top1)"
)
"""The metrics of interest: mAP where clips have several labels, Top-1 where they have one."""

KINDS = {"map": "mAP", "top1": "Top-1"}
MODALITIES = {"av": "audio-visual", "a": "audio", "v": "visual"}
"""In the order of the columns."""

PUBLISHED_PROTOCOL = "probe-attention"
"""The probe of the paper; nobody published a linear one."""

PUBLISHED_DATA = {"as20k": "AS20K", "audioset20k": "AS20K", "vggsound": "VGGSound"}
"""Names of prepared data -> of published data. The embedded benchmark is nobody's."""

PUBLISHED_MODALITIES = {"av": "", "a": " audio-only", "v": " visual-only"}


@dataclass(frozen=True, kw_only=True)
class ProbeMetric(Metric):
    """A column of probe results.

    Attributes:
        column: Name of the metric in the store.
        protocol: Name and version.
        dataset: Data that was probed on.
        which: Weights that were probed, where they are not the last ones.
        modality: `av`, `a` or `v`.
        kind: `mAP` or `Top-1`.
        facts: What all numbers of the column were counted over; without the number of clips.
    """

    column: str
    protocol: str
    dataset: str
    which: str
    modality: str
    kind: str
    facts: Measured

    def holds(self, cell: Mapping[Any, Any]) -> bool:
        """Say whether the number of a run belongs into this column."""
        return _facts(cell, self.column) == self.facts


def columns(done: pd.DataFrame, dataset: str) -> tuple[ProbeMetric, ...]:
    """Return a column for each probe that at least one finished run has.

    Numbers of another protocol, version, data set, split or of other weights never share a column.

    Args:
        done: The finished runs, from `collect`.
        dataset: Data of the table; a probe on it does not say so again.
    """
    found: list[ProbeMetric] = []
    for name in map(str, done.columns):
        match = NAME.fullmatch(name)
        if match is None:
            continue
        cells = done[done[name].notna()].to_dict("records")
        contexts = sorted({_facts(cell, name) for cell in cells})
        found += [_column(match, facts, dataset, alone=len(contexts) == 1) for facts in contexts]
    return tuple(sorted(found, key=_place))


def _facts(cell: Mapping[Any, Any], name: str) -> Measured:
    held: Mapping[str, Measured] = cell["measured"]
    return held.get(name, UNKNOWN)._replace(clips=0)


def _column(match: re.Match[str], facts: Measured, dataset: str, *, alone: bool) -> ProbeMetric:
    name, which = match[0], match["which"] or ""
    words = [match["protocol"]]
    words += [f"on {match['dataset']}"] if match["dataset"] != dataset else []
    words += [f"weights {which}"] if which else []
    if not alone:
        words += [f"split {facts.split or 'unknown'}", f"data {facts.fingerprint[:6] or 'unknown'}"]
    kind = KINDS[match["kind"]]
    return ProbeMetric(
        # The key names the numbers in the summary run.
        key=name if alone else f"{name}/{facts.split or 'unknown'}-{facts.fingerprint[:6]}",
        title=f"{' '.join(words)} {kind} {MODALITIES[match['modality']]}",
        published=_published(match, kind),
        column=name,
        protocol=match["protocol"],
        dataset=match["dataset"],
        which=which,
        modality=match["modality"],
        kind=kind,
        facts=facts,
    )


def _published(match: re.Match[str], kind: str) -> tuple[str, str, str] | None:
    theirs = PUBLISHED_DATA.get(re.sub(r"\W|_", "", match["dataset"].lower()))
    is_theirs = match["protocol"].partition("/")[0] == PUBLISHED_PROTOCOL and not match["which"]
    if theirs is None or not is_theirs:
        return None
    return (f"{theirs}{PUBLISHED_MODALITIES[match['modality']]}", "-", kind)


def _place(metric: ProbeMetric) -> tuple[Any, ...]:
    name, _, version = metric.protocol.partition("/v")
    block = (name, int(version), metric.dataset, metric.which, metric.facts, metric.kind)
    return (*block, list(MODALITIES).index(metric.modality))
