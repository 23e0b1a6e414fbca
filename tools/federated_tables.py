"""Measure what notebook 18 has no time for: rounds of four clients, in ten draws.

    python tools/federated_tables.py                 # all tables, into tlkit/tables
    python tools/federated_tables.py --out FOLDER    # elsewhere

Rows are written as they come: a run that was stopped goes on where it was.

The rounds go on in this process, with tlkit.federated.Member and average, in the order in which Flower's clients are
averaged; tests/test_federated.py holds that Flower's rounds end in the same weights. Head alone: the bundled
resnet_printed or the same network with random weights, its features computed once. All weights: a narrow ResNet (8,
16, 32 and 64 channels), as a round of all weights of resnet_printed takes minutes here. It is pretrained by this tool
on the printed digits of the training fonts.

Learning rates are chosen in draw 100, which is none of the ten, on training images outside all labels.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from table_rows import Rows

import tlkit
from tlkit.backbones import Backbone, draw_weights, small_resnet
from tlkit.backbones.loading import SMALL_RESNET_STAGE_ENDS
from tlkit.domains import Array, Split
from tlkit.federated import HANDS, Member, Plan, average, deal, hand
from tlkit.tables import FOLDER

CLIENTS, DRAWS, CHOOSING = 4, 10, 100
ROUNDS, SHOWN = {"head": 20, "all": 10}, (1, 2, 3, 5, 7, 10, 15, 20)
CONCENTRATIONS = (0.1, 1.0, 10.0)
SCENARIOS = ("hands", *(f"dirichlet {c:g}" for c in CONCENTRATIONS))
PER_CLASS = 20  # labels per class of each hand, and of mnist before it is dealt out with a concentration
N_VALIDATION, N_TEST = 500, 500
HEAD_RATES = (1e-3, 3e-3, 1e-2, 3e-2)
ALL_RATES = (3e-4, 1e-3, 3e-3)
NARROW = (8, 16, 32, 64)
METHODS = ("federated", "centralised", "alone")
STARTS = ("pretrained", "random")
RECIPE = (
    f"{CLIENTS} clients, Adam begun anew in each round, batches of 32, one pass per round, {ROUNDS['head']} rounds "
    f"of the head, {ROUNDS['all']} of all weights; centralised and alone: as many passes; hands: {PER_CLASS} labels "
    f"per class of each ({PER_CLASS // 4} to compare BatchNorm); dirichlet: {PER_CLASS} labels per class of mnist, "
    f"dealt out; {N_TEST} test images of each domain; rates chosen in draw {CHOOSING} among {HEAD_RATES} (head) and "
    f"{ALL_RATES} (all), by the accuracy on {N_VALIDATION} other training images"
)

NAMES = ("share", "scenario", "start", "method")
Cell = tuple[str, ...]
Arrays = dict[str, Array]


@functools.cache
def pool(kind: str, name: str) -> tuple[Split, Split]:
    """A hand's training images and N_TEST test images: as they are, or what the head of a start reads of them."""
    train, test = hand(name).train, hand(name).test[:N_TEST]
    if name == "printed":
        train = train[::4]  # enough for all draws
    return (train, test) if kind == "images" else (head_member(kind).prepare(train), head_member(kind).prepare(test))


def clients(kind: str, scenario: str, draw: int, per_class: int = PER_CLASS) -> list[tuple[Split, Split]]:
    """What each client trains on, and what it is tested on; in draw CHOOSING other training images."""

    def parts(name: str) -> tuple[Split, Split]:
        train, test = pool(kind, name)
        few = train.take(per_class, seed=draw)
        return few, train.take(per_class + N_VALIDATION // 10, seed=draw)[len(few) :] if draw == CHOOSING else test

    if scenario == "hands":
        return [parts(name) for name in HANDS]
    few, test = parts("mnist")
    return [(own, test) for own in deal(few, CLIENTS, float(scenario.split()[1]), seed=draw)]


# The network ----------------------------------------------------------------------------------------------------------


@functools.cache
def head_member(start: str) -> Member:
    return Member(Plan(share="head", pretrained=start == "pretrained", seed=0), 10)


@functools.cache
def pretrained_narrow() -> list[Array]:
    """The narrow network after four passes over every second printed digit."""
    core = small_resnet(widths=NARROW, seed=0)
    backbone = Backbone("narrow", core, SMALL_RESNET_STAGE_ENDS)
    tlkit.freeze_to(backbone, 0, train_batchnorm=True)
    model = tlkit.join(core, tlkit.build_head(backbone, 10))
    tlkit.fit(model, hand("printed").train[::2], epochs=4, learning_rate=3e-3, progress=False)
    return list(core.get_weights())


@functools.cache
def all_member(batchnorm: str) -> Member:
    core = small_resnet(widths=NARROW, seed=0)
    core.set_weights(pretrained_narrow())
    return Member(Plan(share="all", batchnorm=batchnorm), 10, Backbone("narrow", core, SMALL_RESNET_STAGE_ENDS))


def begin(member: Member, start: str, draw: int) -> tuple[Arrays, Arrays]:
    """The weights to start from, those that travel and those that stay, with a new head."""
    if member.plan.share == "all":
        core = member.backbone.model
        core.set_weights(pretrained_narrow())
        if start == "random":
            core.set_weights(small_resnet(widths=NARROW, seed=draw).get_weights())
    draw_weights(member.head, draw)
    logits = member.head.get_layer("logits")
    logits.bias.assign(np.zeros(logits.bias.shape, np.float32))
    return member.shared(), member.own()


# Rounds ---------------------------------------------------------------------------------------------------------------


def rounds_of(member: Member) -> int:
    return ROUNDS[member.plan.share]


def federated(
    member: Member, start: str, dealt: Sequence[tuple[Split, Split]], draw: int, rate: float
) -> dict[int, list[float]]:
    """Each client's accuracy after some of the rounds."""
    weights, own = begin(member, start, draw)
    kept, found = [own] * len(dealt), {}
    for round_number in range(1, rounds_of(member) + 1):
        updates = []
        for i, (few, _) in enumerate(dealt):
            number = 1000 * draw + i  # draws the order of the batches
            update = member.train(
                weights, few, client=number, round_number=round_number, own=kept[i], learning_rate=rate
            )
            kept[i] = member.own()
            updates.append((update, len(few)))
        weights = average(updates)
        if round_number in SHOWN:
            found[round_number] = scores(member, weights, kept, dealt)
    return found


def scores(
    member: Member, weights: Arrays, kept: Sequence[Arrays], dealt: Sequence[tuple[Split, Split]]
) -> list[float]:
    """Of each client; one score where all have one network and one test."""
    one = not kept[0] and all(test is dealt[0][1] for _, test in dealt)
    found = []
    for (_, test), own in list(zip(dealt, kept, strict=True))[: 1 if one else None]:
        member.receive(weights, own)
        found.append(member.accuracy(test))
    return found


def joined(splits: Sequence[Split]) -> Split:
    return Split(np.concatenate([split.x for split in splits]), np.concatenate([split.y for split in splits]))


def centralised(
    member: Member, start: str, dealt: Sequence[tuple[Split, Split]], draw: int, rate: float
) -> dict[int, list[float]]:
    weights, _ = begin(member, start, draw)
    everything = joined([few for few, _ in dealt])
    number = 1000 * draw + 99
    trained = member.train(
        weights, everything, client=number, round_number=1, epochs=rounds_of(member), learning_rate=rate
    )
    return {rounds_of(member): scores(member, trained, [{}] * len(dealt), dealt)}


def alone(
    member: Member, start: str, dealt: Sequence[tuple[Split, Split]], draw: int, rate: float
) -> dict[int, list[float]]:
    found = []
    for i, (few, test) in enumerate(dealt):
        weights, own = begin(member, start, draw)
        number = 1000 * draw + i
        member.train(weights, few, client=number, round_number=1, own=own, epochs=rounds_of(member), learning_rate=rate)
        found.append(member.accuracy(test))
    return {rounds_of(member): found}


RUN = {"federated": federated, "centralised": centralised, "alone": alone}


def dealt_out(share: str, scenario: str, start: str, draw: int) -> list[tuple[Split, Split]]:
    kind = start if share == "head" else "images"
    return clients(kind, scenario, draw, PER_CLASS if share in ("head", "all") else PER_CLASS // 4)


def choose(member: Member, cell: Cell, choices: Rows) -> float:
    """The rate with the best mean accuracy of the clients in the last round."""
    share, scenario, start, method = cell
    for rate in HEAD_RATES if share == "head" else ALL_RATES:
        if choices.lacks(*cell, rate):
            dealt = dealt_out(share, scenario, start, CHOOSING)
            right = float(np.mean(RUN[method](member, start, dealt, CHOOSING, rate)[rounds_of(member)]))
            choices.add({**dict(zip(NAMES, cell, strict=True)), "rate": rate, "validation": right})
    tried = [row for row in choices.rows if tuple(row[name] for name in NAMES) == cell]
    return float(max(sorted(tried, key=lambda row: row["rate"]), key=lambda row: row["validation"])["rate"])


def measure(member: Member, cell: Cell, draw: int, out: Rows, choices: Rows) -> None:
    """The rows of a draw: of each client, or of all where they have one network and one test."""
    began = time.perf_counter()
    share, scenario, start, method = cell
    rate = choose(member, cell, choices)
    found = RUN[method](member, start, dealt_out(share, scenario, start, draw), draw, rate)
    at = {**dict(zip(NAMES, cell, strict=True)), "draw": draw}
    names = HANDS if scenario == "hands" else tuple(map(str, range(CLIENTS)))
    rows = []
    for round_number, scores in found.items():
        by_client = [("all", scores[0])] if len(scores) == 1 else zip(names, scores, strict=True)
        rows += [{**at, "round": round_number, "client": name, "accuracy": score} for name, score in by_client]
    out.add(*rows)
    typer.echo(f"{at} {[round(s, 3) for s in found[rounds_of(member)]]} in {time.perf_counter() - began:.1f} s")


def main(
    out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER,
    only: Annotated[str, typer.Option(help="head or all: the tables of these weights alone.")] = "",
) -> None:
    """Choose, measure, store."""
    cells: dict[str, list[tuple[Cell, int]]] = {"head": [], "all": []}
    for draw, *rest in itertools.product(range(DRAWS), SCENARIOS, STARTS, METHODS):
        cells["head"].append((("head", *rest), draw))
    # Random weights need a BatchNorm that learns, and both starts get the same.
    for draw, *rest in itertools.product(range(DRAWS), SCENARIOS[1:2], STARTS, METHODS[:2]):
        cells["all"].append((("all", *rest), draw))
    for draw, batchnorm in itertools.product(range(DRAWS), ("held", "shared", "local")):
        cells["all"].append(((f"all, BatchNorm {batchnorm}", "hands", "pretrained", "federated"), draw))
    for kind in [only] if only else list(cells):
        name = "federated" if kind == "head" else f"federated_{kind}"
        title = "accuracy on test images after so many rounds, of each client, or of all where they share a test"
        table = Rows(out / f"{name}.csv", title, RECIPE, *NAMES, "draw", "round", "client")
        title = "mean accuracy of the clients on validation images after the last round, per rate"
        choices = Rows(out / f"{name}_choices.csv", title, RECIPE, *NAMES, "rate")
        done = {tuple(row[name] for name in (*NAMES, "draw")) for row in table.rows if row["round"] == ROUNDS[kind]}
        for cell, draw in cells[kind]:
            if (*cell, draw) not in done:
                share, _, start, _ = cell
                batchnorm = share.removeprefix("all, BatchNorm ") if "BatchNorm" in share else "shared"
                measure(head_member(start) if kind == "head" else all_member(batchnorm), cell, draw, table, choices)


if __name__ == "__main__":
    typer.run(main)
