"""Ask every address that the documentation links to whether it is still there; needs a network, so no test runs it.

    python tools/check_links.py

Links within the documentation are checked when the site is built (tests/test_docs.py).
"""

from __future__ import annotations

import http.client
import re
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("*.md", "docs/*.md", "exercises/*.md", "benchmarks/*.md", "tlkit/assets/*.md", "notebooks/source/*.py")
# In code an address is an example, such as that of a server that is not there.
CODE = re.compile(r"^(?:# )?(?P<fence>```+|~~~+).*?^(?:# )?(?P=fence)|`[^`\n]+`", re.M | re.S)
ADDRESS = re.compile(r"https?://[^\s<>\"'\[\]]+")
HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
FORM = re.compile(r"YOUR_[A-Z]+")  # an address with a blank that the reader fills in
SECONDS = 20


def external_links(text: str) -> list[str]:
    """The addresses outside code, without the punctuation and the closing bracket that follow them."""
    found = []
    for address in ADDRESS.findall(CODE.sub("", text)):
        if FORM.search(address):
            continue
        while address.endswith((".", ",", ";", ":", "!", "?", "*")) or (
            address.endswith(")") and address.count(")") > address.count("(")
        ):
            address = address[:-1]
        found.append(address)
    return found


def documented_links() -> dict[str, list[str]]:
    """Each address in the documentation, with the files that link to it."""
    found: dict[str, list[str]] = {}
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            for address in external_links(path.read_text(encoding="utf-8")):
                found.setdefault(address, []).append(path.relative_to(ROOT).as_posix())
    return found


def malformed(address: str) -> str:
    """What is wrong with an address, in words; nothing when it could be one."""
    parts = urlsplit(address)
    if parts.scheme != "https":
        return "is not https"
    if not HOST.fullmatch(parts.netloc):
        return "has no host, such as example.org"
    if re.search(r"%(?![0-9A-Fa-f]{2})|[{}|\\^]", address):
        return "has characters that must be percent-encoded"
    return ""


def ask(address: str) -> str:
    """How a server answers: nothing when all is well, ``no network``, or what is wrong."""
    for method in ("HEAD", "GET"):  # some servers refuse HEAD
        request = urllib.request.Request(address, method=method, headers={"User-Agent": "Mozilla/5.0 (link check)"})
        try:
            with urllib.request.urlopen(request, timeout=SECONDS):
                return ""
        except urllib.error.HTTPError as error:
            answer = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException):  # a name that is not found, a refused connection, a timeout
            return "no network"
    return answer


def main() -> None:
    links = documented_links()
    with ThreadPoolExecutor(8) as pool:
        answers = dict(zip(links, pool.map(ask, links), strict=True))
    if links and set(answers.values()) == {"no network"}:
        print(f"no network: none of {len(links)} links could be asked.", file=sys.stderr)
        raise SystemExit(2)
    wrong = {address: answer.replace("no network", "no answer") for address, answer in answers.items() if answer}
    for address, answer in wrong.items():
        print(f"{address}: {answer} ({', '.join(links[address])})")
    print(f"{len(links) - len(wrong)} of {len(links)} links answer.")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
