"""Who holds which examples: four hands, and one domain dealt out unevenly."""

from __future__ import annotations

import functools

import numpy as np

from tlkit.domains import (
    Domain,
    Split,
    blend_into_photographs,
    check_count,
    check_rate,
    check_seed,
    check_split,
    load_domain,
)
from tlkit.words import nearest_name

__all__ = ["HANDS", "deal", "hand"]

HANDS = ("printed", "mnist", "optdigits", "mnist-m")


@functools.cache
def hand(name: str) -> Domain:
    """The ten digits in one hand, grey ``(28, 28, 1)``: what one client holds.

    Args:
        name: ``"printed"``, ``"mnist"``, ``"optdigits"``, or ``"mnist-m"``: digits of mnist blended into photographs
            (:func:`tlkit.blend_into_photographs`) and made grey. It takes every second digit and ``"mnist"`` the
            others, so that no two clients hold the same digit.

    Raises:
        ValueError: ``name`` is none of these.
    """
    if name not in HANDS:
        raise ValueError(f"hand must be {nearest_name(name, HANDS)}")
    domain = load_domain("mnist" if name == "mnist-m" else name)
    if name == "printed":
        return domain.restrict_to([str(digit) for digit in range(10)])
    if name == "optdigits":
        return domain
    train, test = (split[np.arange(len(split)) % 2 == (name == "mnist-m")] for split in (domain.train, domain.test))
    if name == "mnist-m":
        train, test = (_grey(blend_into_photographs(part, seed=seed)) for seed, part in enumerate((train, test)))
    return Domain(name, train, test, domain.classes)


def _grey(split: Split) -> Split:
    return Split(np.rint(split.x.mean(axis=3, keepdims=True)).astype(np.uint8), split.y, split.groups)


def deal(split: Split, clients: int, concentration: float, *, seed: int, least: int = 2) -> list[Split]:
    """Deal out a split so that clients hold different shares of the classes.

    Each class is dealt out by shares that are drawn from a Dirichlet distribution (Hsu et al., 2019, arXiv:1909.06335):
    with a concentration of 0.1 a client holds few classes, with 10 nearly the same share of each. Every example goes to
    one client.

    Args:
        clients: 1 or more.
        concentration: Above 0.
        seed: Draws the shares and the examples.
        least: A drawing in which a client gets fewer examples than this is drawn anew, up to 1,000 times.

    Raises:
        ValueError: An argument is out of range, or no drawing gave each client ``least`` examples.
    """
    check_split("split", split)
    check_count("clients", clients)
    check_rate("concentration", concentration)
    check_count("least", least)
    check_seed(seed)
    rng = np.random.default_rng(seed)
    for _ in range(1000):
        of_client: list[list[int]] = [[] for _ in range(clients)]
        for label in np.unique(split.y):
            members = rng.permutation(np.flatnonzero(split.y == label))
            ends = np.rint(np.cumsum(rng.dirichlet(np.full(clients, concentration))) * len(members)).astype(int)
            for own, part in zip(of_client, np.split(members, ends[:-1]), strict=True):
                own.extend(part.tolist())
        if min(map(len, of_client)) >= least:
            return [split[np.array(sorted(own))] for own in of_client]
    raise ValueError(
        f"each of {clients} clients must get {least} of {len(split)} examples, got no such drawing in 1,000 with a "
        f"concentration of {concentration:g}."
    )
