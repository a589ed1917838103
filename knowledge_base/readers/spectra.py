"""Sound as a sequence of spectra: recordings read, and their energy in bands of the mel scale.

Source of the bands: Davis and Mermelstein, "Comparison of parametric representations for
monosyllabic word recognition in continuously spoken sentences", 1980, figure 1; the mel scale as
2595 log10(1 + f / 700 Hz).
"""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]


def read_wave(content: bytes) -> tuple[Signal, int]:
    """A mono recording of 8 or 16 bits as samples in [-1, 1), and its samples a second.

    Raises:
        ValueError: The bytes are no such WAV file.
    """
    try:
        with wave.open(io.BytesIO(content)) as recording:
            channels, width = recording.getnchannels(), recording.getsampwidth()
            rate, frames = recording.getframerate(), recording.readframes(recording.getnframes())
    except (wave.Error, EOFError) as error:
        raise ValueError(f"no WAV file: {error}") from None
    if channels != 1 or width not in (1, 2):
        raise ValueError(f"1 channel of 8 or 16 bits was expected, not {channels} of {8 * width}")
    if width == 1:  # bytes without sign, silence in the middle
        return (np.frombuffer(frames, dtype=np.uint8) - 128.0) / 128, rate
    return np.frombuffer(frames, dtype="<i2") / 32768, rate


def mel_filters(bands: int, frame: int, rate: int) -> Signal:
    """Triangles evenly spaced in mel from 0 to half the rate, float64 (bands, frame // 2 + 1)."""
    highest = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, highest, bands + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(frame, 1 / rate)
    low, centre, high = (corners[start : start + bands, None] for start in range(3))
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    filters: Signal = np.maximum(0, np.minimum(rising, falling))
    return filters


def log_mel(signal: Signal, filters: Signal, frame: int, step: int, floor: float = 1e-4) -> Signal:
    """Logarithm of the energy of each band over time.

    Args:
        signal: Samples (length,), length at least `frame`.
        filters: What `mel_filters` gave for this frame.
        frame: Samples under one Hann window.
        step: Samples between the starts of windows.
        floor: Energy added to each, so that silence has a logarithm.

    Returns:
        float64 (1 + (length - frame) // step, bands).
    """
    windows = np.lib.stride_tricks.sliding_window_view(signal, frame)[::step]
    energy = np.abs(np.fft.rfft(windows * np.hanning(frame), axis=-1)) ** 2
    logarithm: Signal = np.log(energy @ filters.T + floor)
    return logarithm
