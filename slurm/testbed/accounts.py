"""The accounts and qualities of service of a test cluster; any other is refused."""

from slurm.testbed.commands import ask
from slurm.testbed.settings import Cluster, user

OPEN_ACCOUNT = "research"
"""The account of whoever runs the cluster."""

CLOSED_ACCOUNT = "closed"
"""It exists, but the user is not in it."""

QUALITIES = {"high": "Priority=100", "one-job": "MaxJobsPerUser=1"}


def make_accounts(cluster: Cluster) -> None:
    """Make those that are missing in the database."""
    where = f"cluster={cluster.name}"
    members = _names(cluster, "association", "account,user", where)
    if f"{OPEN_ACCOUNT}|{user()}" in members:
        return
    if cluster.name not in _names(cluster, "cluster", "cluster"):
        _do(cluster, "add", "cluster", cluster.name)
    for name in QUALITIES.keys() - _names(cluster, "qos", "name"):
        _do(cluster, "add", "qos", name, QUALITIES[name])
    for name in {OPEN_ACCOUNT, CLOSED_ACCOUNT} - _names(cluster, "account", "account"):
        _do(cluster, "add", "account", name, where, f"description={name}", "organization=testbed")
    qualities = ",".join(["normal", *QUALITIES])
    _do(cluster, "modify", "account", OPEN_ACCOUNT, where, "set", f"qos={qualities}")
    # Last: its presence is what says that all was made.
    membership = (f"account={OPEN_ACCOUNT}", f"defaultaccount={OPEN_ACCOUNT}")
    _do(cluster, "add", "user", user(), where, *membership)


def _names(cluster: Cluster, what: str, columns: str, *conditions: str) -> set[str]:
    listing = ("sacctmgr", "--noheader", "--parsable2", "list", what, f"format={columns}")
    return set(ask(cluster, *listing, *conditions).splitlines())


def _do(cluster: Cluster, *words: str) -> None:
    ask(cluster, "sacctmgr", "--immediate", *words)
