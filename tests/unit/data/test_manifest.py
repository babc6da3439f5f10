"""Lists of clips: every form that is read, every mistake that is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from tgdp.data.labels import read_labels
from tgdp.data.manifest import read_manifest
from tgdp.errors import UserError

LABELS = 'index,mid,display_name\n0,/m/1,Speech\n1,/m/2,"Male speech, man speaking"\n2,/m/3,Dog\n'


def write_json(folder: Path, data: Any, **top: Any) -> Path:
    file = folder / "list.json"
    file.write_text(json.dumps({"data": data, **top}))
    return file


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def entry(**changes: Any) -> dict[str, Any]:
    return {"video_id": "a", "wav": "a.wav", "video_path": "f", "labels": "/m/1,/m/3"} | changes


def test_cav_mae_json_is_read(tmp_path: Path) -> None:
    file = write_json(tmp_path, [entry(), entry(video_id="-b.0", raw_video_path="b.mp4")], name="n")
    manifest = read_manifest(file)
    frames, media = manifest.clips
    assert (frames.path, frames.frames) == (tmp_path / "a.wav", tmp_path / "f")
    assert (media.id, media.path, media.frames) == ("-b.0", tmp_path / "b.mp4", None)
    assert frames.labels == ("/m/1", "/m/3")
    assert (frames.split, manifest.name) == ("all", "n")
    assert manifest.vocabulary.mids == ("/m/1", "/m/3")


def test_csv_is_read_with_split_and_names_become_mids(tmp_path: Path) -> None:
    labels = write(tmp_path, "labels.csv", LABELS)
    file = write(
        tmp_path,
        "list.csv",
        'video_id,path,label,split\na,a.mp4,Dog,train\nb,/x/b.mp4,"Male speech, man speaking",\n',
    )
    first, second = read_manifest(file, labels).clips
    assert (first.labels, first.split, first.path) == (("/m/3",), "train", tmp_path / "a.mp4")
    assert (second.labels, second.split, second.path) == (("/m/2",), "all", Path("/x/b.mp4"))


def test_a_folder_of_media_is_read_in_order(tmp_path: Path) -> None:
    for name in ("b.MP4", "-a.0.webm", "notes.txt"):
        (tmp_path / name).touch()
    assert [clip.id for clip in read_manifest(tmp_path).clips] == ["-a.0", "b"]


def test_a_folder_with_a_manifest_means_the_manifest(tmp_path: Path) -> None:
    write(tmp_path, "labels.csv", LABELS)
    top = {
        "data": [entry(raw_video_path="v/a.mp4", split="test")],
        "labels_csv": "labels.csv",
        "source": {"generator": "g"},
    }
    write(tmp_path, "manifest.json", json.dumps(top))
    manifest = read_manifest(tmp_path)
    assert (manifest.source, len(manifest.vocabulary)) == ({"generator": "g"}, 3)
    assert manifest.clips[0].path == tmp_path / "v/a.mp4"


def test_root_stands_for_the_placeholder(tmp_path: Path) -> None:
    file = write_json(tmp_path, [entry(wav="<YOUR_PATH>/a.wav", video_path="<YOUR_PATH>/f/")])
    clip = read_manifest(file, root=Path("/data")).clips[0]
    assert (clip.path, clip.frames) == (Path("/data/a.wav"), Path("/data/f"))
    with pytest.raises(UserError, match=r"entry 1.*<YOUR_PATH>.*--root DIR"):
        read_manifest(file)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([entry(), {"wav": "x"}], r"entry 2: field 'video_id' is missing; it has wav"),
        ([{"video_id": "a", "labels": ""}], r"field 'wav' is missing; it has video_id, labels"),
        ([entry(video_id="")], r"entry 1: field 'video_id' is empty"),
        ([entry(), entry()], r"entry 2: the id 'a' is that of entry 1 too"),
        ([entry(video_id="a/b")], r"the id 'a/b' cannot name a folder"),
        ([entry(video_id="..")], r"the id '..' cannot name a folder"),
        (["a"], r"entry 1: not an object"),
        ([], r"lists no clip"),
        (None, r"field 'data', the list of clips, is missing"),
        ([entry(labels="/m/1,Dgo")], r"entry 1 \('a'\): label 'Dgo' is not in .*nearest: Dog"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, data: Any, message: str) -> None:
    labels = write(tmp_path, "labels.csv", LABELS)
    with pytest.raises(UserError, match=message):
        read_manifest(write_json(tmp_path, data), labels)


def test_unreadable_lists_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such manifest"):
        read_manifest(tmp_path / "none.json")
    with pytest.raises(UserError, match="neither CSV nor JSON"):
        read_manifest(write(tmp_path, "x.json", "{"))
    with pytest.raises(UserError, match=r"field 'path' is missing; it has video_id, file"):
        read_manifest(write(tmp_path, "x.csv", "video_id,file\na,b\n"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"neither manifest.json nor a media file"):
        read_manifest(tmp_path / "empty")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,mid\n0,a\n", "column 'display_name' is missing"),
        ("index,mid,display_name\n0,a,A\n1,a,B\n", "label 'a' is there twice"),
    ],
)
def test_mistakes_in_a_label_list_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_labels(write(tmp_path, "labels.csv", text))


def test_a_label_list_is_read_back_as_written(tmp_path: Path) -> None:
    labels = read_labels(write(tmp_path, "labels.csv", LABELS))
    assert labels.to_csv() == LABELS
    assert labels.mid("Male speech, man speaking") == labels.mid("/m/2") == "/m/2"


@pytest.mark.shared
def test_the_published_lists_are_read(shared: Path) -> None:
    folder = shared / "metadata"
    audioset = read_manifest(folder / "sample_json_as.json", folder / "class_labels_indices_as.csv")
    assert (len(audioset.clips), len(audioset.vocabulary)) == (1725, 527)
    vggsound = read_manifest(
        folder / "vgg_test_5_per_class_for_retrieval_template.json",
        folder / "class_labels_indices_vgg.csv",
        Path("/vgg"),
    )
    assert (len(vggsound.clips), len(vggsound.vocabulary)) == (1545, 309)
    assert sum(clip.id.startswith("-") for clip in vggsound.clips) > 0
