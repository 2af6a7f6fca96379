"""Features are what their formulas say; TensorFlow's signal library is the independent opinion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from harness.errors import DatasetError
from search.config import Sound
from search.data.front_end import LOWEST_HZ, FrontEnd, mel_filters
from tests.search.sound_files import tone

LOG_MEL = Sound()
MFCC = Sound(front_end="mfcc")


def clips_of(*hertz: float, amplitude: float = 0.5) -> np.ndarray:
    clips = [tone(h, amplitude=amplitude, seed=int(h)) for h in hertz]
    return np.stack(clips).astype(np.float32) / 32768


def power_by_tensorflow(clips: np.ndarray) -> np.ndarray:
    spectrum = tf.signal.stft(clips, 480, 320, 512, pad_end=False).numpy()
    return np.abs(spectrum) ** 2 / 120**2  # the sum of a Hann window of 480 is 240


def levels_by_tensorflow(clips: np.ndarray) -> np.ndarray:
    filters = tf.signal.linear_to_mel_weight_matrix(40, 257, 16000, LOWEST_HZ, 8000.0).numpy()
    energies = np.maximum(power_by_tensorflow(clips) @ filters, 1e-10)
    return 1 + np.log10(energies) / 5


def test_log_mel_agrees_with_tensorflow() -> None:
    clips = clips_of(200, 1000, 5000)
    features = FrontEnd(LOG_MEL)(clips)
    assert features.shape == (3, 49, 40) and features.dtype == np.float32
    assert np.allclose(features, levels_by_tensorflow(clips), atol=2e-4)


def test_mfcc_agrees_with_tensorflow() -> None:
    clips = clips_of(200, 1000, 5000)
    features = FrontEnd(MFCC)(clips)
    cepstra = tf.signal.mfccs_from_log_mel_spectrograms(levels_by_tensorflow(clips)).numpy()
    lifter = 1 + 11 * np.sin(np.pi * np.arange(10) / 22)
    # TensorFlow scales every coefficient by sqrt(2 / bands); the orthonormal first is smaller.
    lifter[0] /= np.sqrt(2)
    assert features.shape == (3, 49, 10) and features.dtype == np.float32
    assert np.allclose(features, cepstra[..., :10] * lifter / np.sqrt(40), atol=1e-3)


def test_a_full_scale_sine_is_at_0_decibels_and_silence_at_the_floor() -> None:
    sine = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)  # bin 32
    features = FrontEnd(LOG_MEL)(np.stack([sine, np.zeros_like(sine)]))
    assert features[0].max() == pytest.approx(1.0, abs=0.1)
    assert np.allclose(features[1], -1.0, atol=1e-6)


def test_a_louder_clip_is_higher_by_its_decibels() -> None:
    soft, loud = (FrontEnd(LOG_MEL)(clips_of(1000, amplitude=a)).max() for a in (0.05, 0.5))
    assert loud - soft == pytest.approx(20 / 50, abs=0.01)


def test_each_band_weighs_its_centre_most_and_bands_cover_the_spectrum() -> None:
    frequencies = np.linspace(0, 8000, 2049)
    filters = mel_filters(20, frequencies)
    assert filters.shape == (2049, 20) and filters.min() == 0 and filters.max() <= 1
    assert np.all(np.diff(filters.argmax(axis=0)) > 0)
    between = (frequencies > 300) & (frequencies < 7000)
    assert np.allclose(filters[between].sum(axis=1), 1, atol=1e-5)


def test_windows_strides_and_clips_of_other_lengths() -> None:
    sound = replace(LOG_MEL, window_ms=40, stride_ms=10, clip_ms=500, mel_bands=16)
    front_end = FrontEnd(sound)
    assert front_end.clip_samples == 8000
    assert front_end(np.zeros((2, 8000), np.float32)).shape == (2, 47, 16)


def test_bands_too_narrow_for_the_window_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"mel band \d+ lies between two frequencies .*fewer"):
        FrontEnd(replace(LOG_MEL, mel_bands=256, window_ms=10))
