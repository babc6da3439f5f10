"""What a cluster has and allows, as its own commands say it: one call of each."""

import re
import shutil
from dataclasses import dataclass, field

from tgdp.errors import UserError
from tgdp.sweep.slurm.command import answer
from tgdp.sweep.slurm.units import limit_minutes
from tgdp.sweep.slurm.user import user_name, user_number

NODE_COLUMNS = "%P|%a|%l|%s|%N|%c|%m|%G|%f"

SLURMS_ARRAY_SIZE = 1001
"""Elements of an array where the cluster does not say. Source: man slurm.conf, MaxArraySize."""

SCONTROL_FACTS = (
    "SLURM_VERSION",
    "ClusterName",
    "MaxArraySize",
    "JobRequeue",
    "KillWait",
    "PreemptType",
    "PreemptMode",
    "PreemptParameters",
    "SlurmctldParameters",
    "AccountingStorageType",
    "AccountingStorageEnforce",
    "EnforcePartLimits",
)


@dataclass(frozen=True)
class Node:
    """A node, as a partition has it.

    Attributes:
        name: Its name.
        cpus: Cores.
        memory: Megabytes.
        gpus: GPUs of each type; the type is empty where the cluster names none.
        features: Its features, for constraints.
    """

    name: str
    cpus: int
    memory: int
    gpus: dict[str, int]
    features: frozenset[str]

    def num_gpus(self, kind: str | None) -> int:
        """Return its GPUs of a type; of all types if None."""
        return sum(self.gpus.values()) if kind is None else self.gpus.get(kind, 0)


@dataclass(frozen=True)
class Partition:
    """A partition.

    Attributes:
        name: Its name.
        is_up: Whether it takes jobs.
        minutes: Its time limit; infinite where it has none.
        most_nodes: Nodes a job may have there; infinite where that is not limited.
        nodes: Its nodes.
    """

    name: str
    is_up: bool
    minutes: float
    most_nodes: float
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Accounts:
    """What the accounts allow the user.

    Attributes:
        qos_of: The qualities of service of each account that the user is in.
        default: The account that is charged where none is named; empty for none.
        minutes_of: The time limit of each quality that has one.
    """

    qos_of: dict[str, frozenset[str]]
    default: str = ""
    minutes_of: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Site:
    """A cluster.

    Attributes:
        partitions: By name.
        default: The partition of a job that names none; empty if there is none.
        facts: Lines of `scontrol show config` that matter, by their names.
        accounts: None where the cluster keeps none, does not hold users to them, or cannot be
            asked for the user's.
    """

    partitions: dict[str, Partition]
    default: str
    facts: dict[str, str]
    accounts: Accounts | None

    @property
    def array_size(self) -> int:
        """Elements an array may have."""
        said = self.facts.get("MaxArraySize", "")
        return max(1, int(said)) if said.isdigit() else SLURMS_ARRAY_SIZE

    @property
    def warns_before_preemption(self) -> bool:
        """Whether a job gets its signal before it is preempted, and not only SIGTERM."""
        words = f"{self.facts.get('SlurmctldParameters')} {self.facts.get('PreemptParameters')}"
        return "send_user_signal" in words


def read_site() -> Site:
    """Return what the cluster says of itself.

    Raises:
        UserError: SLURM's commands are not here, or the cluster does not answer.
    """
    for command in ("sinfo", "scontrol", "sbatch", "srun", "squeue"):
        if shutil.which(command) is None:
            raise UserError(
                f"--cluster slurm: {command} is not on PATH; log in to the cluster first "
                "(`make slurm-up` brings up the test cluster and says what to export)"
            )
    # --all: a hidden partition takes jobs all the same.
    listed = answer("sinfo", "--all", "--noheader", "--Node", f"--format={NODE_COLUMNS}")
    config = answer("scontrol", "show", "config")
    if listed is None or config is None:
        raise UserError("--cluster slurm: the cluster does not answer; `sinfo` shows what is wrong")
    facts = _facts(config)
    partitions, default = _partitions(listed)
    return Site(partitions, default, facts, _accounts(facts))


def _facts(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    said = {name.strip(): value.strip() for name, _, value in pairs}
    return {name: said[name] for name in SCONTROL_FACTS if name in said}


def _partitions(text: str) -> tuple[dict[str, Partition], str]:
    nodes: dict[str, list[Node]] = {}
    limits: dict[str, tuple[bool, float, float]] = {}
    default = ""
    for line in text.splitlines():
        words = [word.strip() for word in line.split("|")]
        if len(words) != len(NODE_COLUMNS.split("|")):
            continue
        name = words[0].rstrip("*")
        default = name if words[0].endswith("*") else default
        limits[name] = (words[1] == "up", limit_minutes(words[2]), _most(words[3]))
        features = frozenset(words[8].split(",")) - {"(null)", ""}
        node = Node(words[4], _whole(words[5]), _whole(words[6]), _gpus(words[7]), features)
        nodes.setdefault(name, []).append(node)
    found = {name: Partition(name, *limits[name], tuple(nodes[name])) for name in nodes}
    return found, default


def _most(text: str) -> float:
    last = text.rpartition("-")[2]
    return int(last) if last.isdigit() else float("inf")


def _whole(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0


def _gpus(text: str) -> dict[str, int]:
    """Return the GPUs in `gpu:h100:8(S:0-1),shard:16`, by type."""
    gpus: dict[str, int] = {}
    for kind, number in re.findall(r"(?:^|,)gpu:(?:([^:,()]+):)?(\d+)", text):
        gpus[kind] = gpus.get(kind, 0) + int(number)
    return gpus


def _accounts(facts: dict[str, str]) -> Accounts | None:
    enforced = facts.get("AccountingStorageEnforce", "none")
    if facts.get("AccountingStorageType", "").endswith("none") or "associations" not in enforced:
        return None
    user = user_name()
    listing = ("sacctmgr", "--noheader", "--parsable2", "show")
    # One slurmdbd may serve several clusters, and the user's accounts differ from one to another.
    here = (f"cluster={facts['ClusterName']}",) if facts.get("ClusterName") else ()
    members = answer(*listing, "assoc", f"user={user}", *here, "format=account,qos")
    # By number nobody is found there: that says nothing of the accounts of the user.
    if members is None or (not members.strip() and user == user_number()):
        return None
    qos_of: dict[str, frozenset[str]] = {}
    for line in members.splitlines():
        account, _, qos = line.partition("|")
        qos_of[account] = qos_of.get(account, frozenset()) | frozenset(qos.split(",")) - {""}
    # A line for each of the accounts, all of them the same.
    words = ("user", user, "withassoc", *here, "format=defaultaccount")
    default = (answer(*listing, *words) or "").partition("\n")[0]
    qualities = answer(*listing, "qos", "format=name,maxwall") or ""
    limits = (line.partition("|") for line in qualities.splitlines())
    minutes_of = {name: limit_minutes(most) for name, _, most in limits if most}
    return Accounts(qos_of, default.strip(), minutes_of)
