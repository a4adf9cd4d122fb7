"""Which subset of the annotations is trained on, and which is the test."""

from collections.abc import Sequence

from tsc_jax.data.source import SourceVideo
from tsc_jax.errors import InputError

TRAIN, VALIDATION, TEST = ("training", "train"), ("validation", "val", "valid"), ("test", "testing")


def subset_of(video: SourceVideo) -> str:
    """Returns the name of its subset, in which capital letters do not matter."""
    return video.subset.strip().casefold()


def choose_subsets(
    videos: Sequence[SourceVideo], given: tuple[str, str] | None, known: tuple[str, str] | None, where: object
) -> tuple[str, str]:
    """Returns the names of the training and the test subset, as `subset_of` writes them.

    They are those that the user has `given`, or the `known` ones of a published data set, if there are any. Otherwise
    training and test, training and validation, or validation and test. Raises InputError if there is no such pair.
    """
    present = list(dict.fromkeys(map(subset_of, videos)))
    for wanted in filter(None, (given, known)):
        pair = tuple(name.strip().casefold() for name in wanted)
        if set(pair) <= set(present):
            return pair
        if given:
            break
    train, validation, test = (
        next((name for name in words if name in present), None) for words in (TRAIN, VALIDATION, TEST)
    )
    pair = (train, test_subset(videos)) if train else (validation, test)
    if given or not all(pair):
        expected = " and ".join(given) if given else "validation and test or training and validation or train and test"
        names = ", ".join(sorted({video.subset for video in videos})) or "none"
        raise InputError(f"{where}: has the subsets {names}, expected {expected}; --subsets=TRAIN,TEST names others")
    return pair


def test_subset(videos: Sequence[SourceVideo]) -> str | None:
    """Returns the test subset, or, where it has no segments, that of validation; None if there is none of them."""
    present, annotated = (
        {subset_of(video) for video in chosen} for chosen in (videos, [video for video in videos if video.segments])
    )
    return next((name for names in (annotated, present) for name in (*TEST, *VALIDATION) if name in names), None)
