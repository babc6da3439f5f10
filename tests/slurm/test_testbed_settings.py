"""Which cluster a folder holds, what outside it is changed, and what is refused."""

import socket
from pathlib import Path

import pytest

from slurm.testbed import packages
from slurm.testbed.cluster import down
from slurm.testbed.configuration import differences, write
from slurm.testbed.machine import forget_nodes, link, name_nodes, unlink
from slurm.testbed.settings import DEFAULT_PORT, Cluster, address, choose, record
from tgdp.errors import UserError


def test_a_folder_remembers_how_its_cluster_was_made(folder: Path) -> None:
    assert choose(folder, None, None) == Cluster(folder, DEFAULT_PORT)
    cluster = choose(folder, 27_000, "none")
    folder.mkdir()
    record(cluster)

    assert choose(folder, None, None) == Cluster(folder, 27_000, "none")
    with pytest.raises(UserError, match=r"holds a cluster with --port 27000 --accounting none"):
        choose(folder, 27_100, None)


def test_a_folder_of_something_else_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").touch()

    with pytest.raises(UserError, match="is not empty, and no test cluster"):
        choose(folder, None, None)


def test_a_folder_too_deep_for_sockets_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="more than Linux allows"):
        choose(folder / ("x" * 70), None, None)


def test_down_where_nothing_is_does_nothing(tmp_path: Path) -> None:
    said: list[str] = []

    down(Cluster(tmp_path / "none"), said.append)

    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_hosts_gets_one_line_and_loses_only_that(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n", encoding="utf-8")
    first, second = Cluster(tmp_path / "a"), Cluster(tmp_path / "b", 27_000)

    for cluster in (first, second, first):
        assert name_nodes(cluster, hosts)

    lines = hosts.read_text(encoding="utf-8").splitlines()
    assert [line.rpartition("/")[2] for line in lines[1:]] == ["a", "b"]
    assert lines[1].startswith("127.0.0.1 node1 node2 node3 #")
    forget_nodes(first, hosts)
    assert hosts.read_text(encoding="utf-8").splitlines() == [lines[0], lines[2]]
    assert not name_nodes(first, tmp_path / "absent")


def test_the_link_of_another_cluster_stays(tmp_path: Path) -> None:
    path = tmp_path / "slurm.conf"
    first, second = Cluster(tmp_path / "a"), Cluster(tmp_path / "b", 27_000)

    assert link(first, path)
    assert link(first, path)
    assert not link(second, path)
    unlink(second, path)
    assert path.is_symlink()
    unlink(first, path)
    assert not path.is_symlink()


def test_without_root_what_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "can_install", lambda: False)

    with pytest.raises(UserError, match=r"as root: apt-get update && apt-get install -y .* munge$"):
        packages.install(["munge"])


@pytest.mark.parametrize(
    ("found", "used"), [("127.0.0.1", "127.0.0.1"), ("127.0.1.1", None), ("10.1.2.3", "10.1.2.3")]
)
def test_an_address_that_calls_do_not_come_from_is_not_used(
    monkeypatch: pytest.MonkeyPatch, folder: Path, found: str, used: str | None
) -> None:
    def look_up(name: str) -> str:
        del name
        return found

    monkeypatch.setattr(socket, "gethostbyname", look_up)
    cluster = Cluster(folder)

    write(cluster)

    assert address() == used
    text = cluster.configuration.read_text(encoding="utf-8")
    assert f"NodeAddr={used or '127.0.0.1'} " in text
    assert ("NoInAddrAny" in text) == (used is not None)
    assert differences(cluster) == []
