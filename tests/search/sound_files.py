"""A small Speech Commands folder: each word a tone of its own, each clip in noise."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

RATE_HZ = 16000


def write_wav(
    path: Path, samples: np.ndarray, *, rate_hz: int = RATE_HZ, channels: int = 1, width: int = 2
) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())


def tone(hertz: float, count: int = RATE_HZ, *, amplitude: float = 0.5, seed: int = 0):
    noise = np.random.default_rng(seed).normal(0, 0.01, count)
    wanted = amplitude * np.sin(2 * np.pi * hertz * np.arange(count) / RATE_HZ) + noise
    return np.clip(wanted * 32768, -32768, 32767).astype(np.int16)


def write_speech_commands(
    root: Path,
    words: tuple[str, ...] = ("go", "no", "stop", "yes"),
    *,
    speakers: int = 30,
    noise: bool = True,
    lists: bool = True,
) -> Path:
    """One clip of each word by each speaker; speakers 0 to 2 are in the validation list, 3 to 5 in
    the testing list."""
    listed: dict[str, list[str]] = {"validation_list.txt": [], "testing_list.txt": []}
    for number, word in enumerate(words):
        (root / word).mkdir(parents=True)
        for speaker in range(speakers):
            name = f"{word}/{speaker:08x}_nohash_0.wav"
            write_wav(root / name, tone(300 * (number + 1), seed=speaker))
            if speaker < 6:
                list_name = "validation_list.txt" if speaker < 3 else "testing_list.txt"
                listed[list_name].append(name)
    if lists:
        for list_name, names in listed.items():
            (root / list_name).write_text("".join(f"{name}\n" for name in names))
    if noise:
        (root / "_background_noise_").mkdir()
        rng = np.random.default_rng(0)
        samples = rng.normal(0, 3000, 12 * RATE_HZ).astype(np.int16)
        write_wav(root / "_background_noise_" / "white_noise.wav", samples)
        (root / "_background_noise_" / "README.md").write_text("noise")
    (root / "README.md").write_text("words")
    return root
