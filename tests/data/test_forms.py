"""The forms in which people have features and annotations are read as they are; each test writes one of them."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.layouts import Example, make_examples, save, write_joint, write_per_video
from tsc_jax.data.builder import config_of, with_known
from tsc_jax.data.checks import check_source
from tsc_jax.data.joint import read_joint
from tsc_jax.data.options import Options
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import SPLITS, Source, SourceVideo
from tsc_jax.data.subsets import choose_subsets
from tsc_jax.data.timing import Timing
from tsc_jax.errors import InputError

FPS = {"v3": 30.0, "v1": 25.0, "v2": 24.0, "w2": 30.0, "w1": 12.5}
NAMES = {"train": ["v3", "v1", "v2"], "test": ["w2", "w1"]}


def write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def annotations(each: Example) -> list[dict]:
    return [
        {"label": label, "segment": segment, "segment(frames)": [30 * time for time in segment], "label_id": 0}
        for segment, label in zip(each.segments, each.segment_labels, strict=True)
    ]


def assert_read(source: Source, streams: int = 1) -> None:
    """The source has the videos, segments and features of the small data set."""
    check_source(source)
    examples = {each.name: each for each in make_examples()}
    for split in SPLITS:
        assert [video.name.removeprefix("v_") for video in source.splits[split]] == NAMES[split]
        for video in source.splits[split]:
            each = examples[video.name.removeprefix("v_")]
            expected = np.hstack([each.features, -each.features][:streams])
            np.testing.assert_allclose(video.read_features(), expected, rtol=1e-6)
            assert video.segments == tuple(map(tuple, each.segments))
            assert video.segment_labels == tuple(each.segment_labels)
    assert not source.unused


def test_a_flat_folder_and_annotations_with_subsets_as_actionformer_has_them(tmp_path):
    database = {}
    for each in make_examples():
        subset = {"train": "Validation", "test": "Test"}[each.split]
        about = {"subset": subset, "duration": each.duration, "fps": FPS[each.name], "annotations": annotations(each)}
        database[each.name] = about
        save(tmp_path / "i3d_features" / f"{each.name}.npy", each.features)
    write_json(tmp_path / "annotations/thumos14.json", {"version": "Thumos14-30fps", "database": database})
    source = read_per_video(tmp_path, Options(timing=Timing(feat_stride=4, num_frames=16)))
    assert_read(source)
    for video in (*source.splits["train"], *source.splits["test"]):
        fps, stride, window = FPS[video.name], 4, 16
        for snippet in (0, 7):  # its middle is the middle of its window
            middle = video.offset + (snippet + 0.5) / video.snippets_per_second
            assert middle == pytest.approx((snippet * stride + window / 2) / fps)
    with pytest.raises(InputError, match="gives the number of snippets per second: give --snippets_per_second, or"):
        check_source(read_per_video(tmp_path))
    assert {video.snippets_per_second for video in source.splits["train"]} == {7.5, 6.25, 6.0}


def write_opentad(folder: Path) -> Path:
    """Features below a folder, numbers of frames, a list of classes, and a video without features: OpenTAD."""
    database = {}
    for each in make_examples():
        subset = {"train": "training", "test": "validation"}[each.split]
        frames = round(each.duration * FPS[each.name])
        database[each.name] = {"subset": subset, "duration": each.duration, "frame": frames}
        database[each.name]["annotations"] = annotations(each)
        save(folder / "features/actionformer_i3d" / f"{each.name}.npy", each.features)
    database["deleted"] = {"subset": "testing", "duration": 3.0, "frame": 90}
    write_json(folder / "annotations/thumos_14_anno.json", {"database": database})
    (folder / "annotations/category_idx.txt").write_text("Jump\nRun\n")
    return folder


def test_features_below_a_folder_and_numbers_of_frames_as_opentad_has_them(tmp_path):
    source = read_per_video(write_opentad(tmp_path), Options(timing=Timing(feat_stride=4)))
    assert_read(source)
    rates = {video.name: video.snippets_per_second for split in SPLITS for video in source.splits[split]}
    assert rates == {name: fps / 4 for name, fps in FPS.items()}
    assert [video.name for video in source.unlisted] == ["deleted"]
    save(tmp_path / "features/tsp/v3.npy", np.ones((3, 6)))
    with pytest.raises(InputError, match=r"actionformer_i3d/v3\.npy and .*tsp/v3\.npy are features of video"):
        read_per_video(tmp_path, Options(timing=Timing(feat_stride=4)))
    chosen = Options(features=tmp_path / "features/actionformer_i3d", timing=Timing(feat_stride=4))
    assert_read(read_per_video(tmp_path, chosen))


def write_streams(folder: Path) -> Path:
    """RGB and flow apart, frame rates in fps_dict.json, times as text and no durations: UM, ACM-Net, ASM-Loc."""
    write_per_video(folder, make_examples())
    database = {}
    for each in make_examples():
        (folder / f"features/{each.split}/{each.name}.npy").unlink()
        for stream, sign in (("rgb", 1), ("flow", -1)):
            save(folder / f"features/{each.split}/{stream}/{each.name}.npy", sign * each.features)
        database[each.name] = {"subset": each.split, "annotations": annotations(each)}
        for instance in database[each.name]["annotations"]:
            instance["segment"] = [str(time) for time in instance["segment"]]
    write_json(folder / "gt.json", {"database": database})
    write_json(folder / "fps_dict.json", FPS)
    (folder / "meta.json").unlink()
    return folder


def test_streams_apart_and_a_table_of_frame_rates_as_um_has_them(tmp_path):
    source = read_per_video(write_streams(tmp_path), Options(timing=Timing(feat_stride=16)))
    assert_read(source, streams=2)
    rates = {video.name: video.snippets_per_second for split in SPLITS for video in source.splits[split]}
    assert rates == {name: fps / 16 for name, fps in FPS.items()}
    # The published features are of videos at 25 frames per second, whatever the table says.
    published = with_known(read_per_video(tmp_path), config_of("thumos14"))
    assert published.snippets_per_second == 25 / 16
    assert {video.snippets_per_second for video in published.splits["train"]} == {None}


def test_annotations_in_two_files_and_csv_features_as_mmaction2_has_them(tmp_path):
    content = {"train": {}, "test": {}}
    for each in make_examples():
        about = {"duration_second": each.duration, "duration_frame": 240, "feature_frame": 224, "fps": 30.0}
        content[each.split][f"v_{each.name}"] = about | {"annotations": annotations(each), "rfps": 29.97}
        rows = [",".join(f"f{column}" for column in range(6)), *(",".join(map(str, row)) for row in each.features)]
        file = tmp_path / "csv_mean_100" / f"v_{each.name}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text("\n".join(rows) + "\n")
    files = [tmp_path / f"anet_anno_{name}.json" for name in ("train", "val")]
    for file, of_split in zip(files, content.values(), strict=True):
        write_json(file, of_split)
    with pytest.raises(InputError, match=r"give --annotations=FILE, or --annotations=TRAIN\.json,TEST\.json"):
        read_per_video(tmp_path)
    timing = Timing(snippets_per_second="duration")
    source = read_per_video(
        tmp_path, Options(annotations=tuple(files), features=file.parent / "csv_mean_100", timing=timing)
    )
    assert_read(source)
    assert source.snippets_per_second == "duration" and source.splits["train"][0].duration == 8.0


BAD_CSV = {"0.5,x\n": "could not convert", "1,2\n1\n": "columns", "": "holds no rows", "f0,f1\n": "is empty|no data"}


@pytest.mark.parametrize("text", BAD_CSV)
@pytest.mark.filterwarnings("ignore:.*input contained no data")
def test_bad_csv_files_are_named(tmp_path, text):
    folder = write_per_video(tmp_path, make_examples())
    (folder / "features/train/v3.npy").unlink()
    (folder / "features/train/v3.csv").write_text(text)
    with pytest.raises(InputError, match=rf"features/train/v3\.csv: .*({BAD_CSV[text]})"):
        read_per_video(folder).splits["train"][0].read_features()


@pytest.mark.parametrize("field", ["feats", "features", "anything"])
def test_npz_files_of_one_video(tmp_path, field):
    folder = write_per_video(tmp_path, make_examples())
    for each in make_examples():
        file = folder / f"features/{each.split}/{each.name}.npy"
        file.unlink()
        more = {} if field == "anything" else {"fps": np.array(30.0)}
        np.savez(file.with_suffix(".npz"), **{field: each.features}, **more)
    assert_read(read_per_video(folder))


def test_an_npz_file_of_all_videos(tmp_path):
    folder = write_per_video(tmp_path, make_examples())
    for file in sorted(folder.glob("features/*/*.npy")):
        file.unlink()
    np.savez(folder / "features/all.npz", **{each.name: each.features for each in make_examples()})
    assert_read(read_per_video(folder))


def write_hdf5(folder: Path) -> Path:
    """All features in one HDF5 file, a group per video: ActivityNet's."""
    h5py = pytest.importorskip("h5py")
    shutil.rmtree(write_per_video(folder, make_examples()) / "features")
    with h5py.File(folder / "sub_activitynet_v1-3.c3d.hdf5", "w") as content:
        for each in make_examples():
            content[f"v_{each.name}/c3d_features"] = each.features
    return folder


def test_an_hdf5_file_of_all_videos_as_activitynet_has_it(tmp_path):
    assert_read(read_per_video(write_hdf5(tmp_path)))


def test_without_h5py_an_hdf5_file_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    folder = write_per_video(tmp_path, make_examples())
    (folder / "features/train/v3.npy").rename(folder / "features/train/v3.h5")
    with pytest.raises(InputError, match=r"v3\.h5: HDF5 files .* h5py: pip install -r requirements-hdf5\.txt"):
        read_per_video(folder).splits["train"][0].read_features()


# Subsets.


def with_subsets(folder: Path, train: str, test: str) -> Path:
    """The joint layout with these names."""
    folder = write_joint(folder, make_examples())
    file = folder / "Small-Annotations/subset.npy"
    np.save(file, np.where(np.load(file) == b"test", test, train))
    return folder


@pytest.mark.parametrize(
    "names",
    [("train", "test"), ("Validation", "Test"), ("TRAINING", "validation "), ("train", "val"), ("Train", "testing")],
)
def test_usual_names_of_subsets_are_understood_in_both_layouts(tmp_path, names):
    source = read_joint(with_subsets(tmp_path / "a", *names))
    assert {split: [video.name for video in source.splits[split]] for split in SPLITS} == NAMES
    folder = write_per_video(tmp_path / "b", make_examples())
    text = (folder / "gt.json").read_text()
    for split, name in zip(SPLITS, names, strict=True):
        (folder / f"split_{split}.txt").unlink()
        text = text.replace(f'"subset": "{split}"', f'"subset": "{name} "')
    (folder / "gt.json").write_text(text)
    source = read_per_video(folder)
    assert {split: [video.name for video in source.splits[split]] for split in SPLITS} == NAMES


def test_other_names_of_subsets_are_given(tmp_path):
    folder = with_subsets(tmp_path, "one", "two")
    with pytest.raises(InputError, match=r"has the subsets one, two, expected .*; --subsets=TRAIN,TEST names others"):
        read_joint(folder)
    assert [len(read_joint(folder, Options(subsets=("ONE", "two"))).splits[split]) for split in SPLITS] == [3, 2]
    with pytest.raises(InputError, match="has the subsets one, two, expected one and three"):
        read_joint(folder, Options(subsets=("one", "three")))


def of_subsets(**segments: int) -> list[SourceVideo]:
    """A video of each subset, with so many segments."""
    return [
        SourceVideo(name, None, (), ((0.0, 1.0),) * number, ("Run",) * number, subset=name)
        for name, number in segments.items()
    ]


THREE = {  # segments by subset, and the pair that is chosen
    "ActivityNet": ({"training": 1, "validation": 1, "testing": 0}, ("training", "validation")),
    "own data": ({"train": 1, "val": 1, "test": 1}, ("train", "test")),
    "only labels": ({"train": 1, "test": 0}, ("train", "test")),
    "THUMOS-14 without test segments": ({"validation": 1, "test": 0}, ("validation", "test")),
    "nothing annotated": ({"train": 0, "val": 0, "test": 0}, ("train", "test")),
}


@pytest.mark.parametrize("case", THREE)
def test_the_test_subset_is_the_one_with_segments(case):
    segments, pair = THREE[case]
    assert choose_subsets(of_subsets(**segments), None, None, "gt.json") == pair


def test_the_subsets_of_a_published_data_set_go_first():
    videos = of_subsets(Train=1, Validation=1, Test=1)
    assert choose_subsets(videos, None, ("validation", "test"), "gt.json") == ("validation", "test")
    assert choose_subsets(videos[::2], None, ("validation", "test"), "gt.json") == ("train", "test")


# Fields of gt.json that are not used.


def test_with_lists_a_video_needs_no_subset_and_what_is_wrong_with_others_is_kept_aside(tmp_path):
    folder = write_per_video(tmp_path, make_examples())
    content = json.loads((folder / "gt.json").read_text())
    for entry in content["database"].values():
        del entry["subset"]
    content["database"] |= {
        "withheld": {"duration": 3},
        "spoilt": {"annotations": [{"segment": [5, 3], "label": "Run"}, {"segment": [1, 2], "label": "Fly"}]},
        "null": {"annotations": None},
    }
    write_json(folder / "gt.json", content)
    (folder / "meta.json").write_text('{"snippets_per_second": 1}')
    source = read_per_video(folder)
    assert_read(source)
    assert source.classes == ("Jump", "Run")
    faults = {video.name: [str(fault) for fault in video.faults] for video in source.unlisted}
    assert faults.keys() == {"withheld", "spoilt", "null"} and len(faults["spoilt"]) == 1
    assert "segment [5, 3]" in faults["spoilt"][0] and not faults["withheld"] and not faults["null"]
    (folder / "split_test.txt").write_text("w1\nspoilt\n")
    with pytest.raises(InputError, match=r'video "spoilt": segment \[5, 3\] is not finite or ends before it starts'):
        read_per_video(folder)
