"""The card: read without torch, and a clear word where there is none."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tgdp.data.card import PrepareSettings, fingerprint, read_card
from tgdp.errors import UserError


def test_the_card_says_what_the_folder_holds(prepared: Callable[..., Path]) -> None:
    card = read_card(prepared((1.0, 2.0, 1.0)))
    assert card.splits == {"train": 2, "test": 1}
    assert card.split("train") == 2
    assert (card.num_frames, card.sample_rate, card.num_failures) == (16, 16_000, 0)
    assert len(card.fingerprint) == 16
    with pytest.raises(UserError, match=r"unknown split 'tset'. Did you mean 'test'\?.*train"):
        card.split("tset")


def test_folders_that_are_not_prepared_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        read_card(tmp_path / "none")
    with pytest.raises(UserError, match=r"it has no dataset.json"):
        read_card(tmp_path)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UserError, match=r"not prepared yet; run `tgdp-data prepare .* OUT`"):
        read_card(tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        read_card(tmp_path / "a.mp4")
    (tmp_path / "request.json").touch()
    with pytest.raises(UserError, match="has not finished"):
        read_card(tmp_path)


def test_another_format_or_version_is_refused(prepared: Callable[..., Path]) -> None:
    file = prepared((1.0,)) / "dataset.json"
    card = json.loads(file.read_text())
    file.write_text(json.dumps(card | {"version": 7}))
    with pytest.raises(UserError, match=r"dataset.json: field 'version' is 7, but .* reads 1"):
        read_card(file.parent)
    file.write_text(json.dumps(card | {"format": "webdataset"}))
    with pytest.raises(UserError, match=r"field 'format' is 'webdataset'"):
        read_card(file.parent)
    del card["splits"]
    file.write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"field 'splits' is missing; it has format"):
        read_card(file.parent)
    file.write_text("{")
    with pytest.raises(UserError, match=r"cannot be read"):
        read_card(file.parent)


def test_the_fingerprint_names_the_content() -> None:
    settings = PrepareSettings()
    clips = [("a", "train", ("/m/1",), 10), ("b", "test", (), 20)]
    same = fingerprint(settings, clips=clips)
    assert same == fingerprint(replace(settings, audio="wav", shard_clips=5), clips=list(clips))
    others = {
        fingerprint(settings, clips=clips[::-1]),
        fingerprint(settings, clips=clips[:1]),
        fingerprint(settings, clips=clips, failed=["b"]),
        fingerprint(replace(settings, frame_size=64), clips=clips),
        fingerprint(settings, source={"seed": 0}),
        fingerprint(settings, source={"seed": 1}),
    }
    assert len(others | {same}) == 7
    assert fingerprint(settings, source={"a": 1, "b": 2}, clips=clips) == fingerprint(
        settings, source={"b": 2, "a": 1}
    )


@pytest.mark.parametrize("module", ["tgdp.data.card", "tgdp.cli.data"])
def test_it_is_imported_without_the_heavy_packages(module: str) -> None:
    code = f"import sys, {module}; print(*{{'torch', 'numpy', 'av', 'PIL'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
