"""The tables of tools/control_tables.py: physics, learning, what is frozen, and notebook 20, which says the same."""

import ast
import dataclasses
import itertools
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import build_notebooks
import jupytext
import numpy as np
import pandas as pd
import pytest
from helpers import assert_says_how_it_was_made
from marks import in_bank
from table_rows import best_setting

import tlkit
from tlkit.tables import FOLDER, read_table

gymnasium = pytest.importorskip("gymnasium")

import control_tables  # noqa: E402  # it needs gymnasium
from control_tables import CHOOSING, MEASURED, METHODS, SEEDS, SOURCE, TRIED, WORLDS, World  # noqa: E402

NAMES = ("control", "control_choices", "control_zero")
OTHER = World(length=1.5, masspole=0.7, masscart=2.0, force_mag=-8.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_says_what_it_is_how_it_was_made_and_when(name: str) -> None:
    assert_says_how_it_was_made(FOLDER / f"{name}.csv", "python tools/control_tables.py")
    assert (FOLDER / f"{name}.csv").stat().st_size < 40_000


def test_each_seed_has_each_method_in_each_world_at_the_rate_that_was_chosen() -> None:
    rows, tried = read_table(FOLDER / "control.csv"), read_table(FOLDER / "control_choices.csv")
    runs = [*MEASURED, (SOURCE, "scratch")]
    wanted = {(*run, seed) for run in runs for seed in SEEDS}
    assert set(rows[["world", "method", "seed"]].itertuples(index=False, name=None)) == wanted
    assert len(rows) == len(wanted)
    for world, method in runs:
        own = tried[(tried["world"] == world) & (tried["method"] == method)]
        settings = set(own[["seed", "rate"]].itertuples(index=False, name=None))
        assert settings == set(itertools.product(CHOOSING, METHODS[method].rates))
        (rate,) = rows.loc[(rows["world"] == world) & (rows["method"] == method), "rate"].unique()
        assert rate == best_setting(own.to_dict("records"), "rate")[0]
    assert not set(CHOOSING) & set(SEEDS)


def test_returns_are_those_of_carts() -> None:
    rows, zeros = read_table(FOLDER / "control.csv"), read_table(FOLDER / "control_zero.csv")
    returns = rows[[name for name in rows if name.startswith("after_")]].to_numpy()
    assert returns.shape[1] == control_tables.UPDATES // control_tables.EVERY + 1
    assert ((returns >= 1) & (returns <= 500)).all()
    assert len(zeros) == 3 * len(TRIED) * len(SEEDS)
    assert zeros["doubt"].between(0, 0.5).all()
    of_source = rows[rows["world"] == SOURCE].set_index("seed")["after_64"]
    here = (zeros[list(dataclasses.asdict(World()))] == list(dataclasses.astuple(World()))).all(axis=1)
    home = zeros[(zeros["policy"] == "source") & here]
    assert np.allclose(home.set_index("seed")["return"], of_source)
    # A fine-tuned network sets out from what it does without training.
    long = rows[(rows["world"] == "long pole") & (rows["method"] == "fine-tuned")].set_index("seed")["after_0"]
    tried = zeros[(zeros["policy"] == "source") & (zeros["length"] == WORLDS["long pole"].length)]
    assert np.allclose(tried.set_index("seed")["return"], long)
    soft = (rows["world"] == "long pole") & (rows["method"] == "fine-tuned, softened head")
    assert np.allclose(rows[soft].set_index("seed")["after_0"], long)  # the same greedy policy


def test_a_changed_world_moves_as_gymnasiums_own_single_cart() -> None:
    many, one = control_tables.carts(OTHER, 3), gymnasium.make("CartPole-v1").unwrapped
    for name, value in dataclasses.asdict(OTHER).items():
        setattr(one, name, value)
    one.total_mass, one.polemass_length = OTHER.masspole + OTHER.masscart, OTHER.masspole * OTHER.length
    states, _ = many.reset(seed=3)
    one.reset()
    one.state = many.state[:, 1].copy()
    for action in np.random.default_rng(0).integers(2, size=30):
        states, _, fallen, _, _ = many.step(np.array([1 - action, action, 1]))
        alone, _, fell, _, _ = one.step(int(action))
        assert np.array_equal(states[1], alone)
        assert fallen[1] == fell
        if fell:
            break


def test_a_return_is_the_number_of_steps_of_a_single_cart() -> None:
    weights, envs = control_tables.fresh_weights(2), control_tables.carts(OTHER, 4)
    starts = envs.reset(seed=control_tables.STARTS)[0]
    one, steps = control_tables.carts(OTHER, 1), []
    for number in range(4):
        one.reset(seed=0)
        one.state = starts[number, :, None].astype(float)
        state, over, count = starts[[number]], False, 0
        while not over:
            state, _, fallen, late, _ = one.step(control_tables.answer(weights, state)[1].argmax(axis=1))
            over, count = bool(fallen[0] or late[0]), count + 1
        steps.append(count)
    assert abs(control_tables.evaluate(weights, envs) - np.mean(steps)) <= 1  # a start is rounded to float32 here


def test_networks_side_by_side_get_the_returns_that_each_gets_alone() -> None:
    networks = [control_tables.fresh_weights(seed) for seed in range(3)]
    alone = [control_tables.evaluate(each, control_tables.carts(OTHER, control_tables.EPISODES)) for each in networks]
    assert control_tables.evaluate_all(networks, OTHER) == alone


def test_the_network_in_numpy_is_the_one_in_keras() -> None:
    learner, states = control_tables.prepare(0), np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    learner.whole.set_weights(control_tables.fresh_weights(4))
    features, logits, values = control_tables.answer(learner.whole.get_weights(), states, 2)
    assert np.allclose(features, learner.backbone.model(states), atol=1e-5)
    in_keras = learner.whole(states)
    assert np.allclose(logits, in_keras[0], atol=1e-5)
    assert np.allclose(values, in_keras[1][:, 0], atol=1e-5)


def test_doubt_is_the_probability_of_the_other_push() -> None:
    weights = control_tables.fresh_weights(0)
    weights[4][:] = 0
    assert control_tables.doubt(weights, control_tables.carts(World(), 3)) == 0.5
    weights[5][:] = 0, 3
    assert np.isclose(control_tables.doubt(weights, control_tables.carts(World(), 3)), 1 / (1 + np.exp(3)))


def test_an_advantage_is_the_sum_of_the_surprises_until_the_episode_ends() -> None:
    rng, n = np.random.default_rng(0), 5
    rewards, values = rng.normal(size=(12, n)), rng.normal(size=(13, n))
    fallen = rng.random((12, n)) < 0.15
    over = fallen | (rng.random((12, n)) < 0.1)
    counts = np.concatenate([np.ones((1, n)), ~over[:-1]])
    found = control_tables.advantages(rewards, values, fallen, over, counts)
    discount, trace = control_tables.DISCOUNT, control_tables.TRACE
    for t, cart in itertools.product(range(12), range(n)):
        wanted, weight = 0.0, 1.0
        for later in range(t, 12) if counts[t, cart] else ():
            ahead = 0.0 if fallen[later, cart] else values[later + 1, cart]
            wanted += weight * (rewards[later, cart] + discount * ahead - values[later, cart])
            weight *= discount * trace
            if over[later, cart]:
                break
        assert np.isclose(found[t, cart], wanted)


@pytest.mark.parametrize("stage", in_bank([0, 1, 2], but=[0, 2]))
def test_frozen_weights_stay_to_the_bit_and_all_others_move(stage: int) -> None:
    before = control_tables.fresh_weights(1)
    after = control_tables.train(before, WORLDS["long pole"], stage=stage, rate=1e-2, seed=1, updates=2).weights
    same = [np.array_equal(one, other) for one, other in zip(before, after, strict=True)]
    assert same == [True] * (2 * stage) + [False] * (8 - 2 * stage)


def test_learning_from_kept_features_is_learning_with_frozen_layers() -> None:
    """The update of stage 2 sees features alone. Here the whole network, its hidden layers frozen, sees the states."""
    start, order = control_tables.fresh_weights(3), np.arange(1024).reshape(4, 256)
    ended = []
    for stage in (2, 0):
        # Not the learner that other tests go on with, and each step by itself: compiling takes longer than four.
        learner, moving = control_tables.prepare.__wrapped__(stage), control_tables.Carts(World(), 5)
        learner.whole.set_weights(start)
        control_tables.reset_optimizer(learner.model)
        rollout, model = moving.drive(start, stage), learner.model
        if stage == 0:
            tlkit.freeze_to(learner.backbone, 2)
            model = learner.whole
        model.compile(optimizer=control_tables.keras.optimizers.Adam(1e-2, global_clipnorm=0.5))
        update = control_tables.updater(model).python_function
        update(*map(control_tables.tf.constant, rollout), control_tables.tf.constant(order))
        ended.append(learner.whole.get_weights())
    assert all(np.array_equal(*pair) for pair in zip(ended[0][:4], start[:4], strict=True))
    assert all(np.allclose(*pair, atol=1e-5) for pair in zip(*ended, strict=True))
    assert not np.allclose(ended[0][4], start[4], atol=1e-3)


def test_a_method_starts_with_the_layers_that_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    learned = control_tables.fresh_weights(77)
    training = control_tables.Training([], [], learned)
    monkeypatch.setattr(control_tables, "source_training", lambda seed: training)
    fresh = control_tables.fresh_weights(1)
    for name, method in METHODS.items():
        for place, weights in enumerate(control_tables.start(name, 1)):
            of_source = method.hidden if place < 4 else method.heads
            soften = method.soften if place in (4, 5) else 1
            assert np.array_equal(soften * weights, (learned if of_source else fresh)[place])
            assert name == "fine-tuned, softened head" or method.soften == 1


@pytest.mark.parametrize(
    ("returns", "episodes"), [([9, 300, 475, 100], 7), ([500, 1, 1, 1], 0), ([9, 9, 474.9, 200], 9)]
)
def test_episodes_until_the_threshold_or_all_of_them(returns: list[float], episodes: int) -> None:
    row = control_tables.row_of({"seed": 3}, control_tables.Training(returns, [0, 4, 7, 9], []))
    assert row["episodes"] == episodes
    assert row["seed"] == 3
    assert [row[f"after_{control_tables.EVERY * number}"] for number in range(4)] == returns


def shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool with two seeds, two methods and trainings of eight updates."""
    whole = control_tables.train
    monkeypatch.setattr(control_tables, "train", lambda *args, **rest: whole(*args, **rest, updates=8))
    monkeypatch.setattr(control_tables, "SEEDS", range(2))
    monkeypatch.setattr(control_tables, "CHOOSING", (100,))
    monkeypatch.setattr(control_tables, "TRIED", (World(), OTHER))
    monkeypatch.setattr(control_tables, "MEASURED", [("reversed", "scratch"), ("reversed", "frozen, new heads")])
    rates = {"scratch": (control_tables.SOURCE_RATE,), "frozen, new heads": (1e-2, 3e-2)}
    few = {name: dataclasses.replace(METHODS[name], rates=tried) for name, tried in rates.items()}
    monkeypatch.setattr(control_tables, "METHODS", few)
    control_tables.source_training.cache_clear()


@pytest.mark.slow
@pytest.mark.bank
def test_a_run_that_was_stopped_goes_on_and_finds_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shortened(monkeypatch)
    control_tables.main(tmp_path)
    whole = {name: (tmp_path / f"{name}.csv").read_text() for name in NAMES}
    for name, text in whole.items():
        lines = text.splitlines(keepends=True)
        (tmp_path / f"{name}.csv").write_text("".join(lines[: -len(lines) // 3]))
    control_tables.source_training.cache_clear()
    control_tables.main(tmp_path)
    control_tables.source_training.cache_clear()  # it was made by shortened trainings
    for name, text in whole.items():
        assert (tmp_path / f"{name}.csv").read_text() == text
    assert len(read_table(tmp_path / "control.csv")) == 2 * 3


def definitions(code: str) -> list[str]:
    """The imports, functions and UPPER_CASE constants of a cell."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    found = []
    for node in ast.parse(code).body:
        constant = isinstance(node, ast.Assign) and all(name.id.isupper() for name in names_in(node.targets))
        if constant or isinstance(node, kept):
            found.append(ast.unparse(node))
    return found


def names_in(nodes: Sequence[ast.AST]) -> list[ast.Name]:
    return [name for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)]


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What notebook 20 defines, without any of its trainings."""
    (source,) = build_notebooks.sources(["20"])
    cells = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "code"]
    code = ["import gymnasium", *itertools.chain.from_iterable(map(definitions, cells))]
    path = tmp_path_factory.mktemp("notebook") / "control_notebook.py"
    path.write_text("\n\n".join(code), encoding="utf-8")  # a file: TensorFlow reads the source of what it compiles
    return runpy.run_path(str(path))


def test_the_notebook_and_the_tool_have_the_same_settings(notebook: dict[str, Any]) -> None:
    for name in ("CARTS", "STEPS", "UPDATES", "EPISODES", "STARTS", "DISCOUNT", "TRACE", "CLIP", "EPOCHS", "BATCH"):
        assert notebook[name] == getattr(control_tables, name)
    for name in ("VALUE_WEIGHT", "THRESHOLD", "SOURCE_RATE"):
        assert notebook[name] == getattr(control_tables, name)
    assert {name: World(**changes) for name, changes in notebook["WORLDS"].items()} == WORLDS


@pytest.mark.parametrize("stage", [0, 2])
def test_the_notebook_learns_what_the_tool_learns(
    notebook: dict[str, Any], stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = notebook["fresh_weights"](6)
    assert all(np.array_equal(*pair) for pair in zip(start, control_tables.fresh_weights(6), strict=True))
    monkeypatch.setitem(notebook["train"].__globals__, "UPDATES", 8)
    returns, weights = notebook["train"](start, {"length": 1.5}, stage, 1e-2, 6)
    ours = control_tables.train(start, WORLDS["long pole"], stage=stage, rate=1e-2, seed=6, updates=8)
    assert np.allclose(returns, ours.returns[::2])
    assert all(np.allclose(*pair, atol=1e-5) for pair in zip(weights, ours.weights, strict=True))


def test_measures_of_made_up_curves(notebook: dict[str, Any]) -> None:
    after = notebook["AFTER"]
    returns = np.full((3, len(after)), 100.0)
    returns[0, 2:] = 480  # there at the third evaluation, and it stays
    returns[1, -1] = 474.9  # never there
    returns[2, 0] = 500  # there at once, and lost again
    runs = pd.DataFrame(returns, columns=after).assign(episodes=[12, 90, 0])
    found = notebook["measures"](runs)
    assert found["reached"].tolist() == [True, False, True]
    every = control_tables.EVERY * control_tables.CARTS * control_tables.STEPS
    assert found["steps"].tolist() == [
        2 * every,
        control_tables.UPDATES * control_tables.CARTS * control_tables.STEPS,
        0,
    ]
    assert found["episodes"].tolist() == [12, 90, 0]
    assert found["start"].tolist() == [100, 100, 500]
    assert np.allclose(found["final"], [480, (3 * 100 + 474.9) / 4, 100])
    assert np.allclose(found["mean"], returns.mean(axis=1))
