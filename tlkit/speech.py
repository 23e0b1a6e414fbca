"""Sounds as pictures: a WAV file, its log-mel spectrogram, and real speakers fetched by `tlkit fetch speech`.

A picture is ``(40, 40, 1)`` ``uint8``: mel bands from high (row 0) to low, time from left to right, loudness from 0
(50 dB below the loudest cell, or less) to 255 (the loudest cell). So everything that takes images takes sounds.

The recordings are the Free Spoken Digit Dataset, https://github.com/Jakobovski/free-spoken-digit-dataset, by Zohar
Jackson and contributors (CC BY-SA 4.0): six speakers say each of the ten digits 50 times, at 8 kHz.
"""

from __future__ import annotations

import math
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tlkit import files
from tlkit.domains import Array, Domain, Split, check_count, check_list, check_rate
from tlkit.files import Collection, PinnedFolder, github_archive
from tlkit.files.paths import check_path
from tlkit.words import nearest_name, printable, reason

__all__ = [
    "SPEAKERS",
    "SPEECH",
    "SoundError",
    "fetch_speech",
    "load_speech",
    "log_mel",
    "mel_filters",
    "mel_to_hertz",
    "power_spectrogram",
    "read_sound",
    "sound_picture",
    "speech_folder",
]

RATE = 8_000  # samples per second of what is analysed: telephone quality, and that of the recordings
WINDOW, HOP, FFT = 200, 80, 512  # samples: 25 ms every 10 ms; zeros fill up the transform, so that no band is empty
BANDS, FRAMES = 40, 40
LOUD_DB = 30.0  # a sound begins and ends where it is less than this below its loudest frame
RANGE_DB = 50.0  # from black to white

MAX_SECONDS, MAX_RATE, MAX_CHANNELS = 60, 192_000, 8
MAX_SAMPLE = 1e150  # its square, summed over a window, is still a number
MAX_FRAMES = MAX_SECONDS * RATE // HOP  # no sound that is read has more windows

_NAME = "free-spoken-digit-dataset"
SPEECH = Collection(
    "speech",
    {
        _NAME: PinnedFolder(
            parts=("recordings",),
            files=3_000,
            bytes=21_128_848,
            sha256="04e1baae96c6a26e39c623f2b01d0182ddae627ba0ac02a3cdc17ba2af99fd9b",
            archive=github_archive(f"Jakobovski/{_NAME}", "26eb9aaf76e81b692f806f9140c2d2777410d7a1"),
        )
    },
    "3,000 recordings of spoken digits",
)
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class SoundError(ValueError):
    """A file that is not a WAV file of whole numbers (PCM), a broken one, or one that is too long."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"a sound must be a WAV file (PCM) of at most {MAX_SECONDS} s, got {str(path)!r} ({why}).")


def read_sound(path: str | Path) -> tuple[Array, int]:
    """A WAV file as samples and their rate; several channels become their mean.

    A header that promises more than the file holds, as programs write that stream their output, is read to its end.

    Returns:
        Samples ``(n,)`` ``float32`` in -1..1, and the rate in samples per second.

    Raises:
        SoundError: The file is absent, no WAV file of 8, 16, 24 or 32 bits, empty, or past a limit: 60 s, 192 kHz, 8
            channels. Nothing past the limit is read.
    """
    path = check_path("path", path, "a WAV file")
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if not (0 < rate <= MAX_RATE and channels <= MAX_CHANNELS and width <= 4):
                raise SoundError(path, f"{rate} Hz, {channels} channels, {8 * width} bits")
            held = path.stat().st_size // (channels * width)  # what a header promises, a reader would make room for
            content = file.readframes(min(file.getnframes(), held, MAX_SECONDS * rate + 1))
    except SoundError:
        raise
    except (wave.Error, EOFError, OSError, RuntimeError, ValueError) as error:
        why = "empty file" if path.is_file() and not path.stat().st_size else reason(error, 100)
        raise SoundError(path, "it ends too early" if why == "EOFError" else why) from error
    frames = len(content) // (channels * width)
    if not 0 < frames <= MAX_SECONDS * rate:
        raise SoundError(path, f"more than {MAX_SECONDS} s" if frames else "no sample")
    octets = np.frombuffer(content, np.uint8, frames * channels * width).reshape(-1, width)
    # The upper bytes of 32 bits, lowest byte first; WAV's 8 bits count from 0, all others from below 0.
    wide = np.zeros((len(octets), 4), np.uint8)
    wide[:, 4 - width :] = octets ^ 128 if width == 1 else octets
    samples = wide.view("<i4")[:, 0].reshape(frames, channels).mean(axis=1) / 2**31
    return samples.astype(np.float32), rate


def mel_to_hertz(mel: Array | float) -> Array:
    """The frequency of a pitch in mel: ``700 (10^(mel / 2595) - 1)`` hertz.

    The mel scale is pitch as listeners judged it (Stevens, Volkmann & Newman, 1937); the formula is O'Shaughnessy's
    (Speech Communication, 1987), as HTK has it: 1000 Hz are 1000 mel.
    """
    return np.asarray(700 * (10 ** (np.asarray(mel, float) / 2595) - 1))


def mel_filters(bands: int = BANDS) -> Array:
    """Triangles over frequency, evenly spaced in mel from 0 Hz to 4000 Hz (Davis & Mermelstein, 1980).

    Each has height 1 at its centre and reaches 0 at the centres of its neighbours: between the first centre and the
    last, the filters add up to 1 at each frequency.

    Args:
        bands: How many, 1 to 64; more would be narrower than the transform resolves.

    Returns:
        Weights ``(bands, 257)`` from low to high, one column per frequency of :func:`power_spectrogram`.

    Raises:
        ValueError: ``bands`` is out of range.
    """
    check_count("bands", bands)
    if bands > 64:
        raise ValueError(f"bands must be in 1..64, got {bands}.")
    top = 2595 * math.log10(1 + RATE / 2 / 700)
    centres = mel_to_hertz(np.linspace(0, top, bands + 2))[:, None]
    hertz = np.linspace(0, RATE / 2, FFT // 2 + 1)
    rising = (hertz - centres[:-2]) / np.diff(centres, axis=0)[:-1]
    falling = (centres[2:] - hertz) / np.diff(centres, axis=0)[1:]
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None))


def power_spectrogram(samples: Array, rate: int) -> Array:
    """How strong each frequency is in windows of 25 ms (Hann), one every 10 ms.

    Args:
        samples: ``(n,)``, of at most 60 s, -1e150 to 1e150; what is shorter than a window is filled up with zeros.
        rate: Samples per second; other rates than 8000 are resampled.

    Returns:
        ``|FFT|²``, ``(257, t)``: row ``k`` is the frequency ``15.625 k`` Hz. Each column holds the energy of its window
        (Parseval): rows 0 and 256, and twice the others, add up to 512 times the sum of its squared samples.

    Raises:
        ValueError: Samples of another shape, too large or too many, not finite or none at all, or a rate that is no
            number above 0.
    """
    from scipy.signal import get_window, resample_poly

    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.dtype.kind not in "iuf" or not len(samples) or not np.isfinite(samples).all():
        raise ValueError(f"samples must be finite numbers (n,), one or more, got {samples.dtype} {samples.shape}.")
    check_rate("rate", rate)
    if rate != int(rate) or rate > MAX_RATE:
        raise ValueError(f"rate must be a whole number of samples per second, {MAX_RATE} at most, got {rate}.")
    if len(samples) > MAX_SECONDS * rate:
        seconds = f"{len(samples) / rate:,.0f} s at a rate of {rate}"
        raise ValueError(f"samples must be of at most {MAX_SECONDS} s, got {seconds}.")
    samples = samples.astype(np.float64)
    if (largest := np.abs(samples).max()) > MAX_SAMPLE:
        raise ValueError(f"samples must be in -{MAX_SAMPLE:g}..{MAX_SAMPLE:g}, got one of size {largest:g}.")
    if rate != RATE:
        common = math.gcd(int(rate), RATE)
        samples = resample_poly(samples, RATE // common, int(rate) // common)
    samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    return np.asarray(np.abs(np.fft.rfft(windows * get_window("hann", WINDOW), FFT)) ** 2).T


def log_mel(samples: Array, rate: int, *, bands: int = BANDS) -> Array:
    """The log-mel spectrogram: the power in each mel band and window, in decibels below the loudest cell.

    Returns:
        ``10 log10(power / largest power)``, ``(bands, t)`` from low to high, at most 0 dB. What lies more than 120 dB
        below is -120. Louder or softer recordings of one sound have one spectrogram.

    Raises:
        ValueError: As in :func:`power_spectrogram` and :func:`mel_filters`, or all samples are 0.
    """
    power = mel_filters(bands) @ power_spectrogram(samples, rate)
    if power.max() <= 0:
        raise ValueError("samples must hold a sound, got silence: no power in any window.")
    return np.asarray(10 * np.log10(np.maximum(power / power.max(), 1e-12)))


def sound_picture(samples: Array, rate: int, *, bands: int = BANDS, frames: int = FRAMES) -> Array:
    """A sound as an image: its log-mel spectrogram, cut to the loud part and stretched to one width.

    The loud part goes from the first to the last window whose power, over all bands, is less than 30 dB below that of
    the loudest window. It is read at ``frames`` moments, evenly from its first window to its last, linearly between
    two windows: how long a word lasts is not seen.

    Returns:
        ``(bands, frames, 1)`` ``uint8``, row 0 the highest band: 255 is the loudest cell, 0 is 50 dB or more below it.

    Raises:
        ValueError: As in :func:`log_mel`, or ``frames`` is not in 2..6000.
    """
    check_count("frames", frames, least=2)
    if frames > MAX_FRAMES:
        raise ValueError(f"frames must be in 2..{MAX_FRAMES}, got {frames}.")
    level = log_mel(samples, rate, bands=bands)
    power = 10 * np.log10((10 ** (level / 10)).sum(axis=0))
    loud = np.flatnonzero(power > power.max() - LOUD_DB)
    at = np.linspace(loud[0], loud[-1], frames)
    before = np.minimum(at.astype(int), level.shape[1] - 1)
    after = np.minimum(before + 1, level.shape[1] - 1)
    stretched = level[:, before] + (at - before) * (level[:, after] - level[:, before])
    grey = np.rint(255 * np.clip(1 + (stretched - stretched.max()) / RANGE_DB, 0, 1))
    return np.asarray(grey[::-1, :, None].astype(np.uint8))


def fetch_speech(
    source: str | Path | None = None,
    *,
    report: Callable[[str], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Fetch the recordings if they are missing or altered; see :func:`tlkit.files.fetch`, also for errors."""
    return files.fetch(SPEECH, source, report=report, progress=progress)


def speech_folder() -> Path:
    """The folder of the recordings, found whole: ``recordings/DIGIT_SPEAKER_NUMBER.wav``, numbers from 0 to 49.

    Raises:
        tlkit.files.NotFetchedError: They were not fetched, or one of them was altered.
    """
    return files.fetched_file(SPEECH, _NAME)


def load_speech(test_speakers: Sequence[str] = ("theo", "yweweler")) -> Domain:
    """The recordings of spoken digits as pictures, split by speaker; no network is used.

    Args:
        test_speakers: Whose recordings are the test part: one to five of ``george``, ``jackson``, ``lucas``,
            ``nicolas``, ``theo``, ``yweweler``. All recordings of the others are the training part.

    Returns:
        A domain of the ten words from ``zero`` to ``nine``, 500 recordings per speaker, in the order of the file names.
        ``groups`` tell the speaker, an index into ``tlkit.speech.SPEAKERS``.

    Raises:
        ValueError: A speaker is unknown, or none or all are the test's.
        tlkit.files.NotFetchedError: The recordings were not fetched: ``tlkit fetch speech``.
        SoundError: A file is no sound.
    """
    if isinstance(test_speakers, str):
        raise ValueError(f"test_speakers must be a sequence of names, got {test_speakers!r}: ({test_speakers!r},).")
    check_list("test_speakers", test_speakers, "names")
    for name in test_speakers:
        if name not in SPEAKERS:
            raise ValueError(f"speaker must be {nearest_name(name, SPEAKERS)}")
    if not 0 < len(set(test_speakers)) < len(SPEAKERS):
        raise ValueError(f"test_speakers must be one to five of {', '.join(SPEAKERS)}, got {tuple(test_speakers)}.")
    recordings = sorted((speech_folder() / "recordings").glob("*.wav"))
    x, y, speakers = [], [], []
    for path in recordings:
        digit, _, rest = path.stem.partition("_")
        speaker, _, _ = rest.rpartition("_")
        if speaker not in SPEAKERS or digit not in map(str, range(10)):
            raise SoundError(path, f"no DIGIT_SPEAKER_NUMBER: {printable(path.stem)}")
        x.append(sound_picture(*read_sound(path)))
        y.append(int(digit))
        speakers.append(SPEAKERS.index(speaker))
    everything = Split(np.stack(x), np.array(y), np.array(speakers))
    tested = np.isin(speakers, [SPEAKERS.index(name) for name in test_speakers])
    return Domain("speech", everything[~tested], everything[tested], WORDS)
