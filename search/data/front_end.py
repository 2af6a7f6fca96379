"""What does a network see of a clip? Log-mel energies, or cepstral coefficients of them, frame by
frame. Every number here is fixed by `Sound`, none by the data, so that firmware can compute the
same. Knows no files.

A frame is `window_ms` of sound, every `stride_ms`, from the first sample on and without padding,
under a periodic Hann window w, zeros behind it up to the next power of two n:

    P_k = |sum_t w_t x_t exp(-2 pi i k t / n)|^2 / (sum_t w_t / 2)^2      a full-scale sine has 1
    E_m = sum_k F_mk P_k                                                  mel bands
    y_m = 1 + 10 log10(max(E_m, 1e-10)) / 50                              -1 at -100 dB, 1 at 0 dB

F: triangles whose edges are equally spaced on the mel scale, mel(f) = 2595 log10(1 + f / 700), and
whose sides are straight on it (The HTK Book 3.4, section 5.4, equation 5.13), from 20 Hz to half
the sampling rate. "mfcc" goes on with (sections 5.6, 5.7, equations 5.14, 5.15):

    c_i = (1 + 11 sin(pi i / 22)) d_i / sqrt(mel bands), d = the orthonormal DCT-II of y

The lifter in front brings the coefficients, of which the higher are the smaller, to one order of
magnitude, so that one scale serves all in 8 bits.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft, signal

from harness.errors import DatasetError
from search.config import Sound

LOWEST_HZ = 20.0
FLOOR = 1e-10
DECIBELS_A_UNIT = 50.0
LIFTER = 22


class FrontEnd:
    """Clips (n, clip_samples) float32 in [-1, 1) -> features (n, frames, values) float32.

    Raises:
        DatasetError: mel bands so narrow that one holds no frequency.
    """

    def __init__(self, sound: Sound) -> None:
        self._sound = sound
        self.clip_samples = sound.rate_hz * sound.clip_ms // 1000
        self._window_samples = sound.rate_hz * sound.window_ms // 1000
        self._stride_samples = sound.rate_hz * sound.stride_ms // 1000
        self._fft_samples = 1 << max(self._window_samples - 1, 1).bit_length()
        window = signal.get_window("hann", self._window_samples, fftbins=True)
        self._window = (window / (window.sum() / 2)).astype(np.float32)
        frequencies = fft.rfftfreq(self._fft_samples, 1 / sound.rate_hz)
        self._filters = mel_filters(sound.mel_bands, frequencies)  # (k, bands)
        if (empty := np.flatnonzero(self._filters.sum(axis=0) == 0)).size:
            raise DatasetError(
                f"mel band {empty[0]} lies between two frequencies of the spectrum",
                where="[data.sound]",
                expected=f"fewer than {sound.mel_bands} mel_bands",
                hint="or make window_ms longer",
            )

    def __call__(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = sliding_window_view(clips, self._window_samples, axis=1)
        frames = frames[:, :: self._stride_samples]  # (n, frames, window)
        spectrum = fft.rfft(frames * self._window, self._fft_samples)  # (n, frames, k)
        power: NDArray[np.float32] = spectrum.real**2 + spectrum.imag**2
        energies = np.maximum(power @ self._filters, np.float32(FLOOR))  # (n, frames, bands)
        levels: NDArray[np.float32] = 1 + np.log10(energies) * np.float32(10 / DECIBELS_A_UNIT)
        if self._sound.front_end == "log_mel":
            return levels
        coefficients: NDArray[np.float32] = levels @ self._cosines
        return coefficients

    @cached_property
    def _cosines(self) -> NDArray[np.float32]:
        """(bands, coefficients): transform, scale and lifter in one."""
        bands, count = self._sound.mel_bands, self._sound.coefficients
        transform = fft.dct(np.eye(bands), axis=1, norm="ortho")[:, :count]
        lifter = 1 + LIFTER / 2 * np.sin(np.pi * np.arange(count) / LIFTER)
        cosines: NDArray[np.float32] = np.asarray(transform * lifter / np.sqrt(bands), np.float32)
        return cosines


def mel_filters(bands: int, frequencies: NDArray[np.floating]) -> NDArray[np.float32]:
    """(k, bands): the weight of each frequency (k,) in Hz in each band."""
    mels = _mel(frequencies)[:, np.newaxis]
    edges = np.linspace(_mel(LOWEST_HZ), mels[-1, 0], bands + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (mels - low) / (centre - low), (high - mels) / (high - centre)
    weights: NDArray[np.float32] = np.maximum(np.minimum(rising, falling), 0).astype(np.float32)
    return weights


def _mel(hertz: float | NDArray[np.floating]) -> NDArray[np.floating]:
    return 2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700)
