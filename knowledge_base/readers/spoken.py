"""Spoken characters: a recording of each, spoken faster or slower before other voices.

The recordings come with a generator of audio puzzles, which varies speed and loudness and plays
other recordings backwards behind them. The same is done here, as signals and with numbers of our
own, so that any number of samples can be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knowledge_base.readers.arrays import Arrays, ReadMember, encode_labels
from knowledge_base.readers.spectra import Signal, log_mel, mel_filters, read_wave


@dataclass(frozen=True)
class SpokenCharacters:
    """Reader that draws noisy samples from one recording of each character.

    All parts of a split hear the same recordings of the characters, but no voice in the background
    is in two of them: the background is the group.

    Attributes:
        member: WAV file of a character, which stands for ``{character}``.
        characters: The classes, one letter each.
        background: Characters that are heard backwards behind them, none of the classes.
        count: Samples drawn.
        seconds: Length of a sample.
        loudness: Lowest and highest factor on the background.
        hiss: Standard deviation of the white noise, where 1 is full scale.
        bands: Mel bands.
        frame: Samples under one window.
        step: Samples between windows.
        seed: Chooses the samples.
    """

    member: str
    characters: str
    background: str
    count: int = 3000
    seconds: float = 0.5
    loudness: tuple[float, float] = (0.3, 1.0)
    hiss: float = 0.02
    bands: int = 20
    frame: int = 256
    step: int = 128
    seed: int = 0

    def __call__(self, read: ReadMember) -> Arrays:
        """Log mel energies as float32 (count, time, bands)."""
        if shared := set(self.characters) & set(self.background):
            raise ValueError(f"{sorted(shared)} are both told and background")
        signals: dict[str, Signal] = {}
        rates: set[int] = set()
        for character in self.characters + self.background:
            signals[character], rate = read_wave(read(self.member.format(character=character)))
            rates.add(rate)
        if len(rates) != 1:
            raise ValueError(f"one sampling rate was expected, not {sorted(rates)}")
        rate = rates.pop()
        filters = mel_filters(self.bands, self.frame, rate)
        random = np.random.default_rng(self.seed)
        spoken = random.permutation(np.resize(list(self.characters), self.count))
        behind = random.permutation(np.resize(list(self.background), self.count))
        samples = [
            log_mel(
                self._drawn(signals[voice], signals[other], round(self.seconds * rate), random),
                filters, self.frame, self.step,
            )
            for voice, other in zip(spoken, behind, strict=True)
        ]  # fmt: skip
        labels, classes = encode_labels(spoken.tolist())
        groups, _ = encode_labels(behind.tolist())
        inputs = np.stack(samples).astype(np.float32)
        return Arrays(inputs, labels, "classification", classes, scale="channels", groups=groups)

    def _drawn(
        self, voice: Signal, other: Signal, length: int, random: np.random.Generator
    ) -> Signal:
        """One sample: hiss, the other voice backwards, and the voice somewhere before them."""
        sample = self.hiss * random.standard_normal(length)
        level = random.uniform(*self.loudness)
        sample += level * placed(at_speed(other[::-1], random.uniform(0.6, 1.2)), length, random)
        level = random.uniform(0.5, 1.2)
        sample += level * placed(at_speed(voice, random.uniform(0.8, 1.25)), length, random)
        return np.clip(sample, -1, 1)


def at_speed(signal: Signal, speed: float) -> Signal:
    """The signal played `speed` times as fast, its pitch with it; (length / speed,)."""
    places = np.arange(0, len(signal) - 1, speed)
    faster: Signal = np.interp(places, np.arange(len(signal)), signal)
    return faster


def placed(signal: Signal, length: int, random: np.random.Generator) -> Signal:
    """The signal at a random place of an otherwise silent (length,); a longer one is cut."""
    start = random.integers(-max(0, len(signal) - length), max(0, length - len(signal)) + 1)
    if start < 0:
        return signal[-start : length - start]
    result = np.zeros(length)
    result[start : start + len(signal)] = signal[:length]
    return result
