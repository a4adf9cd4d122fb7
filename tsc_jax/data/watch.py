"""The embedded data set: untrimmed sessions of shoulder exercises, recorded by a smartwatch.

The package seglearn contains recordings of 10 people who do 7 exercises with either arm: acceleration and turn
rate at 50 samples per second (Burns et al., "Shoulder physiotherapy exercise recognition: machine learning the
inertial signals from a smartwatch", 2018). A session concatenates real stretches of one person and arm. Five
exercises are the actions to find; two are background, before, between and after the actions. Labels are not used
for features, test people are not used for training, and no sample occurs twice in a session. Sessions of the same
person and arm may share samples.
"""

import dataclasses
import functools
import hashlib
import importlib.util
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tsc_jax.data.pickles import load_npy
from tsc_jax.data.source import Source, SourceVideo
from tsc_jax.errors import InputError

RECORDINGS_SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"  # of seglearn 1.2.5

ACTIONS = {
    "ABD": "abduction",
    "FEL": "forward elevation",
    "IR": "internal rotation",
    "ER": "external rotation",
    "ROW": "upright row",
}
BACKGROUND = {"PEN": "pendulum", "TRAP": "trapezius extension"}
ARMS = ("left", "right")
PEOPLE = {"train": (1, 2, 3, 4, 5, 6, 7), "test": (8, 9, 10)}
SESSIONS = {"train": 120, "test": 50}

SEED = 0  # for the composition of sessions
ACTION_CLASSES = (1, 3)  # minimum and maximum number of different actions per session
INSTANCES = (3, 5)  # minimum and maximum number of segments per session
ACTION_SECONDS = (6.0, 15.0)
BACKGROUND_SECONDS = (4.0, 10.0)

SAMPLE_RATE = 50
HOP = 25  # samples per snippet
WINDOW = 50  # samples that the features of a snippet use, centred on the snippet
FREQUENCIES = 3
LOG_FLOOR = 1e-3  # in g or rad/s, below the noise of the sensors
CLIP = 5.0  # standard deviations

Recordings = Mapping[tuple[int, int, str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Samples `start` to `start + length` of the recording of `exercise`."""

    exercise: str
    start: int
    length: int


@dataclasses.dataclass(frozen=True)
class Session:
    """Consecutive stretches of one person (1 to 10) and arm (0 left, 1 right)."""

    person: int
    arm: int
    stretches: tuple[Stretch, ...]


def watch_sessions() -> Source:
    """Composes the data set, always the same: 5 classes, 2 snippets per second, 96 non-negative features.

    Raises:
      InputError: the package seglearn is not installed, or its file differs from the expected one.
    """
    recordings = read_recordings()
    sessions = {split: compose_sessions(split, recordings) for split in PEOPLE}
    described = {
        split: [describe(session_signal(session, recordings)) for session in sessions[split]] for split in sessions
    }
    training = np.concatenate(described["train"])
    mean, deviation = training.mean(axis=0), training.std(axis=0)
    splits = {
        split: tuple(
            as_video(f"{split}_{number:03d}", session, rectify((statistics - mean) / deviation))
            for number, (session, statistics) in enumerate(zip(sessions[split], described[split], strict=True))
        )
        for split in sessions
    }
    return Source(tuple(ACTIONS.values()), SAMPLE_RATE / HOP, splits)


def read_recordings() -> Recordings:
    """Reads acceleration (g) and turn rate (rad/s), float64 [samples, 6], by (person, arm, exercise).

    Mirrors the right arm: its watch points the other way along the forearm, so that acceleration along x and
    turns about y and z change sign.
    """
    data = load_npy(recordings_file()).item()
    mirror = np.array([-1, 1, 1, 1, -1, -1])
    columns = (data["subject"], data["side"], data["y"], data["X"])
    return {
        (int(person), int(arm), data["y_labels"][exercise]): signal * mirror if arm else signal
        for person, arm, exercise, signal in zip(*columns, strict=True)
    }


def recordings_file() -> Path:
    """Finds the recordings of the installed package seglearn without importing it.

    Raises:
      InputError: no such package, or its file is missing or differs from the expected one.
    """
    package = importlib.util.find_spec("seglearn")
    if package is None:
        raise InputError(
            "the recordings of watch_sessions are part of the Python package seglearn, which is not installed;"
            " expected it from requirements.txt"
        )
    file = Path(package.submodule_search_locations[0], "data", "watch_dataset.npy")
    if not file.is_file():
        raise InputError(f"{file}: no such file, expected the recordings of the package seglearn")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != RECORDINGS_SHA256:
        raise InputError(f"{file}: has sha256 {digest}, expected {RECORDINGS_SHA256} of seglearn 1.2.5")
    return file


def compose_sessions(split: str, recordings: Recordings) -> tuple[Session, ...]:
    """Composes the sessions of a split, taking each person and arm in turn; uses only the lengths of recordings."""
    lengths = {key: len(signal) for key, signal in recordings.items()}
    turns = [(person, arm) for person in PEOPLE[split] for arm in range(len(ARMS))]
    sessions = []
    for number in range(SESSIONS[split]):
        person, arm = turns[number % len(turns)]
        own = {exercise: lengths[person, arm, exercise] for exercise in (*ACTIONS, *BACKGROUND)}
        rng = np.random.default_rng([SEED, person, number])
        sessions.append(Session(person, arm, draw_stretches(own, rng)))
    return tuple(sessions)


def draw_stretches(lengths: Mapping[str, int], rng: np.random.Generator) -> tuple[Stretch, ...]:
    """Draws programmes until one fits into the recordings, given their lengths in samples."""
    while True:
        programme = draw_programme(rng)
        needed = Counter()
        for exercise, length in programme:
            needed[exercise] += length
        if all(needed[exercise] <= lengths[exercise] for exercise in needed):
            return cut(programme, lengths, rng)


def draw_programme(rng: np.random.Generator) -> list[tuple[str, int]]:
    """Draws (exercise, length in samples): background, action, background, ..., action, background."""

    def samples(seconds: tuple[float, float]) -> int:
        return round(rng.uniform(*seconds) * SAMPLE_RATE)

    classes = rng.choice(list(ACTIONS), rng.integers(*ACTION_CLASSES, endpoint=True), replace=False)
    instances = rng.integers(*INSTANCES, endpoint=True)
    actions = rng.permutation([*classes, *rng.choice(classes, instances - len(classes))])
    programme = []
    for action in actions:
        programme.append((str(rng.choice(list(BACKGROUND))), samples(BACKGROUND_SECONDS)))
        programme.append((str(action), samples(ACTION_SECONDS)))
    return [*programme, (str(rng.choice(list(BACKGROUND))), samples(BACKGROUND_SECONDS))]


def cut(
    programme: Sequence[tuple[str, int]], lengths: Mapping[str, int], rng: np.random.Generator
) -> tuple[Stretch, ...]:
    """Draws a place in its recording for every stretch, without overlaps."""
    stretches = {}
    for exercise in dict.fromkeys(exercise for exercise, _ in programme):
        places = rng.permutation([place for place, (name, _) in enumerate(programme) if name == exercise])
        spare = lengths[exercise] - sum(programme[place][1] for place in places)
        start = 0
        for place, skipped in zip(
            places, np.diff(np.sort(rng.integers(0, spare + 1, len(places))), prepend=0), strict=True
        ):
            length = programme[place][1]
            stretches[place] = Stretch(exercise, start + int(skipped), length)
            start += int(skipped) + length
    return tuple(stretches[place] for place in range(len(programme)))


def session_signal(session: Session, recordings: Recordings) -> np.ndarray:
    """Concatenates the samples of a session, [samples, 6]."""
    return np.concatenate(
        [
            recordings[session.person, session.arm, stretch.exercise][stretch.start : stretch.start + stretch.length]
            for stretch in session.stretches
        ]
    )


def describe(signal: np.ndarray) -> np.ndarray:
    """Computes 48 statistics per snippet of a signal [samples, 6]: float64 [T, 48], T = samples // HOP."""
    before = (WINDOW - HOP) // 2
    padded = np.pad(signal, ((before, WINDOW - HOP - before), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)[::HOP]
    mean = windows.mean(axis=-1)
    spectrum = np.abs(np.fft.rfft(windows - mean[..., None]))[..., 1 : FREQUENCIES + 1] / WINDOW
    sizes = [windows.std(axis=-1), np.abs(np.diff(windows)).mean(axis=-1), *np.moveaxis(spectrum, -1, 0)]
    logs = [np.log(size + LOG_FLOOR) for size in sizes]
    return np.concatenate([mean, windows.min(axis=-1), windows.max(axis=-1), *logs], axis=1)


def rectify(standardised: np.ndarray) -> np.ndarray:
    """Splits values [T, F] into positive and negative parts, float32 [T, 2F]; like I3D's, features are >= 0."""
    clipped = np.clip(standardised, -CLIP, CLIP)
    return np.concatenate([np.maximum(clipped, 0), np.maximum(-clipped, 0)], axis=1).astype(np.float32)


def as_video(name: str, session: Session, features: np.ndarray) -> SourceVideo:
    """Makes a video of a session; its actions are the segments."""
    ends = np.cumsum([stretch.length for stretch in session.stretches]) / SAMPLE_RATE
    actions = [
        (ACTIONS[stretch.exercise], float(end - stretch.length / SAMPLE_RATE), float(end))
        for stretch, end in zip(session.stretches, ends, strict=True)
        if stretch.exercise in ACTIONS
    ]
    return SourceVideo(
        name=name,
        duration=float(ends[-1]),
        labels=tuple(dict.fromkeys(label for label, _, _ in actions)),
        segments=tuple((start, end) for _, start, end in actions),
        segment_labels=tuple(label for label, _, _ in actions),
        read_features=functools.partial(np.copy, features),
        origin=f"session {name}",
    )
