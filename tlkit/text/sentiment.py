"""Four domains of English sentiment, rated by people: movie reviews, product reviews, editorials, tweets.

Hutto & Gilbert (2014), VADER, ICWSM: at least 20 people rated each sentence from -4 (extremely negative) to 4. The
movie reviews go back to Pang & Lee (2004), the product reviews to Hu & Liu (2004). Sentences belong to those who wrote
them; they are fetched, never shipped.
"""

from __future__ import annotations

import functools
import html
import io
import tarfile

import numpy as np

from tlkit.domains import Array, Domain, DomainPair
from tlkit.text.fetching import text_file
from tlkit.text.tokens import MAX_LENGTH, text_split
from tlkit.words import nearest_name

__all__ = ["TEXT_DOMAINS", "load_text_domain", "load_text_pair", "rated_sentences"]

TEXT_DOMAINS = ("movies", "products", "editorials", "tweets")
CLASSES = ("negative", "positive")
# A sentence that people call neither good nor bad is no example of either.
LEAST_RATING = 0.5
TEST_SENTENCES = 1_000

_FILE = {
    "movies": "movieReviewSnippets",
    "products": "amazonReviewSnippets",
    "editorials": "nytEditorialSnippets",
    "tweets": "tweets",
}


@functools.cache
def rated_sentences(name: str) -> tuple[tuple[str, ...], Array, Array]:
    """All sentences of a domain as they are: texts, mean ratings ``(n,)`` in -4..4, and the number of the document.

    Raises:
        ValueError: ``name`` is no text domain.
        tlkit.text.NotFetchedError: The sentences were not fetched.
    """
    if name not in TEXT_DOMAINS:
        raise ValueError(f"text domain must be {nearest_name(name, TEXT_DOMAINS)}")
    with tarfile.open(text_file("hutto_ICWSM_2014.tar.gz")) as archive:
        member = archive.extractfile(f"hutto_ICWSM_2014/{_FILE[name]}_GroundTruth.txt")
        if member is None:
            raise ValueError(f"the fetched sentences must hold a file {_FILE[name]}, got none.")
        lines = io.TextIOWrapper(member, encoding="utf-8", newline="\n").read().split("\n")
    rows = [line.split("\t", 2) for line in lines if line]
    # In products and editorials an id is DOCUMENT_SENTENCE; a tweet or a movie's snippet is a document of its own.
    documents = np.unique([row[0].partition("_")[0] for row in rows], return_inverse=True)[1]
    return tuple(html.unescape(row[2]).strip() for row in rows), np.array([float(row[1]) for row in rows]), documents


@functools.cache
def load_text_domain(name: str, *, max_length: int = MAX_LENGTH) -> Domain:
    """Sentences that people call negative (mean rating below -0.5) or positive (above 0.5); no network is used.

    ``"movies"``: snippets of reviews, 10,041. ``"products"``: Amazon reviews, 2,935. ``"editorials"``: The New York
    Times, 2,751. ``"tweets"``: 3,362. A sentence that appears twice is kept once. 1,000 sentences or a few more are the
    test part; no document has sentences in both parts (``groups`` are the documents).

    Args:
        max_length: Tokens a sentence, 3..512; longer ones are cut.

    Returns:
        A domain whose ``x`` are token ids ``(n, max_length)`` ``int32``, and whose ``texts`` are the sentences.

    Raises:
        ValueError: ``name`` is not one of these, or ``max_length`` is out of range.
        tlkit.text.NotFetchedError: The sentences or the tokenizer were not fetched.
    """
    texts, ratings, documents = rated_sentences(name)
    clear = np.flatnonzero(np.abs(ratings) > LEAST_RATING)
    seen: dict[str, int] = {}
    for i in clear:
        seen.setdefault(texts[i], int(i))
    kept = np.array(list(seen.values()))
    whole = text_split(
        [texts[i] for i in kept], (ratings[kept] > 0).astype(np.int64), groups=documents[kept], max_length=max_length
    )
    test = _test_part(documents[kept])
    return Domain(name, whole[~test], whole[test], CLASSES)


def _test_part(documents: Array) -> Array:
    """Which sentences are for testing, ``(n,)`` bool: whole documents drawn until there are enough."""
    drawn = np.random.default_rng(0).permutation(np.unique(documents))
    sizes = np.bincount(documents)[drawn]
    enough = int(np.searchsorted(np.cumsum(sizes), TEST_SENTENCES)) + 1
    return np.isin(documents, drawn[:enough])


def load_text_pair(source: str = "editorials", target: str = "tweets", *, max_length: int = MAX_LENGTH) -> DomainPair:
    """Two text domains as source and target; their classes are the same."""
    return DomainPair(load_text_domain(source, max_length=max_length), load_text_domain(target, max_length=max_length))
