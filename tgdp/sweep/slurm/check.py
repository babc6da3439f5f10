"""What a cluster would refuse of a profile, or leave in its queue for ever, said beforehand."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tgdp.errors import UserError
from tgdp.sweep.slurm.jobs import StageName
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.slurm.site import Node, Partition, Site
from tgdp.sweep.slurm.units import as_size, as_time


class Finding(NamedTuple):
    """Something in a profile that the cluster does not have or allow.

    Attributes:
        field: Of the profile.
        said: What is wrong, and what would be right.
    """

    field: str
    said: str

    def __str__(self) -> str:
        """Return it in a line."""
        return f"{self.field}: {self.said}"


def check(profile: Profile, site: Site, stages: Iterable[StageName]) -> list[Finding]:
    """Return what the cluster would refuse, or never start.

    Args:
        profile: Where and how.
        site: What the cluster has.
        stages: What is to be submitted.
    """
    found: dict[Finding, None] = {}
    for stage in stages:
        own = profile.of(stage)
        for finding in (*_place(own, site), *_permission(own, site)):
            field = finding.field
            if stage != "train" and getattr(profile, field) != getattr(own, field):
                field = f"{stage}.{field}"
            found[Finding(field, finding.said)] = None
    return list(found)


def refuse(profile: Profile, where: str, findings: Iterable[Finding]) -> None:
    """Refuse a profile in which something was found.

    Args:
        profile: The profile.
        where: Its file.
        findings: What was found; nothing happens if that is nothing.

    Raises:
        UserError: There is something.
    """
    lines = [f"\n  {finding}" for finding in findings]
    if lines:
        raise UserError(
            f"{where}: the cluster would not run jobs of profile '{profile.name}':{''.join(lines)}"
        )


def warnings(profile: Profile, site: Site) -> list[str]:
    """Return what need not be wrong, a sentence each."""
    notes: list[str] = []
    if profile.requeue == "auto" and site.facts.get("JobRequeue") == "0":
        notes.append(
            "JobRequeue=0: some clusters with that refuse to queue a job again; if yours does, "
            "take requeue: chain."
        )
    preempts = site.facts.get("PreemptType", "preempt/none") != "preempt/none"
    if preempts and not site.warns_before_preemption:
        notes.append(
            "Jobs that are preempted get SIGTERM alone; the run has KillWait "
            f"({site.facts.get('KillWait', 'unknown')}) to save."
        )
    return notes


def _place(own: Profile, site: Site) -> Iterator[Finding]:
    if own.partition is None and not site.default:
        yield Finding("partition", f"the cluster has no default; valid: {_listed(site.partitions)}")
        return
    names = (own.partition or site.default).split(",")
    unknown = [name for name in names if name not in site.partitions]
    if unknown:
        known = _listed(site.partitions)
        yield Finding("partition", f"the cluster has no '{unknown[0]}'; valid: {known}")
        return
    named = [site.partitions[name] for name in names]
    if site.facts.get("EnforcePartLimits") == "ALL":
        # sbatch refuses there what one of them could never run; that one is down is no reason.
        for partition in named:
            yield from _fits(own, partition)
    # Of several partitions the job starts in whichever can take it.
    yield from min(([*_state(one), *_fits(own, one)] for one in named), key=len)


def _state(partition: Partition) -> Iterator[Finding]:
    if not partition.is_up:
        said = f"'{partition.name}' is down: its jobs would wait until it is up again"
        yield Finding("partition", said)


def _fits(own: Profile, partition: Partition) -> Iterator[Finding]:
    name = partition.name
    if own.walltime > partition.minutes:
        limit = as_time(partition.minutes)
        yield Finding("walltime", f"{as_time(own.walltime)} is over the {limit} of '{name}'")
    if own.nodes > partition.most_nodes:
        yield Finding("nodes", f"'{name}' gives a job at most {partition.most_nodes:g}")
        return
    findings = list(_node_findings(own, partition))
    yield from findings
    fitting = [node for node in partition.nodes if _takes(own, node)]
    if not findings and len(fitting) < own.nodes:
        few = f"{len(fitting)} of {len(partition.nodes)} nodes of '{name}'"
        yield Finding("nodes", f"{own.nodes} are asked for, and {few} have all of the rest")


def _node_findings(own: Profile, partition: Partition) -> Iterator[Finding]:
    """Say what no node has at all."""
    nodes, name = partition.nodes, partition.name
    most = max(node.num_gpus(own.gpu_type) for node in nodes)
    if own.gpu_type and most == 0:
        types = _listed({kind for node in nodes for kind in node.gpus if kind}) or "none by name"
        yield Finding("gpu_type", f"no node of '{name}' has '{own.gpu_type}'; there are: {types}")
    elif own.gpus > most:
        yield Finding("gpus", f"{own.gpus} are asked for; a node of '{name}' has at most {most}")
    cpus = max(node.cpus for node in nodes)
    if own.cpus * own.tasks > cpus:
        needed = f"{own.tasks} tasks of {own.cpus} are {own.cpus * own.tasks}"
        yield Finding("cpus", f"{needed}; a node of '{name}' has at most {cpus}")
    memory = max(node.memory for node in nodes)
    if (own.memory or 0) > memory:
        asked = as_size(own.memory or 0)
        yield Finding("memory", f"{asked}; a node of '{name}' has at most {as_size(memory)}")
    features = frozenset[str]().union(*(node.features for node in nodes))
    unknown = sorted(set(_wanted_features(own)) - features)
    if unknown:
        known = _listed(features) or "none"
        yield Finding("constraint", f"no node of '{name}' has '{unknown[0]}'; there are: {known}")


def _takes(own: Profile, node: Node) -> bool:
    return (
        node.num_gpus(own.gpu_type) >= own.gpus
        and node.cpus >= own.cpus * own.tasks
        and node.memory >= (own.memory or 0)
        and (not _is_plain(own) or own.constraint is None or own.constraint in node.features)
    )


def _is_plain(own: Profile) -> bool:
    return own.constraint is None or re.fullmatch(r"[\w.-]+", own.constraint) is not None


def _wanted_features(own: Profile) -> list[str]:
    # Words of `h100&ib`, `[rack1|rack2]`, `a*4`; which of them go together is SLURM's to say.
    return [word for word in re.split(r"\*\d+|[&|,\[\]()]", own.constraint or "") if word]


def _permission(own: Profile, site: Site) -> Iterator[Finding]:
    accounts = site.accounts
    if accounts is None:
        return
    if not accounts.qos_of:
        yield Finding("account", "you are in none; ask whoever runs the cluster for one")
        return
    account = own.account or accounts.default
    if account not in accounts.qos_of:
        said = f"you are not in '{account}'" if account else "you have no default"
        yield Finding("account", f"{said}; valid: {_listed(accounts.qos_of)}")
        return
    qualities = accounts.qos_of[account]
    if own.qos is not None and own.qos not in qualities:
        yield Finding("qos", f"account '{account}' has no '{own.qos}'; valid: {_listed(qualities)}")
    limit = accounts.minutes_of.get(own.qos or "", float("inf"))
    if own.walltime > limit:
        said = f"{as_time(own.walltime)} is over the {as_time(limit)} of qos '{own.qos}'"
        yield Finding("walltime", said)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
