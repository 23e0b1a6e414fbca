"""Store librosa's mel filters and log-mel spectrogram of one sound, to compare `tlkit.speech` with.

    pip install librosa==0.11.0 && python tools/speech_reference.py

It needs no tlkit, so that nothing of it can be on both sides. tests/test_speech.py makes the same sound.
"""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np

RATE, WINDOW, HOP, FFT, BANDS = 8_000, 200, 80, 512, 40


def sound() -> np.ndarray:
    """0.3 s, 8 kHz: a tone that rises from 100 Hz to 3.9 kHz, and grows, over noise 60 dB below."""
    t = np.arange(2_400) / RATE
    chirp = t / t[-1] * np.sin(2 * np.pi * (100 * t + (3_900 - 100) / (2 * t[-1]) * t**2))
    return chirp + 1e-3 * np.random.default_rng(0).standard_normal(len(t))


def main() -> None:
    filters = librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=BANDS, htk=True, norm=None, dtype=np.float64)
    # librosa puts the window into the middle of the transform: zeros on both sides let its first one begin at 0.
    side = (FFT - WINDOW) // 2
    power = np.abs(
        librosa.stft(
            np.pad(sound(), side),
            n_fft=FFT,
            hop_length=HOP,
            win_length=WINDOW,
            window="hann",
            center=False,
            dtype=np.complex128,
        )
    )
    level = librosa.power_to_db(filters @ power**2, ref=np.max, amin=1e-30, top_db=None)
    path = Path(__file__).parents[1] / "tests" / "data" / "speech_reference.npz"
    np.savez_compressed(path, filters=filters.astype(np.float32), level=level.astype(np.float32))
    print(path, path.stat().st_size, level.shape)


if __name__ == "__main__":
    main()
