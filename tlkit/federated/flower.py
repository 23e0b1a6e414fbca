"""Flower's apps around a plan: what a client does with a message, what the server does with the replies.

Rounds, waiting, transport and retries are Flower's. Own are the weights that travel, the refusal of updates that no
honest client sends, and the lines of the record. Any Flower runtime runs the two apps, ``client`` and ``server``: its
simulation, or a SuperLink with SuperNodes (:mod:`tlkit.federated.running` starts either).

Each key of the run's configuration is a field of :class:`tlkit.federated.Plan` with ``-`` for ``_``, or one of
:data:`RUN`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAvg, FedProx

from tlkit.domains import Domain, Split
from tlkit.federated.clients import HANDS, hand
from tlkit.federated.member import Member, Plan, refusal
from tlkit.folders import load_folder
from tlkit.words import one_line

__all__ = ["RUN", "RefusingAvg", "RefusingPrivate", "RefusingProx", "client", "client_app", "evenly", "server"]

#: What a run says beside its plan, with defaults: rounds; how many clients the first round waits for, and how many a
#: later one; for how long a round waits for replies; the largest change of an update; labels per class that a client
#: takes of its data, and how many test examples (0: all); the number of classes; the folder that takes the record;
#: noise and clipping of Flower's differential privacy (0: none).
RUN: dict[str, str | int | float | bool] = {
    "rounds": 5,
    "clients": 4,
    "least": 2,
    "round-seconds": 600.0,
    "max-norm": 100.0,
    "labels": 20,
    "tests": 200,
    "classes": 10,
    "out": "",
    "noise": 0.0,
    "clip": 1.0,
}


def plan_of(config: Mapping[str, Any]) -> Plan:
    """The plan that a run's configuration describes."""
    names = {field.name: field.name.replace("_", "-") for field in fields(Plan)}
    return Plan(**{name: config[key] for name, key in names.items() if key in config})


# Client ---------------------------------------------------------------------------------------------------------------


def own_data(context: Context) -> Domain:
    """What a SuperNode's ``data`` names: a hand, or a folder of pictures; without it the hand of its number."""
    name = str(context.node_config.get("data", HANDS[int(context.node_config["partition-id"]) % len(HANDS)]))
    return hand(name) if name in HANDS else load_folder(name, image_size=28, channels=1)


def evenly(split: Split, n: int) -> Split:
    """At most ``n`` examples, spread evenly over a split."""
    return split if len(split) <= n else split[np.linspace(0, len(split) - 1, n).astype(int)]


def client_app(data: Callable[[Context], Domain] = own_data) -> ClientApp:
    """A client around the domain that ``data`` gives: it trains on the train part and tests on the test part.

    A SuperNode's configuration gives its number, ``partition-id``, from 0.
    """
    app = ClientApp()
    kept: dict[Any, Any] = {}  # a process that answers several messages builds its network once

    def ready(context: Context) -> tuple[Member, Split, Split]:
        run, number = {**RUN, **context.run_config}, int(context.node_config["partition-id"])
        if kept.get("run") != run:
            kept.clear()
            kept.update(run=run, member=Member(plan_of(run), int(run["classes"])))
        member: Member = kept["member"]
        if number not in kept:
            domain, labels, tests = data(context), int(run["labels"]), int(run["tests"])
            few = domain.train.take(labels, seed=member.plan.seed) if labels else domain.train
            kept[number] = member.prepare(few), member.prepare(evenly(domain.test, tests) if tests else domain.test)
        few, test = kept[number]
        return member, few, test

    def score(member: Member, message: Message, context: Context, test: Any) -> dict[str, Any]:
        own = context.state.array_records.get("own")
        member.receive(_numpy(message.content["arrays"]), _numpy(own) if own else None)
        return {"client": int(context.node_config["partition-id"]), "accuracy": member.accuracy(test)}

    @app.train()  # type: ignore[untyped-decorator, unused-ignore]  # where Flower is not installed
    def train(message: Message, context: Context) -> Message:
        member, few, test = ready(context)
        found = score(member, message, context, test)  # of the weights as they arrive: the round before
        round_number = int(message.content["config"]["server-round"])
        arrays = member.train(_numpy(message.content["arrays"]), few, client=found["client"], round_number=round_number)
        if member.own():
            context.state["own"] = _record(member.own())
        metrics = MetricRecord({**found, "num-examples": len(few)})
        return Message(RecordDict({"arrays": _record(arrays), "metrics": metrics}), reply_to=message)

    @app.evaluate()  # type: ignore[untyped-decorator, unused-ignore]
    def evaluate(message: Message, context: Context) -> Message:
        member, _, test = ready(context)
        metrics = MetricRecord({**score(member, message, context, test), "num-examples": len(test)})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def _record(arrays: Mapping[str, Any]) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def _numpy(record: Any) -> dict[str, Any]:
    return {name: array.numpy() for name, array in record.items()}


def _size(record: Any) -> int:
    return sum(len(array.data) for array in record.values())


# Server ---------------------------------------------------------------------------------------------------------------


class _Refusing:
    """Put before one of Flower's strategies: it hands on only updates that may be averaged, and writes the record.

    The first round waits until all clients have joined, a later one until ``least`` are there. Clients test the weights
    that arrive, so a round's scores come with the next round's replies, and the last ones by a message of their own.
    """

    run: Mapping[str, Any] = RUN

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Any:
        self._sent = arrays
        inner: Any = getattr(self, "strategy", self)
        inner.min_available_nodes = self.run["clients"] if server_round == 1 else self.run["least"]
        return super().configure_train(server_round, arrays, config, grid)  # type: ignore[misc]

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
        sent, taken = _numpy(self._sent), []
        for reply in replies:
            what = {"round": server_round, "node": reply.metadata.src_node_id}
            if reply.has_error():
                self.write({**what, "failed": one_line(reply.error.reason, 200)})
                continue
            try:
                got, metrics = reply.content["arrays"], dict(reply.content["metrics"])
                why = refusal(sent, _numpy(got), metrics.get("num-examples"), float(self.run["max-norm"]))
            except Exception as error:  # a stranger's bytes may break anything on the way to an array
                why = f"it must be arrays and metrics: {one_line(error, 120)}"
            if why:
                self.write({**what, "refused": why})
                continue
            self.write({**what, **metrics, "round": server_round - 1, "down": _size(self._sent), "up": _size(got)})
            taken.append((metrics.get("client"), reply))
        # In the order of the clients: so the sum, in floating point, does not depend on who was first.
        taken.sort(key=lambda pair: str(pair[0]).zfill(9))
        if not taken:
            return None, None
        return super().aggregate_train(server_round, [reply for _, reply in taken])  # type: ignore[misc]

    def configure_evaluate(self, server_round: int, *rest: Any) -> Any:
        return super().configure_evaluate(server_round, *rest) if server_round == self.run["rounds"] else []  # type: ignore[misc]

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> Any:
        for reply in replies:
            what = {"round": server_round, "node": reply.metadata.src_node_id}
            if reply.has_error():
                self.write({**what, "failed": one_line(reply.error.reason, 200)})
            else:
                self.write({**dict(reply.content["metrics"]), **what, "down": _size(self._sent), "up": 0})

    def write(self, row: dict[str, Any]) -> None:
        """Add a line to the record."""
        if self.run["out"]:
            with (Path(str(self.run["out"])) / "record.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


class RefusingAvg(_Refusing, FedAvg):  # type: ignore[misc, unused-ignore]
    """Flower's FedAvg, of updates that may be averaged."""


class RefusingProx(_Refusing, FedProx):  # type: ignore[misc, unused-ignore]
    """Flower's FedProx, of updates that may be averaged; the clients add the term (:class:`Plan`'s ``mu``)."""


class RefusingPrivate(_Refusing, DifferentialPrivacyServerSideFixedClipping):  # type: ignore[misc, unused-ignore]
    """Flower's differential privacy (clipping and noise on the server), of updates that may be averaged."""


def strategy_of(config: Mapping[str, Any]) -> Any:
    """FedAvg, or FedProx where the plan has a ``mu``, within Flower's differential privacy where there is noise."""
    run, plan = {**RUN, **config}, plan_of(config)
    least = {f"min_{kind}_nodes": int(run["least"]) for kind in ("train", "evaluate", "available")}
    if run["noise"]:
        inner = FedProx(proximal_mu=plan.mu, **least) if plan.mu else FedAvg(**least)
        strategy = RefusingPrivate(inner, float(run["noise"]), float(run["clip"]), int(run["clients"]))
    else:
        strategy = RefusingProx(proximal_mu=plan.mu, **least) if plan.mu else RefusingAvg(**least)
    strategy.run = run
    return strategy


def _serve(grid: Grid, context: Context) -> None:
    """All rounds; the last weights are written beside the record."""
    run, strategy = {**RUN, **context.run_config}, strategy_of(context.run_config)
    member = Member(plan_of(context.run_config), int(run["classes"]))
    result = strategy.start(grid, _record(member.shared()), int(run["rounds"]), timeout=float(run["round-seconds"]))
    if run["out"] and result.arrays:
        np.savez(Path(str(run["out"])) / "weights.npz", **_numpy(result.arrays))
    strategy.write({"done": True})


client = client_app()
server = ServerApp()
server.main()(_serve)
