"""The embedded data sets: untrimmed sessions of shoulder exercises, recorded by a smartwatch.

The package seglearn contains recordings of 10 people who do 7 exercises with either arm: acceleration and turn
rate at 50 samples per second (Burns et al., "Shoulder physiotherapy exercise recognition: machine learning the
inertial signals from a smartwatch", 2018). A session concatenates real stretches of one person and arm. Five
exercises are the actions to find; two are background, before, between and after the actions. Labels are not used
for features, test people are not used for training, and no sample occurs twice in a session. Sessions of the same
person and arm may share samples. Of the two data sets (`PLANS`) the workouts are the harder one: snippets are longer
against the actions, and one exercise fades into the next, so that the ends of an action look like background.
"""

import dataclasses
import hashlib
import importlib.util
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tsc_jax.data.annotations import as_video
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
PEOPLE = {"train": (1, 2, 3, 4, 5, 6, 7), "test": (8, 9, 10)}
SESSIONS = {"train": 120, "test": 50}

SEED = 0  # for the composition of sessions
ACTION_CLASSES = (1, 3)  # minimum and maximum number of different actions per session
SAMPLE_RATE = 50
WINDOW = 50  # samples that the features of a snippet use, centred on the snippet
FREQUENCIES = 3
LOG_FLOOR = 1e-3  # in g or rad/s, below the noise of the sensors
CLIP = 5.0  # standard deviations


@dataclasses.dataclass(frozen=True)
class Plan:
    """How the sessions of a data set are composed; pairs are minimum and maximum."""

    instances: tuple[int, int]  # action segments per session
    action_seconds: tuple[float, float]
    background_seconds: tuple[float, float]
    fade: int  # samples before and after a border in which one exercise fades into the next
    hop: int  # samples per snippet


PLANS = {
    "watch_sessions": Plan((3, 5), (6.0, 15.0), (4.0, 10.0), fade=0, hop=25),
    "watch_workouts": Plan((4, 8), (4.0, 8.0), (3.0, 8.0), fade=75, hop=50),
}

Recordings = Mapping[tuple[int, int, str], np.ndarray]  # by person (1 to 10), arm (0 left, 1 right) and exercise


class Stretch(NamedTuple):
    """Samples `start` to `start + length` of the recording of `exercise`."""

    exercise: str
    start: int
    length: int


class Session(NamedTuple):
    """Consecutive stretches of one person and arm."""

    person: int
    arm: int
    stretches: tuple[Stretch, ...]


def watch_source(plan: Plan) -> Source:
    """Composes a data set, always the same: 5 classes, 96 non-negative features.

    Raises InputError if the package seglearn is not installed, or its file differs from the expected one.
    """
    recordings = read_recordings()
    sessions = {split: compose_sessions(split, recordings, plan) for split in PEOPLE}
    described = {
        split: [describe(session_signal(each, recordings, plan.fade), plan.hop) for each in sessions[split]]
        for split in PEOPLE
    }
    training = np.concatenate(described["train"])
    mean, deviation = training.mean(axis=0), training.std(axis=0)
    splits = {
        split: tuple(
            session_video(f"{split}_{number:03d}", session, rectify((statistics - mean) / deviation), plan.fade)
            for number, (session, statistics) in enumerate(zip(sessions[split], described[split], strict=True))
        )
        for split in PEOPLE
    }
    return Source(tuple(ACTIONS.values()), SAMPLE_RATE / plan.hop, splits)


def read_recordings() -> Recordings:
    """Reads acceleration (g) and turn rate (rad/s), float64 [samples, 6], of the installed package seglearn.

    Does not import the package. Mirrors the right arm: its watch points the other way along the forearm, so that
    acceleration along x and turns about y and z change sign.
    """
    package = importlib.util.find_spec("seglearn")
    if package is None:
        raise InputError(
            "the embedded recordings are part of the Python package seglearn, which is not installed;"
            " expected it from requirements.txt"
        )
    file = Path(package.submodule_search_locations[0], "data", "watch_dataset.npy")
    if not file.is_file():
        raise InputError(f"{file}: no such file, expected the recordings of the package seglearn")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != RECORDINGS_SHA256:
        raise InputError(f"{file}: has sha256 {digest}, expected {RECORDINGS_SHA256} of seglearn 1.2.5")
    data = load_npy(file).item()
    mirror = np.array([-1, 1, 1, 1, -1, -1])
    return {
        (int(person), int(arm), data["y_labels"][exercise]): signal * mirror if arm else signal
        for person, arm, exercise, signal in zip(data["subject"], data["side"], data["y"], data["X"], strict=True)
    }


def compose_sessions(split: str, recordings: Recordings, plan: Plan) -> tuple[Session, ...]:
    """Composes the sessions of a split, taking each person and arm in turn; uses only the lengths of recordings."""
    turns = [(person, arm) for person in PEOPLE[split] for arm in (0, 1)]
    sessions = []
    for number in range(SESSIONS[split]):
        person, arm = turns[number % len(turns)]
        lengths = {exercise: len(recordings[person, arm, exercise]) for exercise in (*ACTIONS, *BACKGROUND)}
        rng = np.random.default_rng([SEED, person, number])
        sessions.append(Session(person, arm, draw_stretches(lengths, plan, rng)))
    return tuple(sessions)


def draw_stretches(lengths: Mapping[str, int], plan: Plan, rng: np.random.Generator) -> tuple[Stretch, ...]:
    """Draws programmes until one fits into the recordings, given their lengths in samples."""
    while True:
        programme, needed = draw_programme(plan, rng), Counter()
        for exercise, length in programme:
            needed[exercise] += length + 2 * plan.fade
        if needed <= Counter(lengths):
            return cut(programme, lengths, plan.fade, rng)


def draw_programme(plan: Plan, rng: np.random.Generator) -> list[tuple[str, int]]:
    """Draws (exercise, length in samples): background, action, background, ..., action, background."""

    def lasting(exercise: str, seconds: tuple[float, float]) -> tuple[str, int]:
        return str(exercise), round(rng.uniform(*seconds) * SAMPLE_RATE)

    classes = rng.choice(list(ACTIONS), rng.integers(*ACTION_CLASSES, endpoint=True), replace=False)
    instances = rng.integers(*plan.instances, endpoint=True)
    actions = rng.permutation([*classes, *rng.choice(classes, instances - len(classes))])
    programme = [lasting(rng.choice(list(BACKGROUND)), plan.background_seconds)]
    for action in actions:
        programme.append(lasting(action, plan.action_seconds))
        programme.append(lasting(rng.choice(list(BACKGROUND)), plan.background_seconds))
    return programme


def cut(
    programme: Sequence[tuple[str, int]], lengths: Mapping[str, int], fade: int, rng: np.random.Generator
) -> tuple[Stretch, ...]:
    """Draws a place in its recording for every stretch, without overlaps, also of the `fade` samples around it."""
    stretches = {}
    for exercise in dict.fromkeys(exercise for exercise, _ in programme):
        places = rng.permutation([place for place, (name, _) in enumerate(programme) if name == exercise])
        spare = lengths[exercise] - sum(programme[place][1] + 2 * fade for place in places)
        end, skipped = 0, np.diff(np.sort(rng.integers(0, spare + 1, len(places))), prepend=0)
        for place, gap in zip(places, skipped.tolist(), strict=True):
            stretches[place] = Stretch(exercise, end + gap + fade, programme[place][1])
            end += gap + programme[place][1] + 2 * fade
    return tuple(stretches[place] for place in range(len(programme)))


def session_signal(session: Session, recordings: Recordings, fade: int) -> np.ndarray:
    """Joins the samples of a session, [samples, 6]; around each border one stretch fades into the next."""
    person, arm, stretches = session
    # In the order of the recordings: in another one, sums over windows would be rounded otherwise.
    signal = np.zeros((sum(stretch.length for stretch in stretches) + 2 * fade, 6), order="F")
    rising = (np.arange(2 * fade) + 0.5) / (2 * fade) if fade else np.zeros(0)
    begin = 0
    for exercise, start, length in stretches:
        weight = np.concatenate([rising, np.ones(length - 2 * fade), rising[::-1]])
        piece = recordings[person, arm, exercise][start - fade : start + length + fade]
        signal[begin : begin + len(piece)] += weight[:, None] * piece
        begin += length
    return signal[fade : len(signal) - fade]


def describe(signal: np.ndarray, hop: int) -> np.ndarray:
    """Computes 48 statistics per snippet of a signal [samples, 6]: float64 [T, 48], T = samples // hop."""
    before = (WINDOW - hop) // 2
    padded = np.pad(signal, ((before, WINDOW - hop - before), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)[::hop]
    mean = windows.mean(axis=-1)
    spectrum = np.abs(np.fft.rfft(windows - mean[..., None]))[..., 1 : FREQUENCIES + 1] / WINDOW
    sizes = [windows.std(axis=-1), np.abs(np.diff(windows)).mean(axis=-1), *np.moveaxis(spectrum, -1, 0)]
    logs = [np.log(size + LOG_FLOOR) for size in sizes]
    return np.concatenate([mean, windows.min(axis=-1), windows.max(axis=-1), *logs], axis=1)


def rectify(standardised: np.ndarray) -> np.ndarray:
    """Splits values [T, F] into positive and negative parts, float32 [T, 2F]; like I3D's, features are >= 0."""
    clipped = np.clip(standardised, -CLIP, CLIP)
    return np.concatenate([np.maximum(clipped, 0), np.maximum(-clipped, 0)], axis=1).astype(np.float32)


def session_video(name: str, session: Session, features: np.ndarray, fade: int) -> SourceVideo:
    """Makes a video of a session; its actions are the segments, from where they fade in to where they are gone."""
    ends, margin = np.cumsum([stretch.length for stretch in session.stretches]) / SAMPLE_RATE, fade / SAMPLE_RATE
    instances = [
        ((end - stretch.length / SAMPLE_RATE - margin, end + margin), ACTIONS[stretch.exercise])
        for stretch, end in zip(session.stretches, ends.tolist(), strict=True)
        if stretch.exercise in ACTIONS
    ]
    origin = f"session {name}"
    video = as_video(name, instances, origin, duration=float(ends[-1]))
    return dataclasses.replace(video, read_features=lambda: features, origin=origin)
