"""Text: tokens, domains and encoder, each against another implementation or an equality that must hold."""

import collections
import hashlib
import html
import inspect
import json
import shutil
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import text_reference
from helpers import KERAS_SAVES_WITH_A_WARNING, largest_difference, raises_one_line, same_weights
from marks import in_bank
from test_backbones import global_random_states

from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import Domain, Split
from tlkit.features import cache_features, multiply_adds, padded_alike, split_at
from tlkit.freezing import count_weights, freeze_to
from tlkit.heads import build_head, join
from tlkit.probe import linear_probe
from tlkit.text import (
    MAX_LENGTH,
    TEXT_DOMAINS,
    attention_maps,
    load_text_backbone,
    load_text_domain,
    load_text_pair,
    small_bert,
    text_split,
    tokenize,
    tokens,
    tokens_of,
)
from tlkit.text.encoder import AttentionWeights
from tlkit.text.fetching import text_file
from tlkit.training import fit

fetched = pytest.mark.usefixtures("fetched_text")
REFERENCE = Path(__file__).parent / "data" / "text_reference.npz"
SENTENCE = "The soup was not bad at all, but the train came late again."
CLS, SEP, UNK = 101, 102, 100


# Toys


def tiny_bert(seed: int = 0, *, blocks: int = 6, dropout: float = 0.0) -> Backbone:
    """All stages of the real encoder at width 8, every weight random: also those that start as 0 or 1."""
    model = small_bert(blocks=blocks, width=8, heads=2, inner=12, vocabulary=40, dropout=dropout, seed=seed)
    rng = np.random.default_rng(seed)
    model.set_weights(
        [0.4 * rng.standard_normal(weight.shape) + (0.5 if "gamma" in weight.path else 0) for weight in model.weights]
    )
    return Backbone("tiny", model, ("embeddings", *(f"block{i}" for i in range(1, blocks)), "sentence"))


def random_texts(n: int = 20, *, length: int = 12, vocabulary: int = 40, classes: int = 3, seed: int = 0) -> Split:
    """Ids without words, 2 to ``length - 1`` a text: so the last position is padding everywhere."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, length, size=n)
    ids = rng.integers(1, vocabulary, size=(n, length)) * (np.arange(length) < lengths[:, None])
    return Split(ids.astype(np.int32), rng.permutation(np.arange(n) % classes))


def numpy_encoder(
    model: keras.Model, ids: np.ndarray, *, blocks: int, heads: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """One text without padding through the encoder, written out: the vector, and the attention of each block.

    In double precision, head by head and without a mask, which a text alone does not need.
    """
    from scipy.special import erf

    def weights(name: str) -> list[np.ndarray]:
        return [np.asarray(weight, np.float64) for weight in model.get_layer(name).get_weights()]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        gamma, beta = weights(name)
        centred = x - x.mean(axis=1, keepdims=True)
        return gamma * centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12) + beta

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        kernel, bias = weights(name)
        return x @ kernel + bias

    (words,), (positions,) = weights("words"), weights("add_positions")
    x = norm(words[ids] + positions[: len(ids)], "embeddings_norm")
    width = x.shape[1] // heads
    maps = []
    for number in range(1, blocks + 1):
        at = f"block{number}"
        q, k, v = (dense(x, f"{at}_{part}") for part in ("query", "key", "value"))
        mixed, seen = np.zeros_like(x), np.zeros((heads, len(ids), len(ids)))
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            for i in range(len(ids)):
                scores = np.array([q[i, own] @ k[j, own] / width**0.5 for j in range(len(ids))])
                share = np.exp(scores - scores.max())
                seen[head, i] = share / share.sum()
                mixed[i, own] = sum(seen[head, i, j] * v[j, own] for j in range(len(ids)))
        x = norm(x + dense(mixed, f"{at}_out"), f"{at}_norm1")
        inner = dense(x, f"{at}_mlp1")
        x = norm(x + dense(inner * (1 + erf(inner / 2**0.5)) / 2, f"{at}_mlp2"), f"{at}_norm2")
        maps.append(seen)
    return x.mean(axis=0), maps


def unpadded(row: np.ndarray) -> np.ndarray:
    return row[row != 0]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def minilm(fetched_text: None) -> Backbone:
    """The pretrained encoder, for tests that do not train it."""
    return load_text_backbone("minilm")


@pytest.fixture(scope="module")
def still_tiny() -> Backbone:
    return tiny_bert(seed=3)


# Against sentence-transformers: tools/text_reference.py made the file


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(REFERENCE, allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def reference_texts(reference: dict[str, np.ndarray]) -> list[str]:
    texts = text_reference.made_texts()
    assert text_reference.digest(texts) == reference["texts_sha256"]
    return texts


def test_the_reference_is_of_the_pinned_files_and_holds_what_can_go_wrong(
    reference: dict[str, np.ndarray], reference_texts: list[str]
) -> None:
    from tlkit.text.fetching import FILES

    said = set(reference["provenance"].tolist())
    assert {f"{name}: {FILES[name].sha256}" for name in ("model.safetensors", "tokenizer.json")} <= said
    assert len(reference_texts) == 400
    whole = "".join(reference_texts)
    for piece in ("", " ", "é", "e\u0301", "汤", "م", "ש", "😀", "\u200d", "\x00", "#", "https://", "\u3000"):
        assert piece in whole
    assert "" in reference_texts
    assert any(text and not text.strip() for text in reference_texts)
    assert sum(len(text) == 10_000 for text in reference_texts) >= 10


@fetched
def test_ids_equal_those_of_the_reference(reference: dict[str, np.ndarray], reference_texts: list[str]) -> None:
    for name, length in (("ids", int(reference["max_length"])), ("ids_short", MAX_LENGTH)):
        np.testing.assert_array_equal(tokenize(reference_texts, max_length=length), reference[name])


@fetched
@pytest.mark.parametrize("every", in_bank([1, 4], but=[4]))
def test_embeddings_equal_those_of_the_reference(
    minilm: Backbone, reference: dict[str, np.ndarray], reference_texts: list[str], every: int
) -> None:
    """Every text, or every fourth by length: the encoder sees ids, and those of all texts are compared above."""
    by_length = np.argsort((reference["ids"] != 0).sum(axis=1), kind="stable")[every - 1 :: every]
    of_cut = np.arange(len(reference["cut"]))[::every]
    ids = padded_alike(
        [
            tokenize([reference_texts[i] for i in by_length], max_length=int(reference["max_length"])),
            tokenize([reference_texts[i] for i in reference["cut"][of_cut]], max_length=MAX_LENGTH),
        ]
    )
    split = Split(np.concatenate(ids), np.zeros(len(by_length) + len(of_cut), int))
    both = cache_features(minilm.model, split, cache_dir="memory").x
    for ours, rows, suffix in (
        (both[: len(by_length)], by_length, ""),
        (both[len(by_length) :], of_cut, "_short"),
    ):
        theirs, norms = (reference[f"{name}{suffix}"][rows] for name in ("embeddings", "norms"))
        assert theirs.dtype == np.float32
        assert np.abs(unit(ours) - theirs).max() < 1e-5
        assert np.abs(ours - theirs * norms[:, None]).max() < 1e-5


# Tokens


@fetched
@pytest.mark.parametrize("name", TEXT_DOMAINS)
def test_ids_of_a_domain_equal_those_of_the_tokenizers_package(name: str) -> None:
    from tokenizers import Tokenizer

    plain = Tokenizer.from_file(str(text_file("tokenizer.json")))
    plain.enable_truncation(MAX_LENGTH)
    plain.enable_padding(length=MAX_LENGTH)
    domain = load_text_domain(name)
    for split in (domain.train, domain.test):
        assert split.texts is not None
        np.testing.assert_array_equal([found.ids for found in plain.encode_batch(list(split.texts))], split.x)


@fetched
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [CLS, SEP]),
        (" \t\n\u00a0\u3000", [CLS, SEP]),
        ("\x00\x07\u200b", [CLS, SEP]),
        ("\U0010ffff", [CLS, UNK, SEP]),  # no character is there
        ("😡👎", [CLS, UNK, SEP]),
        ("𠮷", [CLS, UNK, SEP]),
        ("a" * 10_000, [CLS, UNK, SEP]),  # a word of more than 100 letters is not looked up
    ],
    ids=["empty", "white space", "control characters", "no character", "emoji", "rare", "one long word"],
)
def test_ids_of_what_has_no_words(text: str, ids: list[int]) -> None:
    np.testing.assert_array_equal(unpadded(tokenize([text])[0]), ids)


@fetched
def test_one_text_at_a_time_or_all_at_once_and_any_iterable(reference_texts: list[str]) -> None:
    ids = tokenize(reference_texts)
    assert (ids.shape, ids.dtype) == ((400, MAX_LENGTH), np.int32)
    np.testing.assert_array_equal(np.concatenate([tokenize([text]) for text in reference_texts]), ids)
    np.testing.assert_array_equal(tokenize(text for text in reference_texts), ids)
    np.testing.assert_array_equal(tokenize(np.array(reference_texts[:5], object)), ids[:5])


@fetched
@pytest.mark.parametrize("text", ["word " * 2_000, "汤" * 10_000, "😀 " * 5_000, "مرحبا " * 1_700, "a?" * 5_000])
@pytest.mark.parametrize("max_length", [3, 4, MAX_LENGTH, 512, np.int64(100)])
def test_a_long_text_is_cut_and_ends_as_a_text_does(text: str, max_length: int) -> None:
    whole, cut = tokenize([text], max_length=512)[0], tokenize([text], max_length=max_length)[0]
    assert cut.shape == (max_length,)
    assert cut[0] == CLS
    assert cut[-1] == SEP
    np.testing.assert_array_equal(cut[:-1], whole[: max_length - 1])


@fetched
def test_a_text_that_just_fits_is_not_cut() -> None:
    pieces = len(unpadded(tokenize([SENTENCE])[0]))
    np.testing.assert_array_equal(tokenize([SENTENCE], max_length=pieces)[0], unpadded(tokenize([SENTENCE])[0]))
    shorter = tokenize([SENTENCE], max_length=pieces - 1)[0]
    np.testing.assert_array_equal(shorter[:-1], tokenize([SENTENCE], max_length=pieces)[0][: pieces - 2])


@fetched
def test_half_a_character_reads_as_a_question_mark() -> None:
    broken = json.loads('"good \\ud83d food \\udc4d"')  # an emoji that was cut in two
    np.testing.assert_array_equal(tokenize([broken]), tokenize(["good ? food ?"]))


@fetched
def test_padding_written_in_a_text_is_read_as_nothing(minilm: Backbone) -> None:
    """The tokenizers package gives [PAD] in a text the id of padding, 0; the encoder then leaves it out."""
    ids = tokenize(["[PAD]", "good [PAD]", "good", ""], max_length=8)
    np.testing.assert_array_equal(ids[0, :3], [CLS, 0, SEP])
    assert tokens_of(ids[1]) == ["[CLS]", "good", "[SEP]"]
    assert np.isfinite(np.asarray(minilm.model(ids, training=False))).all()


@fetched
def test_threads_do_not_disturb_each_other() -> None:
    texts = [f"{SENTENCE} {i}" * 9 for i in range(50)]
    expected = {length: tokenize(texts, max_length=length) for length in (8, 32, 128)}
    wrong: list[object] = []

    def work(length: int) -> None:
        try:
            for _ in range(10):
                if not np.array_equal(tokenize(texts, max_length=length), expected[length]):
                    wrong.append(length)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(length,)) for length in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("texts", "kind", "said"),
    [
        ("one string", TypeError, "got one str"),
        (None, TypeError, "got one NoneType"),
        (7, TypeError, "got one int"),
        ([], ValueError, "at least one text"),
        (["a", None], TypeError, "got NoneType at 1"),
        ([["a"]], TypeError, "got list at 0"),
        ([b"bytes"], TypeError, "got bytes at 0"),
        ([float("nan")], TypeError, "got float at 0"),  # what pandas reads from an empty cell
    ],
)
def test_what_is_no_list_of_texts(texts: Any, kind: type[Exception], said: str) -> None:
    for use in (tokenize, lambda texts: text_split(texts, [0])):
        with raises_one_line(kind, "texts must", said):
            use(texts)


@pytest.mark.parametrize("max_length", [2, 0, -1, 513, 64.0, "64", None, True])
def test_length_out_of_range(max_length: Any) -> None:
    with raises_one_line(ValueError, "max_length must be an integer in 3..512", f"got {max_length!r}"):
        tokenize(["a"], max_length=max_length)


@fetched
def test_tokens_of_gives_the_word_pieces() -> None:
    from tokenizers import Tokenizer

    plain = Tokenizer.from_file(str(text_file("tokenizer.json")))
    plain.no_padding()
    for text in (SENTENCE, "Unbelievably coöperative!", "", "汤 and 😀"):
        assert tokens_of(tokenize([text])[0]) == plain.encode(text).tokens
    assert tokens_of(tokenize(["overpriced"])[0]) == ["[CLS]", "over", "##pr", "##ice", "##d", "[SEP]"]


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (np.zeros((2, 3), int), "(2, 3)"),
        (np.zeros(3), "float64"),
        (np.array([1, -1]), "got -1"),
        (np.array([30_522]), "0..30521, got 30522"),
    ],
)
def test_tokens_of_other_things(ids: np.ndarray, said: str) -> None:
    with raises_one_line(ValueError, "ids must", said):
        tokens_of(ids)


def other_tokenizer(path: Path) -> Path:
    """A tokenizer of another model: three words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece

    Tokenizer(WordPiece({"[UNK]": 0, "good": 1, "bad": 2}, unk_token="[UNK]")).save(str(path))
    return path


def shifted_tokenizer(path: Path) -> Path:
    """As many words, two of them in each other's place, as in a vocabulary that was trained anew."""
    stored = json.loads(text_file("tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = stored["model"]["vocab"]
    vocabulary["[CLS]"], vocabulary["the"] = vocabulary["the"], vocabulary["[CLS]"]
    stored["added_tokens"] = [token for token in stored["added_tokens"] if token["content"] != "[CLS]"]
    path.write_text(json.dumps(stored), encoding="utf-8")
    return path


def cut_tokenizer(path: Path) -> Path:
    path.write_bytes(text_file("tokenizer.json").read_bytes()[:100_000])
    return path


def text_file_instead(path: Path) -> Path:
    path.write_text("no tokenizer, and no weights")
    return path


def nothing(path: Path) -> Path:
    return path


def a_folder(path: Path) -> Path:
    path.mkdir()
    return path


@fetched
@pytest.mark.parametrize(
    "make", [other_tokenizer, shifted_tokenizer, cut_tokenizer, text_file_instead, nothing, a_folder]
)
def test_another_tokenizer_is_refused(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path / "tokenizer.json")
    before = tokenize([SENTENCE])
    for use in (
        lambda: tokenize([SENTENCE], tokenizer=path),
        lambda: tokens_of(before[0], tokenizer=str(path)),
        lambda: text_split([SENTENCE], [0], tokenizer=path),
    ):
        with raises_one_line(ValueError, "tokenizer must be", "tokenizer.json"):
            use()
    np.testing.assert_array_equal(tokenize([SENTENCE]), before)


@fetched
def test_the_same_tokenizer_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    shutil.copyfile(text_file("tokenizer.json"), path)
    np.testing.assert_array_equal(tokenize([SENTENCE], tokenizer=str(path)), tokenize([SENTENCE]))


# Texts in a split


WORDS = ["soup", "train", "film", "phone", "choir", "garden"]


@pytest.fixture(scope="module")
def words(fetched_text: None) -> Split:
    return text_split(WORDS, [0, 1, 0, 1, 0, 1], groups=[3, 3, 1, 1, 2, 2])


def assert_in_step(split: Split) -> None:
    """Texts, ids, labels and groups still belong together."""
    assert split.texts is not None
    assert split.groups is not None
    assert len(split.texts) == len(split)
    np.testing.assert_array_equal(tokenize(split.texts), split.x)
    for text, label, group in zip(split.texts, split.y, split.groups, strict=True):
        place = WORDS.index(text)
        assert (label, group) == (place % 2, [3, 3, 1, 1, 2, 2][place])


INDICES = [slice(1, 4), slice(None, None, -1), np.array([5, 0, 0]), np.array([-1, -6]), np.array([True, False] * 3)]


@pytest.mark.parametrize("index", INDICES, ids=["slice", "reversed", "integers", "negative", "boolean"])
def test_texts_follow_their_ids(words: Split, index: Any) -> None:
    chosen = words[index]
    assert list(chosen.texts or ()) == np.array(WORDS)[index].tolist()
    assert_in_step(chosen)


def test_texts_follow_their_ids_through_take(words: Split) -> None:
    assert_in_step(words)
    taken = words.take(2, seed=5)
    assert_in_step(taken)
    np.testing.assert_array_equal(taken.x[:2], words.take(1, seed=5).x)  # nested, as of images


def test_texts_follow_their_ids_through_restrict_to(words: Split) -> None:
    three = Split(words.x, np.array([0, 1, 2, 0, 1, 2]), words.groups, words.texts)
    kept = Domain("three", three, three, ("a", "b", "c")).restrict_to(["c", "a"])
    assert kept.train.texts == ("soup", "film", "phone", "garden")
    np.testing.assert_array_equal(kept.train.y, [1, 0, 1, 0])
    np.testing.assert_array_equal(tokenize(kept.train.texts), kept.train.x)


def test_texts_cannot_be_changed_and_are_one_an_example(words: Split) -> None:
    given = list(WORDS)
    split = Split(words.x, words.y, None, given)
    given[0] = "another"
    assert split.texts == tuple(WORDS)
    with raises_one_line(ValueError, "texts must be one an example, 6, got 5"):
        Split(words.x, words.y, None, WORDS[:5])


@fetched
@pytest.mark.parametrize(
    ("labels", "groups", "kind", "said"),
    [
        ([0], None, ValueError, "same length"),
        ([0.0, 1.0], None, TypeError, "y must be integers"),
        (["bad", "good"], None, TypeError, "y must be integers"),
        ([0, -1], None, ValueError, "labels must be 0 or more"),
        ([0, 1], [1], ValueError, "groups must have shape (2,)"),
        ([0, 1], ["a", "b"], TypeError, "groups must be integers"),
    ],
)
def test_labels_that_do_not_fit(labels: Any, groups: Any, kind: type[Exception], said: str) -> None:
    with raises_one_line(kind, said):
        text_split(["a", "b"], labels, groups=groups)


@fetched
def test_a_text_split_of_few_and_long_texts(minilm: Backbone) -> None:
    split = text_split(["", "x" * 10_000, "شكرا جزيلا", "谢谢", "😀"], [0, 1, 0, 1, 0], max_length=8)
    assert (split.x.shape, split.groups) == ((5, 8), None)
    vectors = np.asarray(minilm.model(split.x, training=False))
    assert np.isfinite(vectors).all()
    # A word that is unknown is one unknown word, however long it is: these two texts are the same to the encoder.
    np.testing.assert_allclose(vectors[1], vectors[4], rtol=0, atol=1e-6)


# Domains


def archive_rows(name: str) -> list[tuple[str, float, str]]:
    """Id, rating and text, as it stands, of each line of the archive; read with nothing of tlkit but the path."""
    file = {"movies": "movieReviewSnippets", "products": "amazonReviewSnippets", "editorials": "nytEditorialSnippets"}
    with tarfile.open(text_file("hutto_ICWSM_2014.tar.gz")) as archive:
        (member,) = [m for m in archive.getmembers() if m.name.endswith(f"/{file.get(name, name)}_GroundTruth.txt")]
        stream = archive.extractfile(member)
        assert stream is not None
        content = stream.read().decode("utf-8")
    rows = []
    for line in content.replace("\r\n", "\n").split("\n"):
        if line:
            number, _, rest = line.partition("\t")
            rating, _, text = rest.partition("\t")
            rows.append((number, float(rating), text))
    return rows


@fetched
@pytest.mark.parametrize("name", TEXT_DOMAINS)
def test_a_domain_is_what_the_archive_holds(name: str) -> None:
    rows = archive_rows(name)
    ratings: dict[str, float] = {}
    for _, rating, raw in rows:
        if abs(rating) > 0.5:
            text = html.unescape(raw).strip()
            ratings.setdefault(text, rating)  # a sentence that appears twice counts once, as it was rated first
    domain = load_text_domain(name)
    found = {}
    for split in (domain.train, domain.test):
        assert split.texts is not None
        for text, label in zip(split.texts, split.y.tolist(), strict=True):
            assert text not in found, "a sentence stands twice"
            found[text] = domain.classes[label]
    assert found == {text: "positive" if rating > 0 else "negative" for text, rating in ratings.items()}
    total = len(domain.train) + len(domain.test)
    assert total == len(ratings)
    told = str(load_text_domain.__doc__)
    assert f"{total:,}" in told.partition(f'``"{name}"``:')[2].partition("``")[0], f"{total:,}"


@fetched
@pytest.mark.parametrize("name", TEXT_DOMAINS)
def test_no_document_is_on_both_sides(name: str) -> None:
    """By the groups, and by the archive's own numbering: DOCUMENT_SENTENCE, or a document a line."""
    domain = load_text_domain(name)
    assert domain.train.groups is not None
    assert domain.test.groups is not None
    assert set(domain.train.groups.tolist()) & set(domain.test.groups.tolist()) == set()
    documents = collections.defaultdict(set)
    clear = [(number, html.unescape(raw).strip()) for number, rating, raw in archive_rows(name) if abs(rating) > 0.5]
    for number, text in clear:
        documents[text].add(number.rsplit("_", 1)[0] if "_" in number else number)
    first = {text: number for number, text in reversed(clear)}
    sides: dict[str, set[str]] = collections.defaultdict(set)
    groups: dict[str, set[int]] = collections.defaultdict(set)
    for side, split in (("train", domain.train), ("test", domain.test)):
        for text, group in zip(split.texts or (), (split.groups if split.groups is not None else ()), strict=True):
            document = first[text].rsplit("_", 1)[0]
            sides[document].add(side)
            groups[document].add(int(group))
    assert {len(found) for found in sides.values()} == {1}
    assert {len(found) for found in groups.values()} == {1}
    assert len(groups) == len({group for found in groups.values() for group in found})


@fetched
@pytest.mark.parametrize("name", TEXT_DOMAINS)
def test_the_test_part_is_a_thousand_and_no_document_more_than_needed(name: str) -> None:
    domain = load_text_domain(name)
    assert domain.test.groups is not None
    largest = int(np.unique(domain.test.groups, return_counts=True)[1].max())
    assert 1_000 <= len(domain.test) < 1_000 + largest
    assert len(domain.train) > len(domain.test)
    for split in (domain.train, domain.test):
        assert set(split.y.tolist()) == {0, 1}


@fetched
@pytest.mark.parametrize("name", TEXT_DOMAINS)
def test_sentences_are_unescaped(name: str) -> None:
    """Where one still holds an entity, it was escaped twice in the archive."""
    raw = {html.unescape(text).strip(): text for _, _, text in archive_rows(name)}
    domain = load_text_domain(name)
    for text in (*(domain.train.texts or ()), *(domain.test.texts or ())):
        assert text == text.strip() != ""
        assert html.unescape(text) == text or "&amp;" in raw[text]


@fetched
def test_few_sentences_are_cut() -> None:
    """The share that the comment beside ``MAX_LENGTH`` tells."""
    shares = []
    for name in TEXT_DOMAINS:
        domain = load_text_domain(name, max_length=MAX_LENGTH + 1)
        ids = np.concatenate([domain.train.x, domain.test.x])
        shares.append((ids[:, MAX_LENGTH] != 0).mean())
    assert f"At most {100 * max(shares):.1f} % of the sentences" in inspect.getsource(tokens)


@fetched
def test_other_lengths_are_cuts_of_the_same_domain() -> None:
    long, short = load_text_domain("tweets"), load_text_domain("tweets", max_length=16)
    for one, other in ((long.train, short.train), (long.test, short.test)):
        assert one.texts == other.texts
        np.testing.assert_array_equal(one.y, other.y)
        assert other.x.shape == (len(one), 16)
        fits = one.x[:, 16] == 0
        np.testing.assert_array_equal(one.x[fits, :16], other.x[fits])
    assert load_text_domain("tweets") is long


@fetched
def test_a_pair_is_two_domains() -> None:
    pair = load_text_pair("products", "editorials")
    assert pair.source is load_text_domain("products", max_length=MAX_LENGTH)
    assert (pair.source.name, pair.target.name) == ("products", "editorials")
    assert pair.source.classes == pair.target.classes == ("negative", "positive")


def test_names_that_are_no_domain() -> None:
    for use in (load_text_domain, lambda name: load_text_pair("tweets", name)):
        with raises_one_line(ValueError, "'movies'", "got 'movie'", "Did you mean 'movies'?"):
            use("movie")


@fetched
@pytest.mark.parametrize("max_length", [2, 513])
def test_a_domain_of_a_length_out_of_range(max_length: int) -> None:
    with raises_one_line(ValueError, "max_length must be an integer in 3..512"):
        load_text_domain("tweets", max_length=max_length)


# The encoder


def test_the_encoder_equals_one_written_out_in_numpy(still_tiny: Backbone) -> None:
    data = random_texts(8, seed=1)
    ours = np.asarray(still_tiny.model(data.x, training=False))
    maps = attention_maps(still_tiny, data.x)
    assert maps.shape == (6, 8, 2, 12, 12)
    for i, row in enumerate(data.x):
        ids = unpadded(row)
        vector, seen = numpy_encoder(still_tiny.model, ids, blocks=6, heads=2)
        np.testing.assert_allclose(ours[i], vector, rtol=0, atol=1e-5)
        np.testing.assert_allclose(maps[:, i, :, : len(ids), : len(ids)], seen, rtol=0, atol=1e-5)


@fetched
def test_the_pretrained_encoder_equals_one_written_out_in_numpy(minilm: Backbone) -> None:
    ids = tokenize([SENTENCE, "Splendid!"])
    ours, maps = np.asarray(minilm.model(ids, training=False)), attention_maps(minilm, ids)
    for i, row in enumerate(ids):
        own = unpadded(row)
        vector, seen = numpy_encoder(minilm.model, own, blocks=6, heads=12)
        np.testing.assert_allclose(ours[i], vector, rtol=0, atol=1e-5)
        np.testing.assert_allclose(maps[:, i, :, : len(own), : len(own)], seen, rtol=0, atol=1e-5)


def check_attention(maps: np.ndarray, ids: np.ndarray) -> None:
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.sum(axis=-1), 1, rtol=0, atol=1e-5)
    padding = np.broadcast_to((ids == 0)[None, :, None, None, :], maps.shape)
    assert padding.any()
    assert (maps[padding] == 0).all()


def test_attention_sums_to_one_and_looks_at_no_padding(still_tiny: Backbone) -> None:
    data = random_texts(8, seed=2)
    check_attention(attention_maps(still_tiny, data.x), data.x)


@fetched
def test_attention_of_the_pretrained_encoder(minilm: Backbone) -> None:
    ids = tokenize(["", SENTENCE, "😀 " * 300], max_length=32)
    maps = attention_maps(minilm, ids)
    assert maps.shape == (6, 3, 12, 32, 32)
    check_attention(maps, ids)
    # Cut behind the longest, nothing else changes; products of other sizes round otherwise.
    short = attention_maps(minilm, ids[:2, :20])
    np.testing.assert_allclose(short, maps[:, :2, :, :20, :20], rtol=0, atol=1e-5)


def test_attention_of_a_single_block() -> None:
    model = small_bert(blocks=1, width=8, heads=2, inner=12, vocabulary=40)
    ids = np.array([[3, 5, 8]])
    maps = attention_maps(Backbone("one", model, ("embeddings", "sentence")), ids)
    np.testing.assert_allclose(maps[:, 0], numpy_encoder(model, ids[0], blocks=1, heads=2)[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (np.array([1, 2]), "got (2,)"),
        (np.zeros((0, 4), int), "got (0, 4)"),
        (np.ones((1, 513), int), "length to 512, got (1, 513)"),
        (np.ones((1, 2)), "float64"),
        (["a text"], "got (1,) <U6"),
        (None, "got () object"),
        (np.array([[1, 40]]), "in 0..39"),
        (np.array([[1, -1]]), "got -1"),
    ],
)
def test_attention_of_what_are_no_ids(still_tiny: Backbone, ids: Any, said: str) -> None:
    with raises_one_line(ValueError, "ids must be", said):
        attention_maps(still_tiny, ids)


def test_attention_of_a_backbone_without(still_toy: Backbone) -> None:
    with raises_one_line(ValueError, "backbone must have attention", "got 'toy'"):
        attention_maps(still_toy, np.zeros((1, 4), np.int32))


def check_padding(model: keras.Model, data: Split, longest: int) -> None:
    """A text alone, padded far, and in a batch with longer ones and shorter ones has one vector."""
    together = np.asarray(model(data.x, training=False))
    far = np.pad(data.x, ((0, 0), (0, longest - data.x.shape[1])))
    np.testing.assert_allclose(np.asarray(model(far, training=False)), together, rtol=0, atol=1e-5)
    for row, vector in zip(data.x, together, strict=True):
        alone = np.asarray(model(unpadded(row)[None], training=False))[0]
        np.testing.assert_allclose(alone, vector, rtol=0, atol=1e-5)


def test_padding_does_not_matter(still_tiny: Backbone) -> None:
    check_padding(still_tiny.model, random_texts(10, seed=4), 40)


@fetched
def test_padding_does_not_matter_to_the_pretrained_encoder(minilm: Backbone) -> None:
    ids = tokenize(["Bad.", SENTENCE, "", "It was so-so, they say"], max_length=24)
    check_padding(minilm.model, Split(ids, np.zeros(4, int)), 64)


def test_padded_vectors_are_zero_at_every_boundary_and_no_tokens_is(still_tiny: Backbone) -> None:
    """What lets cached vectors know their own mask."""
    data = random_texts(10, seed=5)
    for stage in range(1, 6):
        vectors = np.asarray(split_at(still_tiny, stage)[0](data.x, training=False))
        np.testing.assert_array_equal(np.any(vectors != 0, axis=2), data.x != 0)


def test_tail_after_trunk_is_the_whole(still_tiny: Backbone) -> None:
    x = random_texts(6, seed=6).x
    whole = np.asarray(still_tiny.model(x, training=False))
    for stage in range(still_tiny.n_stages + 1):
        trunk, tail = split_at(still_tiny, stage)
        np.testing.assert_array_equal(np.asarray(tail(np.asarray(trunk(x, training=False)), training=False)), whole)


@fetched
def test_tail_after_trunk_is_the_whole_pretrained_encoder(minilm: Backbone) -> None:
    x = tokenize([SENTENCE, "", "Bad."], max_length=16)
    whole = np.asarray(minilm.model(x, training=False))
    for stage in range(minilm.n_stages + 1):
        trunk, tail = split_at(minilm, stage)
        np.testing.assert_array_equal(np.asarray(tail(np.asarray(trunk(x, training=False)), training=False)), whole)


def test_the_boundaries_and_what_each_freezes() -> None:
    """Against the number of weights that the shapes of a BERT block give."""
    width, inner, words = 8, 12, 40
    block = 4 * (width * width + width) + 2 * width * inner + inner + width + 4 * width
    embeddings = words * width + 512 * width + 2 * width
    backbone = tiny_bert()
    assert backbone.n_stages == 7
    for stage in range(8):
        freeze_to(backbone, stage)
        counts = count_weights(backbone.model)
        assert counts.frozen == (embeddings + (stage - 1) * block if stage else 0)
        assert counts.frozen + counts.trainable == embeddings + 6 * block


def test_multiply_adds_of_a_text() -> None:
    width, inner, length = 8, 12, 10
    a_token = 6 * (4 * width * width + 2 * width * inner)
    model = tiny_bert().model
    assert multiply_adds(model, length=length) == length * a_token
    with raises_one_line(ValueError, "length of texts must be known"):
        multiply_adds(model)


# Start weights


def test_random_weights_depend_on_the_seed_alone() -> None:
    def made(seed: int) -> keras.Model:
        return small_bert(blocks=2, width=8, heads=2, inner=12, vocabulary=40, dropout=0.1, seed=seed)

    before = global_random_states()
    first = made(5)
    assert global_random_states() == before
    keras.utils.set_random_seed(123)
    assert same_weights(first, made(5))
    other = made(6)
    for layer in first.layers:
        for one, two in zip(layer.weights, other.get_layer(layer.name).weights, strict=True):
            constant = any(part in one.path for part in ("bias", "beta", "gamma", "seed"))
            assert constant or not np.array_equal(one.numpy(), two.numpy()), one.path
    kernels = [weight.numpy() for weight in first.weights if weight.path.endswith("kernel") and weight.shape == (8, 8)]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels) == 8  # no two layers start alike


def test_the_loader_leaves_the_random_state_alone_and_takes_a_seed() -> None:
    before = global_random_states()
    one = load_text_backbone("minilm", weights=None, seed=1)
    assert global_random_states() == before
    assert (
        one.model.count_params() == 22_713_216 - 384 * 2 - 384 * 384 - 384
    )  # minus segments and a pooler that is unused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 10, "heads": 4}, "width must be a multiple of heads"),
        ({"blocks": 0}, "blocks 1 or more"),
        ({"dropout": 1.0}, "dropout must be in [0, 1), got 1.0"),
        ({"dropout": -0.1}, "dropout must be in [0, 1), got -0.1"),
    ],
)
def test_sizes_out_of_range(options: dict[str, Any], said: str) -> None:
    with raises_one_line(ValueError, said):
        small_bert(**options)


def test_a_name_that_is_no_text_backbone() -> None:
    with raises_one_line(ValueError, "text backbone must be one of 'minilm'", "got 'minilmm'", "Did you mean"):
        load_text_backbone("minilmm", weights=None)


# Files of weights


def stored_weights() -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(text_file("model.safetensors"))


def save(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    from safetensors.numpy import save_file

    save_file(arrays, path)
    return path


def weights_of_another_model(path: Path) -> Path:
    return save(path, {"layer.weight": np.zeros((3, 3), np.float32)})


def weights_of_a_wider_model(path: Path) -> Path:
    return save(path, {name: np.zeros((2, *array.shape[1:]), np.float32) for name, array in stored_weights().items()})


def weights_of_a_deeper_model(path: Path) -> Path:
    arrays = {name: array for name, array in stored_weights().items() if "word_embeddings" not in name}
    arrays["embeddings.word_embeddings.weight"] = np.zeros((30_522, 384), np.float32)
    deeper = {name.replace("layer.5", "layer.6"): array for name, array in arrays.items() if "layer.5" in name}
    return save(path, {**arrays, **deeper})


def weights_of_a_shallower_model(path: Path) -> Path:
    return save(path, {name: array for name, array in stored_weights().items() if "layer.5" not in name})


def half_a_file(path: Path) -> Path:
    path.write_bytes(text_file("model.safetensors").read_bytes()[:40_000_000])
    return path


REFUSED = [weights_of_another_model, weights_of_a_wider_model, weights_of_a_deeper_model, weights_of_a_shallower_model,
           half_a_file, text_file_instead, nothing, a_folder]  # fmt: skip


@pytest.fixture(scope="module")
def fresh() -> list[np.ndarray]:
    """The encoder's random weights of seed 4."""
    return small_bert(seed=4).get_weights()


@fetched
@pytest.mark.parametrize("make", REFUSED)
def test_a_file_of_other_weights_is_refused(
    make: Callable[[Path], Path], fresh: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tlkit.text import encoder

    made: list[keras.Model] = []
    monkeypatch.setattr(encoder, "small_bert", lambda **options: made.append(small_bert(**options)) or made[-1])
    path = make(tmp_path / "model.safetensors")
    with raises_one_line(ValueError, "weights must be", "model.safetensors"):
        load_text_backbone("minilm", weights=path, seed=4)
    for model in made:  # nothing of the file is in it
        assert same_weights(model, fresh)


@fetched
def test_the_same_weights_elsewhere(minilm: Backbone, tmp_path: Path) -> None:
    path = save(tmp_path / "mine.safetensors", stored_weights())
    assert same_weights(load_text_backbone("minilm", weights=str(path)).model, minilm.model)


@fetched
def test_every_stored_array_is_used_once(minilm: Backbone) -> None:
    """All numbers of the file are in the model, but for the pooler, which sentence embeddings do not use."""
    stored = {name: array for name, array in stored_weights().items() if not name.startswith("pooler")}
    segments = stored.pop("embeddings.token_type_embeddings.weight")
    stored.pop("embeddings.position_ids", None)  # 0..511
    stored["embeddings.position_embeddings.weight"] = stored["embeddings.position_embeddings.weight"] + segments[0]

    def seen(array: np.ndarray) -> str:
        """The same for an array and the transposed one: the file's kernels lie the other way round."""
        ways = np.asarray(array, np.float32), np.asarray(array, np.float32).T
        return min(hashlib.sha256(np.ascontiguousarray(way)).hexdigest() for way in ways)

    assert sorted(map(seen, stored.values())) == sorted(seen(weight.numpy()) for weight in minilm.model.weights)


# Saving


@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_text_model_is_saved_and_loaded(dropout: float, tmp_path: Path) -> None:
    backbone = tiny_bert(2, blocks=2, dropout=dropout)
    model = join(backbone.model, build_head(backbone, 3))
    model.save(tmp_path / "text.keras")
    loaded = keras.models.load_model(tmp_path / "text.keras", safe_mode=True)
    x = random_texts(5).x
    np.testing.assert_array_equal(np.asarray(loaded(x, training=False)), np.asarray(model(x, training=False)))
    kinds = [type(layer) for layer in backbone.model.layers]
    loaded_bert = loaded.get_layer("small_bert") if "small_bert" in {layer.name for layer in loaded.layers} else loaded
    assert [type(layer) for layer in loaded_bert.layers][: len(kinds)] == kinds
    assert sum(isinstance(layer, AttentionWeights) for layer in loaded_bert.layers) == 2


# Cached training is full training


def trained(make: Callable[[], Backbone], stage: int, data: Split, *, cached: bool, **options: Any) -> keras.Model:
    """Backbone and head after the same short training, on the ids or behind the cached trunk."""
    backbone = make()
    freeze_to(backbone, stage)
    classifier = build_head(backbone, int(data.y.max()) + 1, seed=5)
    if cached:
        trunk, tail = split_at(backbone, stage)
        model, seen = join(tail, classifier), cache_features(trunk, data)
    else:
        model, seen = join(backbone.model, classifier), data
    fit(model, seen, batch_size=8, seed=11, progress=False, **options)
    return join(backbone.model, classifier)


@pytest.mark.slow
@pytest.mark.bank  # tests/test_text_toolkit.py has two blocks
@pytest.mark.parametrize("stage", range(8))
def test_cached_training_equals_full_training_at_each_block(stage: int) -> None:
    options = {"epochs": 2, "learning_rate": 0.05, "optimizer": "sgd"}
    data = random_texts(20)  # the last batch is not full
    full, cached = (trained(tiny_bert, stage, data, cached=cached, **options) for cached in (False, True))
    # Not bit by bit, as for images: the trunk's batches are larger, and matrix products then round otherwise.
    assert largest_difference(full, cached) < 1e-6
    start = tiny_bert()
    assert not same_weights(full, join(start.model, build_head(start, 3, seed=5)))


@pytest.mark.slow
@pytest.mark.parametrize(("blocks", "stage"), in_bank([(1, 1), (2, 0), (2, 2)], but=[(1, 1)], names=2))
def test_what_differs_with_dropout_is_the_trunks_own(blocks: int, stage: int) -> None:
    """A cached trunk drops nothing; full training drops units in frozen layers too. Nothing else differs."""
    data = random_texts(20)
    trunk_parts = ("embeddings", "block1", "block2")[:stage]

    def made(*still: str) -> Backbone:
        backbone = tiny_bert(blocks=blocks, dropout=0.2)
        for layer in backbone.model.layers:
            if isinstance(layer, keras.layers.Dropout) and layer.name.startswith(still):
                layer.rate = 0.0
        return backbone

    def result(*still: str, cached: bool) -> keras.Model:
        options = {"epochs": 2, "learning_rate": 0.05, "optimizer": "sgd"}
        return trained(lambda: made(*still), stage, data, cached=cached, **options)

    cached = result(cached=True)
    assert largest_difference(result(*trunk_parts, cached=False), cached) < 1e-6
    if trunk_parts:
        assert largest_difference(result(cached=False), cached) > 1e-3


# What transfer is worth


@fetched
@pytest.mark.slow
@pytest.mark.bank
def test_frozen_vectors_beat_words_at_100_labels(minilm: Backbone) -> None:
    """Linear probes, 50 labels per class, mean of 5 draws: each domain on itself, and across domains."""
    domains = [load_text_domain(name) for name in TEXT_DOMAINS]
    few = [[domain.train.take(50, seed=seed) for seed in range(5)] for domain in domains]
    asked = [*(draw for draws in few for draw in draws), *(domain.test for domain in domains)]
    together = Split(np.concatenate([split.x for split in asked]), np.concatenate([split.y for split in asked]))
    features = cache_features(minilm.model, together, cache_dir="memory")
    ends = np.cumsum([len(split) for split in asked])
    parts = iter([features[end - len(split) : end] for split, end in zip(asked, ends, strict=True)])
    few_vectors = [[next(parts) for _ in draws] for draws in few]
    test_vectors = [next(parts) for _ in domains]

    def accuracies(train: list[list[Split]], test: list[Split]) -> np.ndarray:
        """``(trained on, tested on)``, mean of the draws."""
        return np.array([[np.mean([linear_probe(draw, on) for draw in draws]) for on in test] for draws in train])

    frozen, words = accuracies(few_vectors, test_vectors), accuracies(few, [domain.test for domain in domains])
    tweets, editorials = TEXT_DOMAINS.index("tweets"), TEXT_DOMAINS.index("editorials")
    across = ~np.eye(len(domains), dtype=bool)
    shown = f"\n{TEXT_DOMAINS}\n{frozen.round(3)}\n{words.round(3)}"
    assert frozen[tweets, tweets] >= max(0.82, words[tweets, tweets] + 0.10), shown
    assert frozen[editorials, editorials] >= words[editorials, editorials] + 0.15, shown
    assert frozen[across].mean() >= words[across].mean() + 0.10, shown
