"""Embed 400 texts with sentence-transformers: what tlkit's own encoder is compared with (tests/test_text.py).

    pip install sentence-transformers torch            # in an environment of its own: tlkit needs neither
    python tools/text_reference.py MODEL_FOLDER tests/data/text_reference.npz

MODEL_FOLDER is sentence-transformers/all-MiniLM-L6-v2 as its page (or the package that ``tlkit fetch text`` takes it
from) has it. The texts are made here, by rule, and quote nobody; tests/data/README.md says what stands in the file.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import platform
import random
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

N_TEXTS = 400
LONG = 10_000  # characters
SHORT_LENGTH = 64  # tokens: tlkit's default; the model's own settings say 256

THINGS = (
    "the soup",
    "this phone",
    "our new bridge",
    "her second novel",
    "the late train",
    "a cheap umbrella",
    "the council's plan",
    "that long film",
    "my old bicycle",
    "the choir",
    "their garden",
    "the last exam",
)
VERBS = ("was", "seemed", "turned out", "will be", "has never been", "isn't", "felt", "became")
JUDGEMENTS = (
    "wonderful",
    "rather dull",
    "not bad at all",
    "a disaster",
    "better than anyone had hoped",
    "overpriced",
    "hopelessly late",
    "worth every penny",
    "unreadable",
    "so-so",
    "thrilling, if a little loud",
)
ENDINGS = (".", "!", "?", "...", " :-)", " :(", "!!!", ", they say.", "; nobody minded.", " -- or so I heard.")
ACCENTED = (
    "Crème brûlée à la façon de Zoë",
    "Ångström, señor, Übergröße",
    "Žluťoučký kůň a řeřicha",
    "İstanbul'da ılık bir akşam",
    "Łódź jest łagodna",
    "Đêm nay trời đẹp quá",
    "naïve coöperation, façade",
    "Þetta er ágætt",
    "Ærlig talt, så er øl dyrt",
    "São João não é só folia",
    "Mañana será otro día",
    "ſtraße, ŒUVRE, ﬁne ﬂour",
    "Ő fűtött szobában ült",
)
CHINESE = (
    "今天的汤很好喝",
    "这座桥太旧了，不安全。",
    "我不喜欢这部电影！",
    "火车又晚点了",
    "價錢太貴，服務一般",
    "龘𠮷𡃁",
)
EAST_ASIAN = ("今日はとても寒いですね", "カタカナとひらがな、そして漢字", "이 영화는 정말 재미있어요", "ｶﾀｶﾅ ｈａｌｆ")
RIGHT_TO_LEFT = (
    "الجسر الجديد جميل جدًا",
    "لم يعجبني الطعام أبدًا!",
    "הספר הזה מצוין",
    "שָׁלוֹם לְכֻלָּם",
    "این فیلم خوب نبود",
    "\u202bالسعر 45 دولارًا\u202c only",
    "هٰذا \u200fmixed\u200e text",
)
OTHER_SCRIPTS = (
    "Сегодня суп был вкусный",
    "Это ужасно, ёлки!",
    "Η γέφυρα είναι παλιά",
    "यह पुस्तक अच्छी है",
    "อาหารอร่อยมาก",
    "ქართული ენა",
    "Հայերեն տեքստ",
    "ይህ ጥሩ ነው",
    "এটা ভালো নয়",
    "தமிழ் நன்று",
)
EMOJI = ("😀", "😡👎", "👩‍👩‍👧‍👦", "👍🏽", "🇳🇴🇯🇵", "❤️", "☺︎", "🏳️‍🌈", "🤷🏿‍♀️", "1️⃣", "🫠🥹", "♫♪ ★☆")
BLANK = (
    "",
    " ",
    "\t",
    "\n\n",
    "\r\n",
    "\u00a0",
    "\u3000\u3000",
    "\u2003 \u2009",
    " " * 500,
    "\u200b",
    "\ufeff",
    "\u2028",
)
CONTROL = (
    "bell\x07and\x00null",
    "\x1b[31mred\x1b[0m",
    "soft\u00adhyphen",
    "zero\u200bwidth\u200djoin",
    "\ufeffbyte order mark",
    "replacement \ufffd\ufffd",
    "form\x0cfeed\x0bvertical",
    "\x7fdelete\x80\x9f",
    "private \ue000\uf8ff use",
    "line\u2028and\u2029paragraph",
    "tab\tand\r\nnew line",
    "\u202eoverridden\u202c",
    "non\ufffecharacter\uffff",
)
ADDRESSES = (
    "https://example.org/a/very/long/path?query=1&other=%20two#part",
    "www.example.com",
    "mail me@example.net now",
    "#TransferLearning #nlp",
    "@somebody thanks!! RT @nobody",
    "C:\\folder\\file.txt",
    "/home/user/.config",
    "<b>bold</b> &amp; more",
    "SELECT * FROM t WHERE a != 'b';",
    "x = [i**2 for i in range(10)]",
    "$\\frac{a}{b}$",
    "snake_case and camelCase",
)
NUMBERS = (
    "1,234,567.89",
    "3.14159265358979",
    "12/31/1999 23:59",
    "£5, €10, ¥100 and ₹1",
    "½ + ¼ = ¾",
    "x² + y³",
    "１２３４５",
    "٣٤٥ and ৬৭",
    "1e-12",
    "-40°C = -40°F",
    "100%",
    "No. 5, 2nd and 3rd",
    "0x1F600",
    "Ⅷ ⅸ",
    "IV. MCMXCIX",
)
WRITTEN_SPECIALS = ("[CLS] twice [SEP]", "what is [MASK]?", "[UNK]", "##ing", "[ SEP ]", "[sep]")


def made_texts() -> list[str]:
    """The 400 texts; the same for ever, since they hang on ``random.random`` alone, which Python does not change."""
    rng = random.Random(0)

    def one_of(choices: tuple[str, ...]) -> str:
        return choices[int(rng.random() * len(choices))]

    def sentence() -> str:
        text = f"{one_of(THINGS)} {one_of(VERBS)} {one_of(JUDGEMENTS)}{one_of(ENDINGS)}"
        return text[0].upper() + text[1:]

    def mixed_case(text: str) -> str:
        return "".join(letter.upper() if rng.random() < 0.4 else letter for letter in text)

    fixed = [*ACCENTED, *CHINESE, *EAST_ASIAN, *RIGHT_TO_LEFT, *OTHER_SCRIPTS, *EMOJI, *BLANK, *CONTROL, *ADDRESSES]
    fixed += [*NUMBERS, *WRITTEN_SPECIALS, *(unicodedata.normalize("NFD", text) for text in ACCENTED)]
    pieces = (
        "a",
        "ab ",
        "word, ",
        "Straße ",
        "湯",
        "😀",
        "😀 ",
        "م",
        "9",
        "?! ",
        "-",
        "e\u0301",
        "\x00",
        " ",
        "\ud7a3\u3042 ",
    )
    long = [(piece * LONG)[:LONG] for piece in pieces]
    long.append("".join(f"{sentence()} " for _ in range(LONG // 20))[:LONG])
    long += ["".join(chr(0x21 + int(rng.random() * 0x2FF)) for _ in range(LONG)) for _ in range(2)]
    long += [" ".join(sentence() for _ in range(count)) for count in range(2, 32, 2)]  # about 20 to 350 tokens
    strange = (ACCENTED, CHINESE, EAST_ASIAN, RIGHT_TO_LEFT, OTHER_SCRIPTS, EMOJI, CONTROL, ADDRESSES, NUMBERS)
    within = [f"{sentence()} {one_of(group)} {one_of(THINGS)}" for group in strange for _ in range(9)]
    cased = [mixed_case(sentence()) for _ in range(25)] + [sentence().upper() for _ in range(10)]
    texts = [*fixed, *long, *within, *cased]
    return texts + [sentence() for _ in range(N_TEXTS - len(texts))]


def digest(texts: list[str]) -> str:
    """SHA-256 of the texts: what was embedded is what a test makes anew."""
    return hashlib.sha256("\0\n".join(texts).encode()).hexdigest()


def reference(folder: Path) -> dict[str, Any]:
    """What sentence-transformers makes of the texts, at the model's own settings and cut at 64 tokens."""
    import torch
    from sentence_transformers import SentenceTransformer

    texts = made_texts()
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    torch.manual_seed(0)

    def ids(length: int) -> np.ndarray[Any, Any]:
        model.max_seq_length = length
        rows: np.ndarray[Any, Any] = np.zeros((len(texts), length), np.uint16)
        for row, text in zip(rows, texts, strict=True):  # one by one, so that nothing is padded
            found = model.tokenize([text])["input_ids"][0].tolist()
            row[: len(found)] = found
        return rows

    def embeddings(length: int, chosen: list[str]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        model.max_seq_length = length
        # Normalised, as the official pipeline ends; the norm it divided by is that of the mean of the tokens' vectors.
        unit = np.asarray(model.encode(chosen, batch_size=1, show_progress_bar=False), np.float32)
        tokens = model.encode(chosen, batch_size=1, show_progress_bar=False, output_value="token_embeddings")
        means = np.stack([np.asarray(vectors.cpu(), np.float64).mean(axis=0) for vectors in tokens])
        return unit, np.linalg.norm(means, axis=1).astype(np.float32)

    own_length = int(model.max_seq_length)
    stored = {"ids": ids(own_length), "ids_short": ids(SHORT_LENGTH)}
    unit, norms = embeddings(own_length, texts)
    cut = np.flatnonzero(stored["ids"][:, SHORT_LENGTH])  # what has more tokens than that
    unit_short, norms_short = embeddings(SHORT_LENGTH, [texts[i] for i in cut])
    versions = {
        name: importlib.metadata.version(name)
        for name in ("sentence-transformers", "torch", "transformers", "tokenizers")
    }
    provenance = {
        **versions,
        "python": platform.python_version(),
        "model.safetensors": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "tokenizer.json": hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest(),
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python tools/text_reference.py MODEL_FOLDER tests/data/text_reference.npz",
    }
    return {
        "texts_sha256": np.array(digest(texts)),
        "max_length": np.array(own_length),
        **stored,
        "embeddings": unit,
        "norms": norms,
        "cut": cut.astype(np.uint16),
        "embeddings_short": unit_short,
        "norms_short": norms_short,
        "provenance": np.array([f"{name}: {value}" for name, value in provenance.items()]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the model as its page has it")
    parser.add_argument("out", type=Path, help="the .npz to write")
    arguments = parser.parse_args()
    arrays = reference(arguments.folder)
    np.savez_compressed(arguments.out, **arrays)
    megabytes = arguments.out.stat().st_size / 1e6
    print(*arrays["provenance"], sep="\n")
    print(f"{arguments.out}: {megabytes:.2f} MB, {len(arrays['cut'])} texts cut at {SHORT_LENGTH} tokens")


if __name__ == "__main__":
    main()
