"""Files that grow by whole lines, and small ones that are read at once."""

from pathlib import Path

import pytest

from tgdp.data.files import ONE_READ, append_lines, read_small


@pytest.mark.parametrize("size", [0, 5, ONE_READ - 1, ONE_READ, ONE_READ + 1, 3 * ONE_READ])
def test_a_small_file_is_read_whole_whatever_its_size(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(index % 251 for index in range(size)))
    assert read_small(str(file)) == file.read_bytes()


def test_a_small_file_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_small(str(tmp_path / "file"))


def test_a_line_goes_behind_one_that_a_crash_tore(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    append_lines(file, ())
    assert not file.exists()
    append_lines(file, ("one", "two"))
    file.write_bytes(file.read_bytes() + b"thr")
    append_lines(file, ("four",))
    assert file.read_text().splitlines() == ["one", "two", "thr", "four"]
