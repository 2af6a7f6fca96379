"""Which samples does a .wav file hold? 16-bit PCM, one channel, decoded by the Python library's
wave, whose frame count is not believed."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import DatasetError

_MOST_FRAMES = 1 << 26  # an hour at 16 kHz


def read_wav(path: Path, rate_hz: int) -> NDArray[np.int16]:
    """The samples (n,), n >= 1.

    Raises:
        DatasetError: no such file, not of this kind, another rate, truncated or empty.
    """
    try:
        with wave.open(str(path)) as file:
            got = (file.getnchannels(), 8 * file.getsampwidth(), file.getframerate())
            frames = file.getnframes()
            data = file.readframes(min(frames, _MOST_FRAMES))
    except (OSError, EOFError, wave.Error, RuntimeError) as error:
        what = getattr(error, "strerror", None) or str(error) or "it ends within its header"
        raise DatasetError(
            f"is no .wav file that can be read: {what}",
            where=path,
            expected="16-bit PCM",
            hint="the file is damaged, replace or remove it",
        ) from None
    if got != (1, 16, rate_hz):
        raise DatasetError(
            "has another form",
            where=path,
            expected=f"1 channel of 16 bits at {rate_hz} Hz",
            got="{} of {} at {}".format(*got),
            hint=f"convert it: ffmpeg -i IN -ac 1 -ar {rate_hz} -c:a pcm_s16le OUT",
        )
    if frames == 0 or len(data) != 2 * frames:
        raise DatasetError(
            "is empty" if frames == 0 else "is truncated or too long",
            where=path,
            expected=f"{frames or 'some'} samples, at most {_MOST_FRAMES}",
            got=len(data) // 2,
            hint="the file is damaged, replace or remove it",
        )
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)
