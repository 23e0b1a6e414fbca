"""Federated transfer: the mean, who holds what, what travels, what is refused; Flower's rounds are those by hand."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tlkit
from tlkit.backbones import Backbone, small_resnet
from tlkit.domains import Split
from tlkit.federated import HANDS, Member, Plan, average, deal, hand, payload_bytes, refusal
from tlkit.federated.running import APPS, QUIET, NodeProcess, federate


@pytest.fixture(scope="module")
def member() -> Member:
    return Member(Plan(), 10)


@pytest.fixture(scope="module")
def prepared(member: Member) -> list[Split]:
    """Five labels per class of each hand, as the head reads them."""
    return [member.prepare(hand(name).train.take(5, seed=0)) for name in HANDS]


def rounds_by_hand(member: Member, weights: Any, splits: list[Split], rounds: int) -> Any:
    for round_number in range(1, rounds + 1):
        updates = [
            (member.train(weights, split, client=i, round_number=round_number), len(split))
            for i, split in enumerate(splits)
        ]
        weights = average(updates)
    return weights


def assert_same(one: Any, other: Any) -> None:
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


# The mean


def test_the_mean_is_weighted_by_the_numbers_of_examples() -> None:
    rng = np.random.default_rng(0)
    updates = [({"a": rng.normal(size=(3, 2)), "b": rng.normal(size=4)}, n) for n in (10, 30, 60)]
    mean = average(updates)
    for name in ("a", "b"):
        np.testing.assert_allclose(mean[name], np.average([u[name] for u, _ in updates], axis=0, weights=[10, 30, 60]))
    assert_same(average(updates[:1]), updates[0][0])


def test_updates_that_cannot_be_averaged_are_named() -> None:
    one = {"a": np.zeros(3, np.float32)}
    with pytest.raises(ValueError, match="one client or more, got none"):
        average([])
    with pytest.raises(ValueError, match=r"array a is \(3,\) float32, got \(2,\) float32"):
        average([(one, 1), ({"a": np.zeros(2, np.float32)}, 1)])
    with pytest.raises(ValueError, match="examples must be an integer of 1 or more, got 0"):
        average([(one, 0)])


def test_one_step_of_all_clients_is_one_step_on_all_examples(prepared: list[Split]) -> None:
    # The gradient of a mean is the mean of the gradients: plain descent, a whole batch, one pass.
    member = Member(Plan(optimizer="sgd", learning_rate=0.1, batch_size=1000), 10)
    start = member.shared()
    sizes = (50, 20, 10, 30)
    splits = [split[:n] for split, n in zip(prepared, sizes, strict=True)]
    ours = rounds_by_hand(member, start, splits, 1)
    everything = Split(np.concatenate([s.x for s in splits]), np.concatenate([s.y for s in splits]))
    theirs = member.train(start, everything, client=0, round_number=1)
    for name in start:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)
        assert np.abs(ours[name] - start[name]).max() > 1e-4


# Clients


def test_four_hands_write_the_same_digits_and_share_no_example() -> None:
    domains = [hand(name) for name in HANDS]
    assert len({domain.classes for domain in domains}) == 1
    assert {domain.train.x.shape[1:] for domain in domains} == {(28, 28, 1)}
    mnist = tlkit.load_domain("mnist").train
    blended = hand("mnist-m").train
    assert len(hand("mnist").train) + len(blended) == len(mnist)
    np.testing.assert_array_equal(hand("mnist").train.x, mnist.x[::2])
    np.testing.assert_array_equal(blended.y, mnist.y[1::2])
    with pytest.raises(ValueError, match="hand must be one of"):
        hand("fashion")


@pytest.mark.parametrize("concentration", [0.1, 1.0, 10.0])
def test_dealing_gives_each_example_to_one_client(concentration: float) -> None:
    split = Split(np.arange(400, dtype=np.float32)[:, None], np.arange(400) % 10)
    dealt = deal(split, 4, concentration, seed=3)
    assert sorted(np.concatenate([part.x[:, 0] for part in dealt]).tolist()) == split.x[:, 0].tolist()
    assert min(map(len, dealt)) >= 2
    for part in dealt:
        np.testing.assert_array_equal(part.y, part.x[:, 0].astype(int) % 10)


def test_a_small_concentration_deals_out_unevenly() -> None:
    split = Split(np.zeros((1000, 1), np.float32), np.arange(1000) % 10)

    def largest_share(concentration: float) -> float:
        shares = [np.bincount(part.y, minlength=10).max() / len(part) for part in deal(split, 4, concentration, seed=0)]
        return float(np.mean(shares))

    assert largest_share(0.1) > largest_share(1.0) > largest_share(1000.0) >= 0.1
    with pytest.raises(ValueError, match="no such drawing"):
        deal(split[:8], 4, 0.1, seed=0, least=3)


# What travels


def test_the_head_is_480_times_smaller_than_all_weights() -> None:
    sizes = {share: payload_bytes(Member(Plan(share=share), 10).shared()) for share in ("head", "adapters", "all")}
    assert sizes["head"] == 4 * 2570
    assert sizes["all"] == 4 * 1_225_514
    assert round(sizes["all"] / sizes["head"], -1) == 480
    assert sizes["head"] < sizes["adapters"] < sizes["all"]


def test_a_pretrained_network_travels_without_batchnorm_unless_it_learns() -> None:
    held, shared, local = (Member(Plan(share="all", batchnorm=way), 10) for way in ("held", "shared", "local"))
    assert (held.own(), shared.own()) == ({}, {})
    assert payload_bytes(local.shared()) == payload_bytes(held.shared())
    assert payload_bytes(shared.shared()) == payload_bytes(local.shared()) + payload_bytes(local.own())


def test_local_batchnorm_stays_with_its_client() -> None:
    small = Backbone("small", small_resnet(widths=(4, 4)), ("stage1_out", "stage2_out", "stage3_out"))
    member = Member(Plan(share="all", batchnorm="local"), 10, small)
    start, own = member.shared(), member.own()
    found = []
    for name in ("printed", "mnist-m"):
        member.train(start, hand(name).train.take(1, seed=0), client=0, round_number=1, own=own)
        found.append(member.own())
    assert any(np.abs(found[0][key] - found[1][key]).max() > 1e-3 for key in own)
    member.receive(start, own)
    assert_same(member.own(), own)


def test_a_round_depends_on_what_is_received_alone(member: Member, prepared: list[Split]) -> None:
    start = Member(Plan(), 10).shared()
    first = member.train(start, prepared[0], client=0, round_number=1)
    member.train(first, prepared[1], client=1, round_number=1)  # another client's turn in the same process
    assert_same(member.train(start, prepared[0], client=0, round_number=1), first)
    assert_same(Member(Plan(), 10).train(start, prepared[0], client=0, round_number=1), first)


def test_the_head_reads_the_mean_over_the_map(member: Member) -> None:
    test = hand("mnist").test[:50]
    whole = tlkit.join(member.backbone.model, member.head)
    assert member.accuracy(member.prepare(test)) == pytest.approx(tlkit.accuracy(whole, test))


def test_fedprox_stays_nearer_to_what_was_received(prepared: list[Split]) -> None:
    moved = []
    for mu in (0.0, 1.0, 100.0):
        member = Member(Plan(mu=mu, optimizer="sgd", learning_rate=0.01, epochs=5), 10)
        start = member.shared()
        trained = member.train(start, prepared[1], client=0, round_number=1)
        moved.append(float(np.sqrt(sum(np.sum((trained[name] - start[name]) ** 2) for name in start))))
    assert moved[0] > moved[1] > 2 * moved[2] > 0


def test_plans_and_weights_that_cannot_be_are_named(member: Member, prepared: list[Split]) -> None:
    for wrong, words in (
        ({"share": "tail"}, "share must be one of 'adapters', 'all', 'head', got 'tail'"),
        ({"batchnorm": "local"}, "batchnorm must be 'held' unless all weights are shared"),
        ({"share": "all", "pretrained": False}, "batchnorm must be 'shared' or 'local' without pretrained weights"),
        ({"mu": -1.0}, "mu must be 0 or more"),
    ):
        with pytest.raises(ValueError, match=words):
            Plan(**wrong)
    with pytest.raises(ValueError, match="weights must be those of the plan: 2 arrays by their names, got 1"):
        member.receive({"000": member.shared()["000"]})
    lost = Member(Plan(), 10)  # Adam's step is the rate's size whatever the loss: this one leaves what float32 can hold
    with pytest.raises(FloatingPointError, match="client 2 in round 3: learning_rate, 1e"):
        lost.train(lost.shared(), prepared[0], client=2, round_number=3, epochs=5, learning_rate=1e38)


# What is refused


def spoiled(arrays: dict[str, Any]) -> dict[str, tuple[dict[str, Any], Any, str]]:
    """Updates that no honest client sends: arrays, number of examples, and what is said of them."""
    first = next(iter(arrays))
    nan = arrays[first].copy()
    nan.flat[0] = np.nan
    return {
        "NaN": ({**arrays, first: nan}, 50, "must be finite, got NaN or inf in 1 of them"),
        "shape": ({**arrays, first: arrays[first][1:]}, 50, "must have the arrays that were sent"),
        "kind": ({**arrays, first: arrays[first].astype(np.float64)}, 50, "must have the arrays that were sent"),
        "missing": ({first: arrays[first]}, 50, "got 1"),
        "norm": ({**arrays, first: arrays[first] + 1e6}, 50, "norm of its change must be at most 100, got"),
        "none": (arrays, 0, "number of examples must be 1 to 1,000,000, got 0"),
        "half": (arrays, 0.5, "number of examples must be 1 to 1,000,000, got 0.5"),
        "many": (arrays, 10**12, "number of examples must be 1 to 1,000,000, got 1000000000000"),
    }


@pytest.mark.parametrize("kind", ["NaN", "shape", "kind", "missing", "norm", "none", "half", "many"])
def test_a_hostile_update_is_refused_in_one_line(member: Member, kind: str) -> None:
    arrays = member.shared()
    got, examples, words = spoiled(arrays)[kind]
    why = refusal(arrays, got, examples, 100.0)
    assert words in why
    assert why.count("\n") == 0
    assert refusal(arrays, arrays, 50, 100.0) == ""


# Flower's rounds


def test_without_flower_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^flwr must be installed for this: pip install 'tlkit\[federated\]'\.$"):
        next(federate({"clients": 4}, tmp_path))


def test_nothing_is_counted_unasked() -> None:
    assert QUIET == {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0"}


LABELS = 5
CONFIG = {"rounds": 2, "clients": 4, "labels": LABELS, "share": "head", "round-seconds": 300.0, "tests": 50}


class Handed:
    """Stands in for Flower's grid: each message is handed to the client's app at once."""

    def __init__(self, client: Any, config: dict[str, Any], spoil: Any = None) -> None:
        from flwr.app import Context, RecordDict
        from flwr.supercore.task_identity import TaskIdentity  # what Flower's processes set; messages ask for it

        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 0

        def context(i: int) -> Any:
            return Context(1, i + 1, {"partition-id": i, "num-partitions": 4}, RecordDict(), config)

        self.client, self.spoil = client, spoil
        self.contexts = {i + 1: context(i) for i in range(4)}

    def get_node_ids(self) -> list[int]:
        return list(self.contexts)

    def send_and_receive(self, messages: Any, *, timeout: float | None = None) -> list[Any]:
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            message.metadata.__dict__["_message_id"] = f"{node}"
            reply = self.client(message, self.contexts[node])
            reply.metadata.__dict__["_src_node_id"] = node
            if self.spoil and message.metadata.message_type == "train":
                self.spoil(node, reply)
            replies.append(reply)
        return replies[::-1]  # whoever was last answers first


def flower_rounds(tmp_path: Path, spoil: Any = None, **more: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    pytest.importorskip("flwr", reason="the extra federated is not installed")
    from tlkit.federated import flower

    config = {**CONFIG, **more, "out": str(tmp_path)}
    strategy = flower.strategy_of(config)
    member = Member(flower.plan_of(config), 10)
    grid: Any = Handed(flower.client, config, spoil)
    result = strategy.start(grid, flower._record(member.shared()), int(config["rounds"]))
    record = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    return flower._numpy(result.arrays), record


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_flowers_rounds_end_in_the_weights_of_the_rounds_by_hand(
    mu: float, prepared: list[Split], tmp_path: Path
) -> None:
    theirs, record = flower_rounds(tmp_path, mu=mu)
    member = Member(Plan(mu=mu), 10)
    ours = rounds_by_hand(member, member.shared(), prepared, 2)
    assert_same(ours, theirs)
    member.receive(ours)
    tests = [split[np.linspace(0, len(split) - 1, 50).astype(int)] for split in (hand(name).test for name in HANDS)]
    last = {row["client"]: row["accuracy"] for row in record if row["round"] == 2}
    assert last == {i: member.accuracy(member.prepare(test)) for i, test in enumerate(tests)}
    assert {row["up"] for row in record if row["round"] < 2} == {payload_bytes(ours) + 2 * 128}  # NumPy's own lines


def test_flower_keeps_a_clients_batchnorm(tmp_path: Path) -> None:
    theirs, _ = flower_rounds(tmp_path, share="all", batchnorm="local", labels=1, rounds=1)
    assert payload_bytes(theirs) == payload_bytes(Member(Plan(share="all"), 10).shared())


@pytest.mark.parametrize("kind", ["NaN", "shape", "norm", "many", "garbage"])
def test_flower_averages_the_others_when_one_is_hostile(kind: str, prepared: list[Split], tmp_path: Path) -> None:
    def spoil(node: int, reply: Any) -> None:
        from flwr.app import ArrayRecord, MetricRecord

        from tlkit.federated import flower

        if node != 3:
            return
        if kind == "garbage":
            reply.content["metrics"] = MetricRecord({})
            reply.content["arrays"] = ArrayRecord()
            return
        arrays, examples, _ = spoiled(flower._numpy(reply.content["arrays"]))[kind]
        reply.content["arrays"] = flower._record(arrays)
        reply.content["metrics"] = MetricRecord({**dict(reply.content["metrics"]), "num-examples": examples})

    theirs, record = flower_rounds(tmp_path, spoil, rounds=1)
    member = Member(Plan(), 10)
    start = member.shared()
    honest = [(member.train(start, prepared[i], client=i, round_number=1), len(prepared[i])) for i in (0, 1, 3)]
    assert_same(average(honest), theirs)
    assert [row["node"] for row in record if "refused" in row] == [3]


def test_noise_needs_no_other_code(tmp_path: Path) -> None:
    noisy, _ = flower_rounds(tmp_path, noise=1.0, clip=0.5, rounds=1)
    (tmp_path / "record.jsonl").unlink()
    plain, _ = flower_rounds(tmp_path, noise=1e-9, clip=0.5, rounds=1)
    spread = np.std(noisy["000"] - plain["000"])
    assert spread == pytest.approx(1.0 * 0.5 / 4, rel=0.1)  # the multiplier, times the norm, over the clients


# Processes


def left_over(log: Path) -> list[str]:
    """Flower's processes that are still there after ten seconds: some see only then that their parent is gone."""
    end = time.monotonic() + 10
    while (found := processes_of(log)) and time.monotonic() < end:
        time.sleep(0.5)
    return found


def processes_of(log: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            home = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if ("flower-" in command or "flwr-" in command) and f"TLKIT_TEST={log}" in home:
            found.append(command)
    return found


@pytest.fixture
def flower_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("flwr", reason="the extra federated is not installed")
    if os.name == "nt":
        pytest.skip("processes are looked for in /proc")
    monkeypatch.setenv("TLKIT_TEST", str(tmp_path))
    root = str(Path(tlkit.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))


def check_weights(out: Path, prepared: list[Split], rounds: int) -> None:
    member = Member(Plan(), 10)
    ours = rounds_by_hand(member, member.shared(), prepared, rounds)
    with np.load(out / "weights.npz") as theirs:
        for name in ours:
            # Another process may sum in another order (threads): the last digit of float32.
            np.testing.assert_allclose(theirs[name], ours[name], atol=1e-6)


@pytest.mark.usefixtures("flower_here")
def test_the_simulation_ends_in_the_same_weights(prepared: list[Split], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra federated is not installed")
    rows = list(federate(CONFIG, tmp_path, simulation=True))
    assert sorted((row["round"], row["client"]) for row in rows) == [(r, c) for r in range(3) for c in range(4)]
    check_weights(tmp_path, prepared, 2)
    assert left_over(tmp_path) == []


HOSTILE = (
    APPS
    + """
import time


def mod(message, context, call_next):
    number = context.node_config["partition-id"]
    if number == 1 and message.metadata.message_type == "train":
        time.sleep(20)  # a late one
    reply = call_next(message, context)
    if number == 2 and message.metadata.message_type == "train":
        from tlkit.federated.flower import _numpy, _record

        reply.content["arrays"] = _record({k: a * float("nan") for k, a in _numpy(reply.content["arrays"]).items()})
    return reply


from flwr.clientapp import ClientApp

honest = flower.client
client = ClientApp(mods=[mod])
client.train()(lambda message, context: honest(message, context))
client.evaluate()(lambda message, context: honest(message, context))
"""
)


@pytest.mark.usefixtures("flower_here")
def test_processes_survive_a_dead_node_wait_for_a_late_one_and_refuse_a_hostile_one(
    prepared: list[Split], tmp_path: Path
) -> None:
    nodes: list[NodeProcess] = []
    rows = []
    began = time.monotonic()
    for row in federate({**CONFIG, "round-seconds": 120.0}, tmp_path, apps=HOSTILE, nodes=nodes):
        rows.append(row)
        if len(nodes) == 4 and nodes[3].poll() is None and row["round"] == 0:
            os.killpg(nodes[3].pid, signal.SIGKILL)  # its second round has begun, or is about to
    assert time.monotonic() - began > 20, "nobody waited for the late one"
    refused = {row["node"] for row in rows if "refused" in row}
    assert len(refused) == 1
    scored = {
        row["round"]: sorted(r["client"] for r in rows if r["round"] == row["round"] and "accuracy" in r)
        for row in rows
    }
    assert scored[0] == [0, 1, 3]  # the hostile one's scores are not believed either
    assert set(scored[2]) >= {0, 1}
    assert left_over(tmp_path) == []
    member = Member(Plan(), 10)
    start = member.shared()
    with np.load(tmp_path / "weights.npz") as theirs:
        first = average(
            [(member.train(start, prepared[i], client=i, round_number=1), len(prepared[i])) for i in (0, 1, 3)]
        )
        second = average(
            [(member.train(first, prepared[i], client=i, round_number=2), len(prepared[i])) for i in (0, 1)]
        )
        for name in start:
            np.testing.assert_allclose(theirs[name], second[name], atol=1e-6)
