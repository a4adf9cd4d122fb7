"""Published results of the methods, shown beside measured ones: mAP in percent by tIoU, each row with its source.

They were measured on other features and protocols than one another, and most of them are of the step that was best on
the test videos. They are for orientation; only rows of one launch.compare are comparable.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """One published row."""

    method: str  # name of the method in tsc_jax.methods
    data: str  # name of the data set
    mean_ap: dict[float, float]  # mAP in percent by tIoU, where published
    average: float | None  # as published
    over: str  # the tIoUs of the average; "" where there is none
    source: str  # where the numbers were printed, on which features, and how the step was selected


def row(method: str, data: str, tious: str, values: str, average: float | None, over: str, source: str) -> Published:
    """A row from two lists of numbers, separated by blanks."""
    pairs = zip(map(float, tious.split()), map(float, values.split()), strict=True)
    return Published(method, data, dict(pairs), average, over, source)


TENTHS = ".1 .2 .3 .4 .5 .6 .7"
ACTIVITYNET = ".5 .55 .6 .65 .7 .75 .8 .85 .9 .95"

ROWS = (
    row("tscnet", "thumos14", "", "", 46.3, "0.1:0.7", "Lin et al., 2025; I3D; best on test"),
    row("facnet", "thumos14", TENTHS, "67.6 62.1 52.6 44.3 33.4 22.5 12.7", 42.2, "0.1:0.7",
        "README of the authors' code, ICCV 2021; I3D; best on test"),
    row("rskp", "thumos14", TENTHS, "71.3 65.3 55.8 47.6 38.2 25.4 12.5", 45.1, "0.1:0.7",
        "README of the authors' code, CVPR 2022; I3D; best on test"),
    row("mmsd", "thumos14", TENTHS, "69.7 64.3 54.6 45.0 36.4 23.0 12.3", 43.6, "0.1:0.7",
        "Huang et al., IEEE TIP 2022; I3D; best on test"),
    row("grn", "thumos14", ".3 .4 .5 .7", "40.2 32.2 21.7 9.2", None, "",
        "Park et al., ICIP 2019; I3D at 10 frames per second; step not stated"),
    row("acn", "thumos14", ".3 .4 .5 .6 .7", "35.9 30.7 24.2 15.7 7.4", None, "",
        "Zhai et al., ICIP 2019; UntrimmedNet features and scores; step not stated"),
    row("tscnet", "activitynet12", "", "", 26.5, "0.5:0.95", "Lin et al., 2025; I3D; best on test"),
    row("grn", "activitynet12", ".3 .4 .5 .7", "45.2 41.8 33.7 18.4", None, "",
        "Park et al., ICIP 2019; I3D at 10 frames per second; step not stated"),
    row("acn", "activitynet12", ACTIVITYNET, "30.4 27.2 24.3 20.5 18.0 15.4 13.2 10.3 7.5 3.7", 17.0, "0.5:0.95",
        "Zhai et al., ICIP 2019; UntrimmedNet features and scores; step not stated"),
    row("facnet", "activitynet13", ".5 .75 .95", "37.6 24.2 6.0", 24.0, "0.5:0.95",
        "a public list of results; settings never published"),
    row("rskp", "activitynet13", ".5 .75 .95", "40.6 24.6 5.9", 25.0, "0.5:0.95",
        "README of the authors' code, CVPR 2022; I3D; step not stated"),
)  # fmt: skip
