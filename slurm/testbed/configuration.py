"""The configuration files of a test cluster. What each unusual line is for: docs/slurm.md."""

import os
from pathlib import Path

from slurm.testbed.settings import CPUS, GPUS, LOOPBACK, MEMORY_MB, Cluster, address, host, user

PARTITIONS = {
    "main": "Default=YES MaxTime=INFINITE PriorityTier=1 PreemptMode=OFF",
    "short": "DefaultTime=1 MaxTime=1 PriorityTier=1 PreemptMode=OFF",
    "preempt": "MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=20",
    "preempt-now": "MaxTime=INFINITE PriorityTier=1 PreemptMode=REQUEUE GraceTime=0",
    "preempt-cancel": "MaxTime=INFINITE PriorityTier=1 PreemptMode=CANCEL GraceTime=0",
    "urgent": "MaxTime=INFINITE PriorityTier=100 PreemptMode=OFF",
}

KILL_WAIT_S = 2

REQUEUE_WAIT_S = 7
"""SLURM holds a requeued job back until its credential has run out. It has to be longer than
KillWait + 4: a job that ignores SIGTERM lives until then, and a second start beside it drains the
node."""

MAX_ARRAY_SIZE = 10

INNODB_LOG = "16M"

SLURM_CONF = """\
ClusterName={name}
SlurmctldHost={host}({address})
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={munge},cred_expire={requeue_wait}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/pids/slurmctld.own
SlurmdPidFile={folder}/pids/slurmd-%n.own
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
SlurmctldDebug=info
SlurmdDebug=info
ReturnToService=2
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
{listening}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=1,bf_continue,sched_interval=5
KillWait={kill_wait}
InactiveLimit=0
MinJobAge=300
SlurmctldTimeout=30
SlurmdTimeout=60
BatchStartTimeout=20
MessageTimeout=20
Waittime=0
EpilogMsgTime=0
CompleteWait=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
MaxArraySize={max_array_size}
JobCompType=jobcomp/none
"""

ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={slurmdbd_port}
AccountingStoragePass={munge}
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,qos,limits
"""

NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none\n"

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo={munge}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={slurmdbd_port}
SlurmUser={user}
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/pids/slurmdbd.own
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
"""

DATABASE_INIT = """\
CREATE DATABASE IF NOT EXISTS slurm;
CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY '{password}';
CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY '{password}';
GRANT ALL ON slurm.* TO 'slurm'@'127.0.0.1';
GRANT ALL ON slurm.* TO 'slurm'@'localhost';
FLUSH PRIVILEGES;
"""

# Nothing is restrained by cgroups: many containers have none that can be written.
CGROUP_CONF = """\
CgroupAutomount=no
CgroupPlugin=cgroup/v1
ConstrainCores=no
ConstrainDevices=no
ConstrainRAMSpace=no
"""

SECRET = ("slurmdbd.conf", "database.sql")

FOLDERS = ("etc", "log", "pids", "state", "spool", "sockets", "gpus", "database")


def differences(cluster: Cluster) -> list[Path]:
    """Return the files that a cluster was configured with and would not be configured with now."""
    return [
        path
        for path, text in _texts(cluster).items()
        if path.exists() and path.read_text(encoding="utf-8") != text
    ]


def write(cluster: Cluster) -> None:
    """Make the folders, keys, make-believe GPUs and configuration files of a cluster."""
    for name in FOLDERS:
        (cluster.folder / name).mkdir(parents=True, exist_ok=True)
    for node in cluster.nodes:
        (cluster.folder / "spool" / node).mkdir(exist_ok=True)
    _write_secret(cluster.folder / "etc" / "munge.key", os.urandom(1024))
    _write_secret(_password_file(cluster), os.urandom(16).hex().encode())
    for path, text in _texts(cluster).items():
        # The password is in it; the others anyone may read.
        path.touch(0o600 if path.name in SECRET else 0o644)
        path.write_text(text, encoding="utf-8")
    for number in range(GPUS):
        gpu = cluster.folder / "gpus" / f"gpu{number}"
        if not gpu.is_symlink():
            # SLURM wants a device; a plain file is counted but never handed out.
            gpu.symlink_to(os.devnull)


def _texts(cluster: Cluster) -> dict[Path, str]:
    etc = cluster.folder / "etc"
    texts = {
        cluster.configuration: _slurm_conf(cluster),
        etc / "gres.conf": f"Name=gpu File={cluster.folder}/gpus/gpu[0-{GPUS - 1}]\n",
        etc / "cgroup.conf": CGROUP_CONF,
    }
    if cluster.accounting == "slurmdbd":
        texts[etc / "slurmdbd.conf"] = SLURMDBD_CONF.format(**_values(cluster))
        texts[etc / "database.sql"] = DATABASE_INIT.format(**_values(cluster))
    return texts


def _slurm_conf(cluster: Cluster) -> str:
    accounting = ACCOUNTING if cluster.accounting == "slurmdbd" else NO_ACCOUNTING
    lines = [(SLURM_CONF + accounting).format(**_values(cluster))]
    where = address() or LOOPBACK
    last = list(cluster.nodes)[-1]
    for node, port in cluster.nodes.items():
        feature = "a100" if node == last else "h100"
        lines.append(
            f"NodeName={node} NodeHostname={host()} NodeAddr={where} Port={port} CPUs={CPUS} "
            f"RealMemory={MEMORY_MB} Gres=gpu:{GPUS} Feature={feature} State=UNKNOWN\n"
        )
    for partition, words in PARTITIONS.items():
        lines.append(f"PartitionName={partition} Nodes=ALL State=UP {words}\n")
    return "".join(lines)


def _values(cluster: Cluster) -> dict[str, object]:
    return {
        "name": cluster.name,
        "folder": cluster.folder,
        "host": host(),
        "address": address() or LOOPBACK,
        "port": cluster.port,
        "slurmdbd_port": cluster.slurmdbd_port,
        "database_port": cluster.database_port,
        "user": user(),
        "munge": cluster.munge_socket,
        "requeue_wait": REQUEUE_WAIT_S,
        "kill_wait": KILL_WAIT_S,
        "max_array_size": MAX_ARRAY_SIZE,
        "listening": _listening(),
        "password": _password(cluster),
    }


def _listening() -> str:
    """Listen on the address of the machine's name alone; on all where the name has none."""
    if address() is None:
        return ""
    return "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny"


def _password_file(cluster: Cluster) -> Path:
    return cluster.folder / "etc" / "database.password"


def _password(cluster: Cluster) -> str:
    path = _password_file(cluster)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write_secret(path: Path, content: bytes) -> None:
    if path.exists():
        return
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    part.touch(0o600)
    part.write_bytes(content)
    part.replace(path)
