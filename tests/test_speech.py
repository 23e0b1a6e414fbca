"""Sounds as pictures: formulas held against librosa and against other ways to write them, files, real speakers."""

import contextlib
import json
import struct
import sys
import wave
from pathlib import Path

import make_tones
import make_voices
import numpy as np
import pytest
import tone_tables
import voice_views
from helpers import KERAS_SAVES_WITH_A_WARNING, ROOT, raises_one_line
from scipy.io import wavfile

import tlkit
from tlkit import cli, speech
from tlkit.assets import asset_path
from tlkit.domains import Array, Split
from tlkit.files import Collection, NotFetchedError, PinnedFolder
from tlkit.speech import (
    SPEAKERS,
    SPEECH,
    SoundError,
    load_speech,
    log_mel,
    mel_filters,
    mel_to_hertz,
    power_spectrogram,
    read_sound,
    sound_picture,
    speech_folder,
)

(NAME,) = SPEECH.files
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def chirp() -> Array:
    """The sound of tools/speech_reference.py."""
    t = np.arange(2_400) / 8_000
    rising = t / t[-1] * np.sin(2 * np.pi * (100 * t + (3_900 - 100) / (2 * t[-1]) * t**2))
    return np.asarray(rising + 1e-3 * np.random.default_rng(0).standard_normal(len(t)))


def tone(hertz: float, seconds: float, rate: int = 8_000) -> Array:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path: Path, samples: Array, rate: int = 8_000, *, width: int = 2, channels: int = 1) -> Path:
    """Samples in -1..1, ``(n,)`` or ``(n, channels)``, as a WAV file."""
    whole = np.rint(np.asarray(samples) * (2 ** (8 * width - 1) - 1)).astype("<i4")
    octets = whole.reshape(-1, 1).view(np.uint8)[:, :width]
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes((octets ^ 128 if width == 1 else octets).tobytes())
    return path


# From sound to picture


def test_filters_and_spectrogram_are_those_of_librosa() -> None:
    with np.load(ROOT / "tests" / "data" / "speech_reference.npz") as reference:
        np.testing.assert_allclose(mel_filters(), reference["filters"], atol=1e-7)
        np.testing.assert_allclose(log_mel(chirp(), 8_000), reference["level"], atol=1e-4)


def test_the_mel_scale() -> None:
    assert mel_to_hertz(0.0) == 0
    assert mel_to_hertz(1000.0) == pytest.approx(1000, abs=0.1)
    hertz = np.array([50.0, 440.0, 3999.0])
    np.testing.assert_allclose(mel_to_hertz(1127.01048 * np.log1p(hertz / 700)), hertz, rtol=1e-4)  # the other form


@pytest.mark.parametrize("bands", [1, 7, 40, 64])
def test_filters_add_up_to_one_between_the_first_centre_and_the_last(bands: int) -> None:
    filters = mel_filters(bands)
    assert filters.shape == (bands, 257)
    assert (filters >= 0).all()
    assert (filters.max(axis=1) > 0).all()  # none is so narrow that it falls between two frequencies
    centres = mel_to_hertz(np.linspace(0, 2595 * np.log10(1 + 4000 / 700), bands + 2))[1:-1]
    inside = (np.linspace(0, 4000, 257) >= centres[0]) & (np.linspace(0, 4000, 257) <= centres[-1])
    np.testing.assert_allclose(filters.sum(axis=0)[inside], 1)


def test_a_column_holds_the_energy_of_its_window() -> None:
    """Parseval's theorem, for the Hann window written out."""
    samples = np.random.default_rng(1).standard_normal(1_000)
    power = power_spectrogram(samples, 8_000)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(200) / 200)
    energy = [((hann * samples[start : start + 200]) ** 2).sum() for start in range(0, 801, 80)]
    assert power.shape == (257, len(energy))
    np.testing.assert_allclose(power[0] + 2 * power[1:-1].sum(axis=0) + power[-1], 512 * np.array(energy))


@pytest.mark.parametrize("hertz", [125, 1000, 3000])
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
def test_a_tone_is_loudest_at_its_frequency_whatever_the_rate(hertz: int, rate: int) -> None:
    power = power_spectrogram(tone(hertz, 0.5, rate), rate)
    middle = power[:, power.shape[1] // 2]
    assert 15.625 * middle.argmax() == pytest.approx(hertz, abs=8)


@pytest.mark.parametrize("gain", [2.0**-10, 0.3, 100.0])
def test_louder_is_the_same(gain: float) -> None:
    np.testing.assert_allclose(log_mel(gain * chirp(), 8_000), log_mel(chirp(), 8_000), atol=1e-6)
    np.testing.assert_array_equal(sound_picture(gain * chirp(), 8_000), sound_picture(chirp(), 8_000))


@pytest.mark.parametrize("seconds", [0.1, 0.33, 2.0])
def test_a_steady_tone_has_one_picture_at_any_length(seconds: float) -> None:
    """1000 Hz repeat after 8 samples, so every window, one each 80, holds the same."""
    picture = sound_picture(tone(1000, seconds), 8_000)
    assert picture.shape == (40, 40, 1)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.repeat(picture[:, :1], 40, axis=1))
    np.testing.assert_array_equal(picture, sound_picture(tone(1000, 0.5), 8_000))


def test_high_is_up_and_left_is_early() -> None:
    """Four tones, each higher than the one before."""
    sound = np.concatenate([tone(hertz, 0.2) for hertz in (300, 800, 1500, 3000)])
    rows = sound_picture(sound, 8_000)[..., 0].argmax(axis=0)[[3, 15, 25, 36]]
    mel = 2595 * np.log10(1 + np.array([300, 800, 1500, 3000]) / 700)
    top = 2595 * np.log10(1 + 4000 / 700)
    np.testing.assert_allclose(rows, 40 - 41 * mel / top, atol=1)  # 40 centres, evenly in mel


def test_a_picture_written_otherwise() -> None:
    level = log_mel(chirp(), 8_000)
    power = np.array([sum(10 ** (value / 10) for value in column) for column in level.T])
    loud = [i for i, each in enumerate(power) if each > power.max() / 1000]  # 30 dB
    at = [loud[0] + (loud[-1] - loud[0]) * i / 24 for i in range(25)]
    rows = [np.interp(at, range(level.shape[1]), row) for row in level]
    wanted = np.clip((np.array(rows) - np.max(rows) + 50) / 50, 0, 1) * 255
    picture = sound_picture(chirp(), 8_000, frames=25)
    assert np.abs(picture[::-1, :, 0] - wanted).max() <= 0.5 + 1e-6


def test_silence_around_a_sound_is_cut_off() -> None:
    sound = tone(1000, 0.5)
    quiet = 1e-3 * np.random.default_rng(0).standard_normal(4_000)  # 57 dB below
    picture = sound_picture(np.concatenate([quiet, sound, quiet]), 8_000)[..., 0].astype(int)
    steady = sound_picture(sound, 8_000)[..., 0].astype(int)
    assert np.abs(picture[:, 3:-3] - steady[:, 3:-3]).max() <= 3


def test_a_sound_shorter_than_a_window_has_a_picture() -> None:
    picture = sound_picture(tone(1000, 0.01), 8_000)
    assert picture.max() == 255
    np.testing.assert_array_equal(picture, np.repeat(picture[:, :1], 40, axis=1))  # one window, forty times


@pytest.mark.parametrize(
    ("samples", "rate", "fragments"),
    [
        (np.zeros(500), 8_000, ("silence",)),
        (np.zeros(0), 8_000, ("one or more", "(0,)")),
        (np.zeros((5, 2)), 8_000, ("(n,)", "(5, 2)")),
        (np.array([0.0, np.nan]), 8_000, ("finite",)),
        (np.array(["a"]), 8_000, ("finite numbers", "<U1")),
        (np.linspace(-1e300, 1e300, 500), 8_000, ("samples must be in -1e+150..1e+150", "1e+300")),
        (np.ones(500), 0, ("rate must be above 0",)),
        (np.ones(500), float("nan"), ("rate must be above 0",)),
        (np.ones(500), 8_000.5, ("whole number", "8000.5")),
        (np.ones(500), 10**9, ("192000 at most",)),
        (np.ones(500), 1, ("at most 60 s", "500 s at a rate of 1")),
    ],
)
def test_what_is_no_sound_is_one_line(samples: Array, rate: float, fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        sound_picture(samples, rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("sizes", [{"bands": 0}, {"bands": 65}, {"frames": 1}, {"frames": 10**6}])
def test_a_bad_size_is_one_line(sizes: dict[str, int]) -> None:
    with raises_one_line(ValueError, *sizes):
        sound_picture(chirp(), 8_000, **sizes)


# Files


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_files_are_read_as_scipy_reads_them(width: int, channels: int, tmp_path: Path) -> None:
    samples = np.random.default_rng(2).uniform(-1, 1, (300, channels))
    path = write(tmp_path / "a.wav", samples, 11_025, width=width, channels=channels)
    found, rate = read_sound(path)
    theirs_rate, theirs = wavfile.read(path)
    wide = theirs.reshape(300, channels).astype(float)
    wide = (wide - 128) / 128 if width == 1 else wide / 2.0 ** (8 * width - 1)
    assert (rate, found.dtype) == (theirs_rate, np.float32)
    np.testing.assert_allclose(found, wide.mean(axis=1), atol=1e-7)


def test_24_bits(tmp_path: Path) -> None:
    samples = np.linspace(-1, 1, 500)
    np.testing.assert_allclose(read_sound(write(tmp_path / "a.wav", samples, width=3))[0], samples, atol=2**-22)


def test_a_header_that_promises_too_much_is_read_to_the_end_of_the_file(tmp_path: Path) -> None:
    """espeak-ng --stdout does not know the length when it writes it."""
    content = bytearray(write(tmp_path / "a.wav", chirp()).read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 0x7FFFF000)
    (tmp_path / "b.wav").write_bytes(content)
    np.testing.assert_array_equal(read_sound(tmp_path / "b.wav")[0], read_sound(tmp_path / "a.wav")[0])


DATA = b"\0\1" * 100


def header(*, kind: int = 1, channels: int = 1, rate: int = 8_000, bits: int = 16, data: bytes = DATA) -> bytes:
    octets = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * octets % 2**32, octets, bits)
    size, whole = struct.pack("<I", len(data)), struct.pack("<I", 36 + len(data))
    return b"".join([b"RIFF", whole, b"WAVEfmt ", struct.pack("<I", 16), form, b"data", size, data])


BROKEN = {
    "empty": b"",
    "text": b"no sound at all",
    "cut": header()[:30],
    "no data": header(data=b""),
    "half a sample": header(data=b"\0"),
    "floats": header(kind=3, bits=32),
    "64 bits": header(bits=64),
    "no rate": header(rate=0),
    "too fast": header(rate=200_000),
    "nine channels": header(channels=9, data=b"\0" * 180),
    "no channel": header(channels=0),
    "61 s": header(rate=100, data=b"\0\1" * 6_100),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_one_line(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(BROKEN[kind])
    with raises_one_line(SoundError, "WAV", "a.wav"):
        read_sound(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "empty file"), (header()[:30], "it ends"), (header(data=b""), "no")]
)
def test_an_empty_file_is_called_so(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with raises_one_line(SoundError, f"a.wav' ({why}"):
        read_sound(tmp_path / "a.wav")


def test_a_sound_as_large_as_is_allowed_has_the_picture_of_a_soft_one() -> None:
    samples = tone(1000, 0.3)
    samples = samples / np.abs(samples).max()
    large, soft = (sound_picture(size * samples, 8_000, frames=speech.MAX_FRAMES) for size in (speech.MAX_SAMPLE, 1.0))
    np.testing.assert_allclose(large.astype(int), soft.astype(int), atol=1)  # a grey may be rounded the other way


@pytest.mark.parametrize("name", ["nowhere.wav", "."])
def test_no_file_is_one_line(name: str, tmp_path: Path) -> None:
    with raises_one_line(SoundError, "WAV"):
        read_sound(tmp_path / name)


def test_changed_bytes_give_samples_or_one_line(tmp_path: Path) -> None:
    rng, whole = np.random.default_rng(0), header()
    for _ in range(300):
        content = bytearray(whole[: rng.integers(20, len(whole) + 1)])
        for place in rng.integers(0, min(50, len(content)), rng.integers(1, 4)):
            content[place] = rng.integers(256)
        (tmp_path / "a.wav").write_bytes(content)
        with contextlib.suppress(SoundError):
            samples, rate = read_sound(tmp_path / "a.wav")
            assert np.abs(samples).max() <= 1
            assert 0 < rate <= 192_000


# Recordings by speaker


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two short tones per speaker and digit in the place of the recordings; the pitch tells both."""
    folder = tmp_path / "data" / "speech" / NAME
    for person, speaker in enumerate(SPEAKERS):
        for digit in range(10):
            for number in range(2):
                sound = tone(300 + 300 * digit + 30 * person, 0.1 + 0.05 * number)
                write(folder / "recordings" / f"{digit}_{speaker}_{number}.wav", sound)
    monkeypatch.setattr(speech, "SPEECH", Collection("speech", {NAME: PinnedFolder((), 0, 0, "", "")}))
    monkeypatch.setattr("tlkit.files.fetching.difference", lambda path, pinned: "")
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path / "data"))
    return folder


@pytest.mark.parametrize("tested", [("theo", "yweweler"), ("george",), SPEAKERS[1:]])
def test_no_speaker_is_on_both_sides(small: Path, tested: tuple[str, ...]) -> None:
    domain = load_speech(tested)
    assert tlkit.load_speech is load_speech
    assert (domain.name, domain.classes) == ("speech", WORDS)
    for split, names in ((domain.test, set(tested)), (domain.train, set(SPEAKERS) - set(tested))):
        assert split.groups is not None
        assert {SPEAKERS[i] for i in split.groups} == names
        files = [path for path in sorted((small / "recordings").iterdir()) if path.stem.split("_")[1] in names]
        assert split.y.tolist() == [int(path.name[0]) for path in files]
        np.testing.assert_array_equal(split.x, [sound_picture(*read_sound(path)) for path in files])


@pytest.mark.parametrize(
    ("tested", "fragments"),
    [
        ((), ("one to five",)),
        (SPEAKERS, ("one to five",)),
        (("Theo",), ("'theo'", "got 'Theo'")),
        ("theo", ("('theo',)",)),
    ],
)
def test_bad_speakers_are_one_line(small: Path, tested: tuple[str, ...], fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        load_speech(tested)


@pytest.mark.parametrize("name", ["0_stranger_0.wav", "10_theo_0.wav", "theo.wav"])
def test_a_file_of_another_name_is_one_line(small: Path, name: str) -> None:
    write(small / "recordings" / name, tone(500, 0.1))
    with raises_one_line(SoundError, name, "DIGIT_SPEAKER_NUMBER"):
        load_speech()


@pytest.mark.parametrize("use", [load_speech, speech_folder])
def test_what_was_not_fetched_is_one_line(use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path))
    with raises_one_line(NotFetchedError, NAME, "`tlkit fetch speech`", "--from PATH"):
        use()


def test_a_bundled_domain_it_is_not() -> None:
    with raises_one_line(ValueError, "got 'speech'", "tlkit.load_speech()"):
        tlkit.load_domain("speech")


def test_the_command_takes_the_folder_and_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path / "data"))
    write(tmp_path / "copy" / "recordings" / "0_theo_0.wav", tone(500, 0.1))
    monkeypatch.setattr(sys, "argv", ["tlkit", "fetch", "speech", "--from", str(tmp_path / "copy")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 2
    assert "1 files, not 3,000" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
def test_a_model_is_checked_and_exported_as_one_for_images_is(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = tlkit.load_backbone("resnet_voices")
    whole = tlkit.join(backbone.model, tlkit.load_source_head(backbone))
    whole.save(tmp_path / "model.keras")
    monkeypatch.setattr(sys, "argv", ["tlkit", "check", str(tmp_path / "model.keras"), "--data", "speech", "--json"])
    with contextlib.suppress(SystemExit):
        cli.main()
    assert "class-count" not in json.loads(capsys.readouterr().out)["unchecked"]
    tlkit.export_model(whole, tmp_path / "words.keras", classes=WORDS)
    exported = tlkit.load_exported(tmp_path / "words.keras")
    x = load_speech().test.x[:20]
    logits = tlkit.predict_probabilities(whole, Split(x, np.zeros(20, int)))
    np.testing.assert_allclose(np.asarray(exported.model(x)), logits, atol=1e-5)


# The recordings themselves


@pytest.mark.slow
@pytest.mark.bank  # 3,000 recordings that were fetched; other tests read some of them
def test_the_recordings(fetched_speech: None) -> None:
    domain = load_speech()
    assert (len(domain.train), len(domain.test)) == (2_000, 1_000)
    for split in (domain.train, domain.test):
        assert split.groups is not None
        counts = np.array([np.bincount(split.y[split.groups == group], minlength=10) for group in set(split.groups)])
        assert (counts == 50).all()
        assert (split.x.max(axis=(1, 2, 3)) == 255).all()
        assert split.x.std(axis=(1, 2, 3)).min() > 20  # none of them is empty
    assert [path.name for path in speech_folder().iterdir()] == ["recordings"]
    assert domain.classes == WORDS


# Synthetic voices, and the network that knows them


def test_voices_of_one_family_are_on_one_side() -> None:
    domain = tlkit.load_domain("voices")
    assert domain.classes == WORDS
    assert domain.train.x.shape[1:] == (40, 40, 1)
    assert domain.train.groups is not None
    assert domain.test.groups is not None
    assert not set(domain.train.groups) & set(domain.test.groups)
    for split in (domain.train, domain.test):
        assert len(set(np.bincount(split.y))) == 1  # every voice says every word
        assert set(np.unique(split.x)) <= set(range(0, 256, 17))
        assert (split.x.max(axis=(1, 2, 3)) == 255).all()
        assert split.x.std(axis=(1, 2, 3)).min() > 20
    assert len(domain.train) + len(domain.test) == 10 * 2 * 101


def test_families_of_voices() -> None:
    names = ("klatt", "klatt6", "Mike2", "anikaRobot", "AnxiousAndy", "whisperf", "f5")
    assert [make_voices.family(name) for name in names] == ["klatt", "klatt", "mike", "anika", "andy", "whisper", "f"]
    assert make_voices.takes(["a", "b"]) == make_voices.takes(["a", "b"])
    assert [take.voice for take in make_voices.takes(["a", "b"])] == ["a", "b"] * make_voices.TAKES


def test_a_view_without_strength_is_the_picture() -> None:
    images = tlkit.load_domain("voices").test.x[::20]
    still = {"ends": 0.0, "bend": 0.0, "zoom": 0.0, "shift": 0.0, "tilt": 0.0, "smear": 0.0, "echo": 0.0}
    recipe = voice_views.VoiceRecipe(**still, noise=-50.0, colour=0.0, grain=0.0)
    view = voice_views.augment(images, recipe, np.random.default_rng(0))
    assert (view.shape, view.dtype) == (images.shape, np.float32)
    bright = images > 100  # 30 dB above the softest background, which is always there
    assert np.abs(view - images)[bright].max() < 2


def test_views_differ_and_follow_from_the_seed() -> None:
    images = tlkit.load_domain("voices").test.x[:20]
    one, again, other = (
        voice_views.augment(images, voice_views.VoiceRecipe(), np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).mean() > 5
    assert one.min() >= 0
    np.testing.assert_allclose(one.max(axis=(1, 2, 3)), 255, rtol=1e-5)


def test_the_network_knows_voices_that_it_never_heard() -> None:
    backbone = tlkit.load_backbone("resnet_voices")
    assert (backbone.n_stages, backbone.model.input_shape) == (5, (None, 40, 40, 1))
    assert asset_path("resnet_voices.weights.h5").stat().st_size < 0.85e6
    domain = tlkit.load_domain("voices")
    whole = tlkit.join(backbone.model, tlkit.load_source_head(backbone, domain.classes))
    assert tlkit.accuracy(whole, domain.test) > 0.9


@pytest.mark.slow
def test_a_pair_of_sounds_goes_through_an_experiment() -> None:
    """Freezing, cache, training, scores and the audit of weights: what works on images works on these."""
    voices = tlkit.load_domain("voices")
    target = tlkit.Domain("others", voices.test, voices.train[:200], voices.classes)
    experiment = tlkit.Experiment(tlkit.DomainPair(voices, target), tlkit.load_backbone("resnet_voices"))
    run = experiment.run(tlkit.Settings(frozen=4, per_class=2, epochs=1, head_first=True))
    assert run.target > 0.5  # of 200 pictures; chance is 0.1
    assert set(run.audit["verdict"]) == {"learns, as meant", "still, as meant"}


# Tones


def test_no_syllable_is_on_both_sides() -> None:
    domain = tlkit.load_domain("tones")
    assert domain.classes == make_tones.CLASSES
    assert (len(domain.train), len(domain.test)) == (4 * 62, 4 * 32)
    assert domain.train.groups is not None
    assert domain.test.groups is not None
    assert not set(domain.train.groups) & set(domain.test.groups)
    for split in (domain.train, domain.test):
        assert set(np.bincount(split.y)) == {len(split) // 4}
        assert set(np.unique(split.x)) <= set(range(0, 256, 17))


def test_labels_are_the_tones_that_are_seen() -> None:
    """By the pitch: where the harmonics of a picture are, in its last part against an earlier one."""
    domain = tlkit.load_domain("tones")
    rises = []
    for picture in domain.train.x[..., 0].astype(float):
        low = picture[-15:-3]  # the first harmonic, up to about 600 Hz
        early, late = low[:, 18:24].mean(axis=1), low[:, 34:39].mean(axis=1)
        shifts = [np.corrcoef(early[3:-3], np.roll(late, k)[3:-3])[0, 1] for k in (-2, -1, 0, 1, 2)]
        rises.append(int(np.argmax(shifts)) - 2)  # bands by which the late part has to go down
    mean = [np.mean([rise for rise, y in zip(rises, domain.train.y, strict=True) if y == tone]) for tone in range(4)]
    assert mean[3] < mean[0] - 0.5 < mean[1] - 0.5


def test_syllables_are_those_said_in_all_four_tones(tmp_path: Path) -> None:
    for name in ("ㄇㄚ", "ㄇㄚ2", "ㄇㄚ3", "ㄇㄚ4", "ㄇㄜ1", "ㄅㄚ", "ㄅㄚ2", "ㄅㄚ3", "ㄅㄚ41"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "5.ogg").touch()
    (tmp_path / "ㄅㄚ4").mkdir()
    (tmp_path / "ㄅㄚ4" / "3.ogg").touch()  # the other speaker
    assert make_tones.syllables(tmp_path) == ["ㄇㄚ"]


def test_zhuyin_in_latin_letters() -> None:
    names = ("ㄇㄚ", "ㄓ", "ㄒㄩㄝ", "ㄧㄡ", "ㄨㄥ", "ㄏㄨㄥ", "ㄩ", "ㄦ", "ㄌㄩ", "ㄐㄩㄢ", "ㄑㄧㄥ")
    wanted = ["ma", "zhi", "xue", "you", "weng", "hong", "yu", "er", "lv", "juan", "qing"]
    assert [tone_tables.pinyin(name) for name in names] == wanted
