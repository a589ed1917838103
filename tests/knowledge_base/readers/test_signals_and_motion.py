"""Readers of spoken characters, worn sensors and mechanical motion, on files made here."""

from __future__ import annotations

import io
import math
import wave
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_readers import files

from knowledge_base.partition import split
from knowledge_base.readers import SensorWindows, SpokenCharacters, Transitions
from knowledge_base.readers.mechanics import Acrobot, CartPole, Pendulum, System, followed
from knowledge_base.readers.motion import constant
from knowledge_base.readers.spectra import log_mel, mel_filters, read_wave
from knowledge_base.readers.spoken import at_speed, placed

RATE = 8000


def wav(samples: list[int], width: int = 1, channels: int = 1, rate: int = RATE) -> bytes:
    """A WAV file; samples of 8 bits are unsigned, those of 16 bits signed."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as recording:
        recording.setnchannels(channels)
        recording.setsampwidth(width)
        recording.setframerate(rate)
        kind = np.uint8 if width == 1 else np.dtype("<i2")
        recording.writeframes(np.asarray(samples, dtype=kind).tobytes())
    return stream.getvalue()


def tone(hertz: float, length: int = 1200) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(length) / RATE)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(wav([0, 128, 192]), [-1, 0, 0.5], id="8 bits"),
        pytest.param(wav([-32768, 0, 16384], width=2), [-1, 0, 0.5], id="16 bits"),
    ],
)
def test_recordings_are_between_minus_one_and_one(content: bytes, expected: list[float]) -> None:
    samples, rate = read_wave(content)
    assert samples.tolist() == expected
    assert rate == RATE


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"", "no WAV file", id="empty"),
        pytest.param(b"RIFFxxxxWAVExxxx", "no WAV file", id="cut off"),
        pytest.param(b"ID3" + bytes(40), "no WAV file", id="another format"),
        pytest.param(wav([0, 0], channels=2), "not 2 of 8", id="stereo"),
        pytest.param(wav([0, 0, 0, 0, 0, 0], width=3), "not 1 of 24", id="24 bits"),
    ],
)
def test_other_recordings_are_refused(content: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        read_wave(content)


@pytest.mark.parametrize("hertz", [250.0, 1000.0, 3000.0])
def test_a_tone_is_loudest_in_the_band_around_it(hertz: float) -> None:
    filters = mel_filters(16, 256, RATE)
    spectra = log_mel(tone(hertz), filters, 256, 100)
    assert spectra.shape == (10, 16)
    mel = 2595 * math.log10(1 + hertz / 700)
    width = 2595 * math.log10(1 + RATE / 2 / 700) / 17
    assert set(spectra.argmax(1).tolist()) == {round(mel / width) - 1}
    assert spectra.max() - np.median(spectra) > 5


def test_neighbouring_bands_share_each_frequency() -> None:
    filters = mel_filters(10, 512, RATE)
    peaks = filters.argmax(1)
    assert (np.diff(np.diff(peaks)) >= -1).all(), "bands widen with the frequency"
    np.testing.assert_allclose(filters.sum(0)[peaks[0] + 1 : peaks[-1]], 1, rtol=1e-9)


@given(speed=st.floats(0.5, 2), length=st.integers(50, 400))
def test_faster_is_shorter_and_follows_the_same_line(speed: float, length: int) -> None:
    played = at_speed(np.arange(length, dtype=float), speed)
    assert abs(len(played) - (length - 1) / speed) <= 1
    np.testing.assert_allclose(np.diff(played), speed, rtol=1e-9)


@given(size=st.integers(1, 30), length=st.integers(1, 30), seed=st.integers(0, 99))
def test_a_signal_is_placed_whole_or_cut_in_one_piece(size: int, length: int, seed: int) -> None:
    result = placed(np.arange(1.0, size + 1), length, np.random.default_rng(seed))
    heard = result[result > 0]
    assert len(result) == length
    assert len(heard) == min(size, length)
    assert (np.diff(heard) == 1).all()


VOICES = {
    character: wav((128 + 100 * tone(hertz, 1500)).round().astype(int).tolist())
    for character, hertz in zip("01ABCDE", (300, 1200, 500, 700, 900, 2000, 2500), strict=True)
}
SPOKEN = SpokenCharacters("{character}", "01", "ABCDE", count=100)


def test_spoken_characters_are_told_apart_and_their_backgrounds_are_groups() -> None:
    arrays = SPOKEN(VOICES.__getitem__)
    assert arrays.inputs.shape == (100, 30, 20)
    assert arrays.inputs.dtype == np.float32
    assert np.bincount(arrays.targets).tolist() == [50, 50]
    assert arrays.groups is not None
    assert np.bincount(arrays.groups).tolist() == [20] * 5
    loud = arrays.inputs.max(1)
    low, high = loud[arrays.targets == 0].mean(0), loud[arrays.targets == 1].mean(0)
    assert (low - high).argmax() < (high - low).argmax()
    parts = split(arrays, 0)
    assert min(len(part.targets) for part in (parts.train, parts.validation, parts.test)) == 20


def test_samples_follow_the_seed_and_none_is_another() -> None:
    arrays = SPOKEN(VOICES.__getitem__)
    assert np.array_equal(arrays.inputs, SPOKEN(VOICES.__getitem__).inputs)
    assert not np.array_equal(arrays.inputs, replace(SPOKEN, seed=1)(VOICES.__getitem__).inputs)
    assert len(np.unique(arrays.inputs.reshape(100, -1), axis=0)) == 100


def test_the_background_is_played_backwards() -> None:
    fading = tone(1000, 4000) * np.linspace(1, 0, 4000)
    voices = {
        **dict.fromkeys("01", wav([128] * 400)),
        **dict.fromkeys("ABC", wav((128 + 100 * fading).round().astype(int).tolist())),
    }
    reader = SpokenCharacters("{character}", "01", "ABC", count=9, seconds=1, hiss=0)
    for sample in reader(voices.__getitem__).inputs:
        heard = np.flatnonzero(sample.max(1) > -2)
        half = len(heard) // 2
        assert sample[heard[:half]].max() < sample[heard[half:]].max()


def test_unfit_recordings_are_refused() -> None:
    with pytest.raises(ValueError, match="both told and background"):
        replace(SPOKEN, background="A1")(VOICES.__getitem__)
    slower = {**VOICES, "B": wav([128] * 900, rate=4000)}
    with pytest.raises(ValueError, match="one sampling rate"):
        SPOKEN(slower.__getitem__)


def watch(**changes: object) -> bytes:
    """Three recordings of 5, 3 and 8 steps with two channels."""
    recordings = [np.arange(2.0 * steps).reshape(steps, 2) for steps in (5, 3, 8)]
    content = {"X": recordings, "y": np.asarray([4, 0, 0]), "subject": np.asarray([7.0, 8.0, 9.0])}
    stream = io.BytesIO()
    np.save(stream, np.asarray({**content, **changes}, dtype=object))
    return stream.getvalue()


def test_windows_know_their_exercise_and_person() -> None:
    arrays = SensorWindows("w", length=4, stride=2)(lambda _: watch())
    assert arrays.inputs[:, 0].tolist() == [[0, 1], [0, 1], [4, 5], [8, 9]]
    assert arrays.inputs[0, :, 1].tolist() == [1, 3, 5, 7]
    assert arrays.targets.tolist() == [1, 0, 0, 0]
    assert arrays.groups is not None
    assert arrays.groups.tolist() == [0, 1, 1, 1]
    assert (arrays.classes, arrays.scale) == (2, "channels")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(watch(y=np.asarray([1])), "1 labels", id="too few labels"),
        pytest.param(watch(X=[np.zeros((3, 2))] * 3), "no recording of 4", id="too short"),
        pytest.param(b"\x80\x02]q\x00.", "no X, y and subject", id="a list"),
        pytest.param(b"\x80\x02}q\x00.", "no X, y and subject", id="an empty dictionary"),
    ],
)
def test_incomplete_recordings_are_refused(content: bytes, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        SensorWindows("w", length=4)(lambda _: content)


SYSTEMS: dict[str, tuple[System, int]] = {
    "pendulum": (Pendulum(10, 1.5, 0.8), 2),
    "cart_pole": (CartPole(9.8, 1.0, 0.3, 0.5), 4),
    "acrobot": (Acrobot(9.8, 1.2, 0.7, 1.1, 0.4, 0.6, 0.9), 4),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_energy_stays_without_a_force(name: str) -> None:
    system, size = SYSTEMS[name]
    state = np.random.default_rng(0).uniform(-3, 3, (50, size))
    after = followed(system, state, np.zeros(50), seconds=1, steps=400)
    np.testing.assert_allclose(system.energy(after), system.energy(state), rtol=1e-5, atol=1e-5)
    assert np.abs(after - state).max() > 1


@pytest.mark.parametrize(("name", "joint"), [("pendulum", 0), ("cart_pole", 0), ("acrobot", 1)])
def test_energy_changes_by_the_work_of_the_force(name: str, joint: int) -> None:
    system, size = SYSTEMS[name]
    state = np.random.default_rng(1).uniform(-2, 2, (50, size))
    force = np.linspace(-3, 3, 50)
    after = followed(system, state, force, seconds=0.5, steps=200)
    work = force * (after - state)[:, joint]
    np.testing.assert_allclose(system.energy(after) - system.energy(state), work, atol=1e-5)


def test_a_small_swing_takes_its_known_time() -> None:
    rod = Pendulum(10, 1, 1)
    period = 2 * math.pi * math.sqrt(2 / 3 / 10)
    hanging = np.asarray([[math.pi + 1e-3, 0.0]])
    after = followed(rod, hanging, np.zeros(1), period / 2, 100)
    np.testing.assert_allclose(after, [[math.pi - 1e-3, 0.0]], atol=1e-8)


def test_straight_links_without_weight_turn_as_their_masses_say() -> None:
    first, second, reach, upper, lower, inertia = 1.2, 0.7, 1.1, 0.4, 0.6, 0.9
    system = Acrobot(0.0, first, second, reach, upper, lower, inertia)
    changed = system.change(np.zeros((1, 4)), np.asarray([2.0]))[0]
    # both links turn together by `both`, the lower one alone by `alone`
    alone = second * lower * (lower + reach) + inertia
    both = first * upper**2 + second * (reach + lower) ** 2 + 2 * inertia
    inner = second * lower**2 + inertia
    expected = np.linalg.solve([[both, alone], [alone, inner]], [0, 2.0])
    np.testing.assert_allclose(changed, [0, 0, *expected], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x.g = 3\ng = 9.8\n", 9.8),
        ("def made(self, g=10.0):", 10),
        ("    g = 4 * pi", 4 * math.pi),
        ("big = 2\n    g = 1.", 1),
        ("g = 1e-3\n", 1e-3),
        ("g = 2.5E+2, 3", 250),
        ("made(g=9.8  , m=1)", 9.8),
        ("x[g = 9.8]", 9.8),
        ("g = 9.8  # 10.0 / 2", 9.8),
        ("g = 9.8\t#: metres\r\n", 9.8),
        ("g = 9 * pi\r\n", 9 * math.pi),
        ("The default is `g = 10.0`.\nmade(g=9.81)", 10),
    ],
)
def test_constants_are_read_as_text(text: str, expected: float) -> None:
    assert constant(text, "g") == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "g = other\n", "gg = 1\n", "g == 3\n", "g = 10.0 / 2\n", "g = 2 * other\n",
        "g = 4 * pi / 2\n", "g = 4 * math.pi\n", "g = 4 * pixels\n", "g = 1_000\n", "g = 0x10\n",
        "g = 1e-\n", "g = 1e-3 + 1\n", "g = 3 if heavy else 4\n", "g = 10.0 / 2\ng = 3\n",
        "g = -3\ng = 3\n", "g = .5\ng = 3\n",
    ],
)  # fmt: skip
def test_a_missing_constant_is_a_broken_file(text: str) -> None:
    with pytest.raises(ValueError, match="gives g no number"):
        constant(text, "g")


SOURCES = {
    "pendulum": "def __init__(self, g=10.0):\n self.max_speed = 8\n self.max_torque = 2.0\n"
    " self.dt = 0.05\n self.g = g\n self.m = 1.0\n self.l = 1.0\n",
    "cart_pole": "self.gravity = 9.8\nself.masscart = 1.0\nself.masspole = 0.1\n"
    "self.length = 0.5\nself.force_mag = 10.0\nself.tau = 0.02\nself.x_threshold = 2.4\n",
    "acrobot": "dt = 0.2\nLINK_LENGTH_1 = 1.0\nLINK_MASS_1 = 1.0\nLINK_MASS_2 = 1.0\n"
    "LINK_COM_POS_1 = 0.5\nLINK_COM_POS_2 = 0.5\nLINK_MOI = 1.0\nMAX_VEL_1 = 4 * pi\n"
    "MAX_VEL_2 = 9 * pi\ng = 9.8\n",
}


@pytest.mark.parametrize(
    ("name", "inputs", "targets", "fastest"),
    [
        ("pendulum", 4, 2, (8,)),
        ("cart_pole", 6, 4, (2.4, 5, 5)),
        ("acrobot", 7, 4, (4 * math.pi, 9 * math.pi)),
    ],
)
def test_transitions_are_of_the_documented_ranges(
    name: str, inputs: int, targets: int, fastest: tuple[float, ...]
) -> None:
    reader = Transitions("m", name, 2, count=500)  # type: ignore[arg-type]
    arrays = reader(files(m=SOURCES[name]))
    assert arrays.inputs.shape == (500, inputs)
    assert arrays.targets.shape == (500, targets)
    assert arrays.kind == "regression"
    angles = inputs - 1 - len(fastest)
    circles = arrays.inputs[:, :angles].reshape(500, 2, -1)
    np.testing.assert_allclose((circles**2).sum(1), 1, rtol=1e-5)
    reached = np.abs(arrays.inputs[:, angles:-1]).max(0)
    assert (reached <= np.asarray(fastest) * 1.0001).all()
    assert (reached > 0.95 * np.asarray(fastest)).all()
    assert np.array_equal(arrays.targets, reader(files(m=SOURCES[name])).targets)
    slow = replace(reader, speed=0.1)(files(m=SOURCES[name]))
    assert np.abs(slow.inputs[:, -2]).max() <= 0.1 * fastest[-1] * 1.0001


def test_a_short_change_is_the_speed_times_the_time() -> None:
    arrays = Transitions("m", "pendulum", 1, count=200)(files(m=SOURCES["pendulum"]))
    speed = arrays.inputs[:, 2]
    # the acceleration is at most 3 (5 + 2) a second a second, for a twentieth of a second
    assert np.abs(arrays.targets[:, 0] - 0.05 * speed).max() < 21 * 0.05**2 / 2
    assert np.abs(arrays.targets[:, 1]).max() < 21 * 0.05


def test_the_error_falls_with_the_fourth_power_of_the_step() -> None:
    system, _ = SYSTEMS["acrobot"]
    state = np.random.default_rng(2).uniform(-3, 3, (300, 4))
    exact, fine, coarse = (
        followed(system, state, np.ones(300), 0.2, steps) for steps in (200, 10, 5)
    )
    ratio = np.abs(coarse - exact).mean() / np.abs(fine - exact).mean()
    assert ratio == pytest.approx(16, rel=0.3)


def test_a_source_without_its_constants_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gives self\.l no number"):
        Transitions("m", "pendulum", 1)(files(m=SOURCES["pendulum"].replace("self.l", "self.k")))
