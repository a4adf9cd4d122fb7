"""Names that a person would call equal are equal; those that differ a little are refused with the difference."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.layouts import make_examples, save, write_per_video
from tsc_jax.data.names import Nearest, as_name
from tsc_jax.data.options import Options
from tsc_jax.data.per_video import read_per_video
from tsc_jax.data.source import SPLITS
from tsc_jax.errors import InputError

BOM = "\ufeff"
ACCENTED = "Salto é ü"


def renamed(folder: Path, name: str = ACCENTED) -> Path:
    """The small data set; the training video v3 has another name."""
    examples = make_examples()
    examples[0].name = name
    return write_per_video(folder, examples)


def rewrite(file: Path, change) -> None:
    file.write_bytes(change(file.read_text(encoding="utf-8")).encode())


CHANGES = {
    "byte order marks": lambda text: BOM + text,
    "line ends of Windows and trailing blanks": lambda text: text.replace("\n", " \t\r\n"),
    "accents as a Mac writes them": lambda text: unicodedata.normalize("NFD", text.replace("\\u00e9", "é")),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("file", ["gt.json", "meta.json", "split_train.txt", "split_test.txt"])
def test_the_encoding_of_a_name_does_not_matter(tmp_path, file, change):
    folder = renamed(tmp_path)
    (folder / "gt.json").write_text((folder / "gt.json").read_text().replace("\\u00e9", "é"), encoding="utf-8")
    rewrite(folder / file, CHANGES[change])
    source = read_per_video(folder)
    assert [video.name for video in source.splits["train"]] == [ACCENTED, "v1", "v2"]
    assert all(video.read_features().shape[1] == 6 for split in SPLITS for video in source.splits[split])
    assert source.classes == ("Jump", "Run")


@given(st.text(max_size=20))
def test_the_form_of_a_name_is_final_and_ignores_what_cannot_be_seen(name):
    form = as_name(name)
    assert as_name(form) == form
    assert as_name(f"{BOM} {unicodedata.normalize('NFD', form)} \r") == form


FILES = {  # where the features of the video "a_v3" may lie
    "train/{}.npy": "a_v3",
    "{}.npy": unicodedata.normalize("NFD", "a_v3"),
    "Train/{}.npy": "a_v3 ",
    "train/Jump/{}.npy": "a_v3",
    "v1/{}.npy": "v_a_v3",
}


@pytest.mark.parametrize("place", FILES)
def test_files_are_found_in_folders_of_classes_and_with_activitynets_prefix(tmp_path, place):
    folder = renamed(tmp_path, "a_v3")
    features = np.load(folder / "features/train/a_v3.npy")
    (folder / "features/train/a_v3.npy").unlink()
    save(folder / "features" / place.format(FILES[place]), features)
    source = read_per_video(folder)
    np.testing.assert_array_equal(source.splits["train"][0].read_features(), features)
    assert not source.unused


def test_names_may_have_folders(tmp_path):
    folder = renamed(tmp_path, "Jump/v1")  # beside v1
    assert [len(video.read_features()) for video in read_per_video(folder).splits["train"][:2]] == [
        len(each.features) for each in make_examples()[:2]
    ]


@pytest.mark.parametrize("other", ["Run/v3.npy", "v3.csv"])
def test_two_files_of_one_video_are_refused(tmp_path, other):
    folder = write_per_video(tmp_path, make_examples())
    (folder / "features/train/v3.npy").rename(folder / "features/v3.npy")
    if other == "Run/v3.npy":
        (folder / "features/Jump").mkdir()
        (folder / "features/v3.npy").rename(folder / "features/Jump/v3.npy")
    save(folder / "features" / other, np.ones((3, 6)))
    if other == "v3.csv":
        (folder / "features/v3.csv.npy").rename(folder / "features/v3.csv")
    with pytest.raises(InputError, match=r'v3\.\w+ and .*v3\.\w+ are features of video "v3", expected one file'):
        read_per_video(folder)


def test_a_file_of_another_video_is_not_taken(tmp_path):
    folder = renamed(tmp_path, "v_v1")
    (folder / "features/train/v1.npy").unlink()
    with pytest.raises(InputError, match='no features of video "v1", expected') as error:
        read_per_video(folder)
    assert error.value.about == "missing"


@pytest.mark.parametrize(
    ("file", "difference"),
    [
        ("clip-v3.npy", '"clip-v3", which differs in a prefix'),
        ("v3.mp4.npy", r'"v3\.mp4", which differs in a suffix'),
        ("V 3.npy", '"V 3", which differs in capital letters, blanks'),
        ("v3.pt", r"because v3\.pt is none of \.npy, \.npz, \.csv"),
    ],
)
def test_a_name_that_differs_a_little_is_told(tmp_path, file, difference):
    folder = write_per_video(tmp_path, make_examples())
    (folder / "features/train/v3.npy").rename(folder / "features/train" / file)
    with pytest.raises(InputError, match=f'features of video "v3", (but of )?{difference}'):
        read_per_video(folder)


def test_the_nearest_name_is_not_guessed_among_several():
    assert Nearest(["a_1", "b_1"]).to("1") is None
    assert Nearest(["11", "x1"]).to("1") is None
    assert Nearest(["a_1", "1"]).to("1")[0] == "1"


def test_names_that_become_equal_are_refused(tmp_path):
    folder = renamed(tmp_path)
    text = (folder / "gt.json").read_text()
    (folder / "gt.json").write_text(text.replace('{"database": {', '{"database": {"v1 ": {"annotations": []}, '))
    with pytest.raises(InputError, match=r'gt\.json: video "v1" occurs 2 times'):
        read_per_video(folder)


def test_one_modality_of_files_with_both(tmp_path):
    folder = write_per_video(tmp_path, make_examples())
    rgb = np.load(folder / "features/train/v3.npy")
    (folder / "features/train/v3.npy").unlink()
    np.savez(folder / "features/train/v3.npz", flow=-rgb[:-1], rgb=rgb)
    expected = {"both": np.hstack([rgb[:-1], -rgb[:-1]]), "rgb": rgb, "flow": -rgb[:-1]}
    for modality, array in expected.items():
        source = read_per_video(folder, Options(modality))
        np.testing.assert_array_equal(source.splits["train"][0].read_features(), array)
