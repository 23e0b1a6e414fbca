# %% [markdown]
# # ps2 · Domains
#
# **Question: can you split a domain so that the test measures no memory, score a source head on a target it was not
# made for, and bring any picture into the frame that the network knows?**
#
# Takes 60 to 90 minutes, without a network. Work through notebook 02 first.
#
# **How it works.** Replace each `raise NotImplementedError()` by your code, and keep the names of the functions. The
# cells below yours hold examples: run them as often as you like. After you have handed in, more tests run, on random
# data. They look at what comes out, not at how you wrote it: any loop or library that gives a right result is right.
# What each of them looks at is written in its cell.
#
# | word | meaning here |
# |---|---|
# | group | what belongs together: all images of one font family, of one writer, of one patient |
# | leak | something of the test part that lies in the training part too |
# | ink | pixels above 0; the paper is 0 |
# | box | the smallest rectangle of pixels that holds all ink |

# %% readonly="setup"
import numpy as np
from PIL import Image


def resize(ink, height, width):
    """A grey image (h, w), uint8, scaled to (height, width): for part 4."""
    return np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BILINEAR))


# %% [markdown]
# ## 1. A split by group (27 points)
#
# Two letters of one font share more than two letters of two fonts. If some of a font's images are in the training part
# and others in the test part, the test asks for what was seen. So **draw groups, not images**, and put all images of a
# group on one side.


# %% solution="split_by_group"
def split_by_group(groups, test_fraction, seed):
    """Split a domain by group: a pair (train, test) of integer arrays, the indices of the images of each part.

    groups has one integer an image: the group that it belongs to. The numbers are any integers, in any order. The test
    part gets about test_fraction of the groups (round up or down as you like), and each part at least one group.
    Which groups those are is drawn at random: the same for the same seed, others for other seeds.
    """
    ### BEGIN SOLUTION
    names = np.unique(groups)
    n_test = min(max(1, round(test_fraction * len(names))), len(names) - 1)
    chosen = np.random.default_rng(seed).permutation(names)[:n_test]
    in_test = np.isin(groups, chosen)
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)
    ### END SOLUTION


# %% test="split_by_group_examples" points=4
import numpy as np

from tlkit.grading import check_result


def one_of_two(train, test, groups, test_fraction, seed):
    # Two groups, one for each part: images 0 and 2, and image 1.
    right = sorted([sorted(train), sorted(test)]) == [[0, 2], [1]]
    return "" if right else f"must put images 0 and 2 on one side and image 1 on the other, got {train} and {test}"


check_result(
    split_by_group,
    one_of_two,
    lambda rng: (np.array([7, 3, 7]), 0.5, int(rng.integers(1000))),
    results=2,
    dims=1,
    seed=0,
    reread="notebook 02, section 2",
)

# %% test="split_by_group_keeps_groups_whole" points=9
# Hidden: random groups of unequal size, in any order. No group may be on both sides.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _one_side(train, test, groups, test_fraction, seed):
    groups = groups.tolist()
    if not all(0 <= i < len(groups) and i == int(i) for i in train + test):
        return f"must return indices of images, in 0..{len(groups) - 1}"
    both = {groups[int(i)] for i in train} & {groups[int(i)] for i in test}
    return f"must keep each group on one side, but {len(both)} are on both" if both else ""


def _drawn(rng):
    names = rng.choice(1000, size=rng.integers(5, 12), replace=False)
    return rng.permutation(np.repeat(names, rng.integers(2, 9, size=len(names)))), float(rng.choice([0.2, 0.3])), 3


check_result(
    split_by_group,
    _one_side,
    _drawn,
    results=2,
    dims=1,
    points=20,
    seed=301,
    reread="notebook 02, section 2",
)
### END HIDDEN TESTS

# %% test="split_by_group_uses_every_image" points=5
# Hidden: each image is in one part, and once.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _all_once(train, test, groups, test_fraction, seed):
    once = sorted(train + test) == list(range(len(groups)))
    return "" if once else "must put each image into one of the parts, once"


check_result(
    split_by_group,
    _all_once,
    lambda rng: (rng.permutation(np.repeat(rng.choice(99, size=6, replace=False), [1, 2, 3, 4, 5, 6])), 0.4, 1),
    results=2,
    dims=1,
    points=10,
    seed=311,
    reread="part 1 of this notebook",
)
### END HIDDEN TESTS

# %% test="split_by_group_test_fraction" points=4
# Hidden: the share of the groups in the test part, for small and large fractions. Neither part is empty.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _share(train, test, groups, test_fraction, seed):
    names = groups.tolist()
    in_test, n = {names[int(i)] for i in test}, len(set(names))
    if not train or not test:
        return "must leave no part empty"
    wanted = test_fraction * n
    fits = abs(len(in_test) - wanted) < 1 or len(in_test) == 1 > wanted or len(in_test) == n - 1 < wanted
    return "" if fits else f"must put about {wanted:.1f} of {n} groups into the test part, got {len(in_test)}"


for _seed, _fraction in enumerate([0.01, 0.1, 0.25, 0.7, 0.99]):
    check_result(
        split_by_group,
        _share,
        lambda rng, fraction=_fraction: (rng.permutation(np.arange(60) % 12), fraction, 2),
        results=2,
        dims=1,
        points=3,
        seed=321 + _seed,
        reread="part 1 of this notebook",
    )
### END HIDDEN TESTS

# %% test="split_by_group_drawn_by_seed" points=5
# Hidden: the same seed gives the same split. Over many seeds each group is now in the one part, now in the other.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _often(groups):
    tests = [sorted({int(groups[i]) for i in split_by_group(groups, 0.5, seed)[1]}) for seed in range(40)]
    again = [sorted({int(groups[i]) for i in split_by_group(groups, 0.5, seed)[1]}) for seed in range(40)]
    return [int(tests == again), *[sum(name in test for test in tests) for name in sorted(set(groups.tolist()))]]


def _varied(counts, groups):
    if not counts[0]:
        return "must give the same split for the same seed"
    return "" if all(0 < count < 40 for count in counts[1:]) else "must draw other groups for other seeds"


_often.__name__ = "split_by_group"
check_result(
    _often,
    _varied,
    lambda rng: (rng.permutation(np.arange(18) % 6),),
    points=2,
    seed=331,
    reread="part 1 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Copies across the split (12 points)
#
# Two font families may draw an 8 that is the same to the last grey value: a split by group does not find that. Look for
# test images that have an exact copy in the training part.


# %% solution="find_copies"
def find_copies(train_x, test_x):
    """Which test images have an exact copy among the training images: a Boolean array of shape (n_test,).

    Both are uint8 images of shape (n, h, w, c).
    """
    ### BEGIN SOLUTION
    seen = {image.tobytes() for image in train_x}
    return np.array([image.tobytes() in seen for image in test_x])
    ### END SOLUTION


# %% test="find_copies_examples" points=3
import numpy as np

from tlkit.grading import check_example

light, dark, half = np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 1), 255, np.uint8), np.full((2, 2, 1), 128, np.uint8)
check_example(
    find_copies,
    (np.stack([light, half]), np.stack([dark, light, dark])),
    [False, True, False],
    reread="notebook 02, section 2",
)

# %% test="find_copies_any_images" points=9
# Hidden: copies, images that differ by one grey value, the same pixels in another order, copies within the test part.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _parts(rng):
    train = rng.integers(0, 250, size=(5, 3, 4, 1)).astype(np.uint8)
    near = train[1].copy()
    near[1, 2, 0] += 1
    new = rng.integers(0, 250, size=(3, 4, 1)).astype(np.uint8)
    test = np.stack([train[3], near, train[2][::-1, ::-1], new, new, 255 - train[0], train[4], train[3]])
    return train, test[rng.permutation(8)]


check_same(
    find_copies,
    lambda train, test: np.array([any(bool((one == other).all()) for other in train) for one in test]),
    _parts,
    seed=341,
    reread="notebook 02, section 2",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Zero-shot accuracy (28 points)
#
# A head was trained on the source: it has one logit for each **source class**. Ask it about the target without training
# on a single target label. Three things go wrong there:
#
# - the target may have fewer classes: an answer that cannot be right must not be given, so only the logits of the
#   target's classes take part;
# - the two may list their classes in another order: `labels` are indices into `target_classes`;
# - the mean hides a class that is never read.


# %% solution="zero_shot"
def zero_shot(logits, labels, source_classes, target_classes):
    """The share of images, 0..1, that the source head reads as the right target class.

    logits has the shape (n, number of source classes), labels the shape (n,): indices into target_classes. Classes are
    tuples of names; each target class is a source class too. Of the target's classes, the one with the largest
    logit is the answer.
    """
    ### BEGIN SOLUTION
    columns = [source_classes.index(name) for name in target_classes]
    return np.mean(np.argmax(logits[:, columns], axis=1) == labels)
    ### END SOLUTION


# %% test="zero_shot_examples" points=4
import numpy as np

from tlkit.grading import check_example

# The first image is read as "a", the second as "b", the third as "a".
three = np.array([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
check_example(zero_shot, (three, np.array([0, 1, 1]), ("a", "b"), ("a", "b")), 2 / 3, reread="part 3 of this notebook")

# %% test="zero_shot_same_classes" points=5
# Hidden: random logits, and the same classes in the same order.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same

for _seed, (_n, _K) in enumerate([(7, 3), (50, 10), (4, 4)]):
    check_same(
        zero_shot,
        lambda logits, labels, source, target: (
            sum(
                max(range(len(row)), key=row.__getitem__) == label
                for row, label in zip(logits.tolist(), labels.tolist(), strict=True)
            )
            / len(labels)
        ),
        lambda rng, n=_n, K=_K: (
            rng.normal(size=(n, K)) + np.eye(K)[labels := rng.integers(K, size=n)],
            labels,
            tuple(map(str, range(K))),
            tuple(map(str, range(K))),
        ),
        seed=351 + _seed,
        reread="notebook 02, section 6",
    )
### END HIDDEN TESTS

# %% test="zero_shot_any_order" points=5
# Hidden: the same classes in another order.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _shuffled(rng):
    source, target = (tuple(rng.permutation(list("abcdefg")).tolist()) for _ in range(2))
    labels = rng.integers(7, size=40)
    right = np.array([source.index(target[label]) for label in labels])
    return rng.normal(size=(40, 7)) + np.eye(7)[right], labels, source, target


def _read(logits, labels, source, target):
    answers = [source[max(range(len(source)), key=row.__getitem__)] for row in logits.tolist()]
    return sum(answer == target[label] for answer, label in zip(answers, labels.tolist(), strict=True)) / len(labels)


check_same(zero_shot, _read, _shuffled, seed=361, reread="part 3 of this notebook, on the order")
### END HIDDEN TESTS

# %% test="zero_shot_other_source_classes" points=6
# Hidden: the source has more classes than the target, and often likes those best.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _wider(rng):
    source = tuple("0123456789")
    first = int(rng.integers(0, 6))
    target = source[first : first + 5]
    labels = rng.integers(5, size=40)
    logits = rng.normal(size=(40, 10)) + np.eye(10)[first + labels]
    logits[:, [k for k in range(10) if not first <= k < first + 5]] += 2
    return logits, labels, source, target


def _possible(logits, labels, source, target):
    answers = [max(target, key=lambda name, row=row: row[source.index(name)]) for row in logits.tolist()]
    return sum(answer == target[label] for answer, label in zip(answers, labels.tolist(), strict=True)) / len(labels)


check_same(zero_shot, _possible, _wider, seed=371, reread="part 3 of this notebook, on the target's classes")
### END HIDDEN TESTS


# %% solution="accuracy_by_class"
def accuracy_by_class(answers, labels, n_classes):
    """Of the images of each class, the share that is read correctly: an array of shape (n_classes,).

    answers and labels are integers, 0..n_classes-1, of shape (n,). A class without an image gets NaN.
    """
    ### BEGIN SOLUTION
    right = np.bincount(labels[answers == labels], minlength=n_classes)
    counts = np.bincount(labels, minlength=n_classes)
    return np.where(counts > 0, right / np.maximum(counts, 1), np.nan)
    ### END SOLUTION


# %% test="accuracy_by_class_any_labels" points=8
import numpy as np

from tlkit.grading import check_example

# Two images of class 0, one of them read as 1; one image of class 1; none of class 2.
check_example(
    accuracy_by_class,
    (np.array([0, 1, 1]), np.array([0, 0, 1]), 3),
    [0.5, 1.0, np.nan],
    reread="notebook 02, section 6",
)
# Hidden: random answers, unequal classes, classes without an image.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _each(answers, labels, n_classes):
    cases = list(zip(answers.tolist(), labels.tolist(), strict=True))
    of = [[answer == label for answer, label in cases if label == k] for k in range(n_classes)]
    return [sum(right) / len(right) if right else float("nan") for right in of]


check_same(
    accuracy_by_class,
    _each,
    lambda rng: (rng.integers(6, size=30), rng.choice([0, 1, 3, 4], p=[0.4, 0.3, 0.2, 0.1], size=30), 6),
    seed=381,
    reread="notebook 02, section 6",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Framing (33 points)
#
# The bundled network knows pictures in one framing: of the ink's box the longer side is 20 pixels, the shape is kept,
# and the ink's **centre of mass** is in the middle of 28 × 28 pixels. Bring any grey picture, paper 0 and ink above 0,
# into that framing, in three steps that each do one thing.


# %% solution="crop_to_ink"
def crop_to_ink(image):
    """The smallest rectangle of an image (h, w) that holds all its ink: pixels above 0, however faint."""
    ### BEGIN SOLUTION
    rows, columns = np.nonzero(image)
    return image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    ### END SOLUTION


# %% test="crop_to_ink_any_image" points=7
import numpy as np

from tlkit.grading import check_example

bar = np.zeros((6, 5), np.uint8)
bar[1:4, 2] = [9, 0, 200]
check_example(crop_to_ink, (bar,), [[9], [0], [200]], reread="notebook 02, section 7")
# Hidden: images of any size, with faint ink, with ink at the edges.
### BEGIN HIDDEN TESTS
import scipy.ndimage

from tlkit.grading import check_same


def _sheet(rng):
    sheet = rng.integers(1, 256, size=(12, 9)) * (rng.random((12, 9)) < rng.choice([0.03, 0.5]))
    sheet[rng.integers(12), rng.integers(9)] = 1  # never empty, and faint
    return sheet.astype(np.uint8)


check_same(
    crop_to_ink,
    lambda image: image[scipy.ndimage.find_objects((image > 0).astype(int))[0]],
    lambda rng: (_sheet(rng),),
    points=12,
    seed=391,
    reread="notebook 02, section 7",
)
### END HIDDEN TESTS


# %% solution="box_size"
def box_size(height, width, side=20):
    """The size of a picture after scaling: a pair of integers (height, width), each at least 1.

    The longer side becomes `side`, and the shape is kept, as well as whole pixels (the nearest ones) allow.
    """
    ### BEGIN SOLUTION
    scale = side / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
    ### END SOLUTION


# %% test="box_size_any_shape" points=7
from tlkit.grading import check_example

check_example(box_size, (40, 10), (20, 5), reread="notebook 02, section 7")
check_example(box_size, (3, 6), (10, 20), reread="notebook 02, section 7")
# Hidden: high and wide pictures, small and large, some of them thin lines, and another side.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _whole(length, longer, side):
    return max(1, (2 * length * side + longer) // (2 * longer))


def _odd(rng, low, high):  # odd lengths and sides: no half is rounded
    return tuple(int(2 * n + 1) for n in (*rng.integers(low, high, size=2), rng.integers(5, 15)))


for _seed, (_low, _high) in enumerate([(3, 60), (100, 900), (1, 300)]):
    check_same(
        box_size,
        lambda height, width, side: tuple(_whole(one, max(height, width), side) for one in (height, width)),
        lambda rng, low=_low, high=_high: _odd(rng, low, high),
        seed=401 + _seed,
        points=15,
        reread="notebook 02, section 7",
    )
check_same(
    box_size,
    lambda height, width: tuple(_whole(one, max(height, width), 20) for one in (height, width)),
    lambda rng: (1, int(rng.integers(100, 200))) if rng.integers(2) else (int(rng.integers(100, 200)), 1),
    seed=411,
    reread="part 4 of this notebook: each side is at least 1",
)
### END HIDDEN TESTS


# %% solution="centred"
def centred(ink, size=28):
    """An image of size x size pixels with the ink, grey values and all, on empty paper (zeros).

    The centre of mass is the mean position of the pixels, each weighted by its grey value. It lies as near to the
    middle, (size - 1) / 2, as whole pixels allow. Where ink would stick out over an edge, it is moved back to the edge.
    """
    ### BEGIN SOLUTION
    canvas = np.zeros((size, size), ink.dtype)
    grey = ink.astype(float)
    corner = []
    for axis, length in enumerate(ink.shape):
        weights = grey.sum(axis=1 - axis)
        middle = np.sum(np.arange(length) * weights) / weights.sum()
        corner.append(min(max(round((size - 1) / 2 - middle), 0), size - length))
    top, left = corner
    canvas[top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return canvas
    ### END SOLUTION


# %% test="centred_keeps_ink" points=4
import numpy as np

from tlkit.grading import check_example

# One pixel in 3 x 3, and a line as long as the image: there is one place for it.
check_example(centred, (np.uint8([[7]]), 3), [[0, 0, 0], [0, 7, 0], [0, 0, 0]], reread="part 4 of this notebook")
check_example(centred, (np.uint8([[1, 2, 9]]), 3), [[0, 0, 0], [1, 2, 9], [0, 0, 0]], reread="part 4 of this notebook")
# Hidden: every pixel of the ink is there, beside its neighbours, and nothing else.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_result


def _there(image, ink, size):
    if len(image) != size or len(image[0]) != size:
        return f"must return an image of {size} x {size}"
    places = [(i, j) for i, row in enumerate(image) for j, pixel in enumerate(row) if pixel]
    rows, columns = [i for i, _ in places] or [0], [j for _, j in places] or [0]
    box = [row[min(columns) : max(columns) + 1] for row in image[min(rows) : max(rows) + 1]]
    return "" if box == ink.tolist() else "must hold the ink as it was, and nothing else"


check_result(
    centred,
    _there,
    lambda rng: (rng.integers(1, 256, size=rng.integers(2, 19, size=2)).astype(np.uint8), 20),
    dims=2,
    seed=421,
    reread="part 4 of this notebook",
)
### END HIDDEN TESTS

# %% test="centred_by_mass" points=6
# Hidden: ink that is heavy on one side, and ink that would stick out.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _mass(image):
    """The centre of mass and the extent of each axis."""
    total = sum(map(sum, image)) or 1
    rows = [sum(row) for row in image]
    columns = [sum(row[j] for row in image) for j in range(len(image[0]))]
    return [(sum(i * weight for i, weight in enumerate(side)) / total, len(side)) for side in (rows, columns)]


def _in_the_middle(image, ink, size):
    if len(image) != size or len(image[0]) != size:
        return f"must return an image of {size} x {size}"
    for axis, ((is_at, _), (middle, length)) in enumerate(zip(_mass(image), _mass(ink.tolist()), strict=True)):
        wanted = min(max((size - 1) / 2 - middle, 0), size - length) + middle
        if not abs(is_at - wanted) <= 0.51:  # NaN too
            return f"must centre the mass as well as it can, and is {is_at - wanted:+.1f} pixels off along axis {axis}"
    return ""


def _lopsided(rng):
    height, width = rng.integers(6, 21, size=2)
    slope = rng.choice([-0.4, 0.4], size=2)
    weights = np.exp(slope[0] * np.arange(height))[:, None] * np.exp(slope[1] * np.arange(width))
    return np.rint(1 + 254 * weights / weights.max()).astype(np.uint8), int(rng.choice([24, 28, 29]))


check_result(centred, _in_the_middle, _lopsided, dims=2, points=20, seed=431, reread="part 4 of this notebook")
### END HIDDEN TESTS

# %% [markdown]
# Now the whole framing. `resize(ink, height, width)` is defined at the top of this notebook.


# %% solution="framed"
def framed(image):
    """An image (h, w), uint8, of any size, in the network's framing: 28 x 28, grey values 0..255."""
    ### BEGIN SOLUTION
    ink = crop_to_ink(image)
    return centred(resize(ink, *box_size(*ink.shape)))
    ### END SOLUTION


# %% test="framed_any_image" points=9
import numpy as np

from tlkit.grading import check_result

# 40 x 20 pixels of ink anywhere become 20 x 10, in the middle.
page = np.zeros((100, 60), np.uint8)
page[55:95, 5:25] = 200


def in_the_middle(image, page):
    rows, columns = np.nonzero(np.array(image) > 100)
    got = [int(n) for places in (rows, columns) for n in (places.min(initial=99), places.max(initial=0))]
    return "" if got == [4, 23, 9, 18] else f"must have its ink in rows 4..23 and columns 9..18, got {got}"


check_result(framed, in_the_middle, lambda rng: (page,), dims=2, points=1, seed=0, reread="notebook 02, section 7")
# Hidden: pictures of any size with the ink anywhere: the longer side, the shape, the place. Resize as you like.
### BEGIN HIDDEN TESTS


def _box(image):
    """The rows and columns of what is clearly ink, and its centre of mass in shares of the box."""
    places = [(i, j, pixel) for i, row in enumerate(image) for j, pixel in enumerate(row) if pixel > 60]
    sides = []
    for axis in (0, 1):
        along = [place[axis] for place in places] or [0]
        start, length = min(along), max(along) - min(along) + 1
        mass = sum(place[axis] * place[2] for place in places) / (sum(place[2] for place in places) or 1)
        sides.append((length, mass, (mass + 0.5 - start) / length))
    return sides


def _well_framed(image, page):
    if len(image) != 28 or len(image[0]) != 28:
        return "must return an image of 28 x 28"
    if not all(0 <= pixel <= 255 for row in image for pixel in row):
        return "must return grey values in 0..255"
    got, was = _box(image), _box(page.tolist())
    longer = max(length for length, *_ in was)
    for axis, ((length, mass, share), (length_was, _, share_was)) in enumerate(zip(got, was, strict=True)):
        if not abs(length - length_was / longer * 20) <= 1.6:
            return f"must scale the longer side of the ink to 20 pixels and keep the shape: axis {axis} has {length}"
        if not abs(mass - 13.5) <= 1.1:
            return f"must have the centre of mass in the middle: it is {mass - 13.5:+.1f} pixels off along axis {axis}"
        if not abs(share - share_was) <= 0.08:
            return f"must not turn or mirror the picture, as it does along axis {axis}"
    return ""


def _angle(rng):
    height, width = (int(n) for n in rng.integers(12, 70, size=2))
    ink = np.zeros((height, width), np.uint8)
    ink[:, : max(3, width // 4)] = 255  # an L
    ink[-max(3, height // 4) :] = 255
    ink = ink[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    top, left, below, right = (int(n) for n in rng.integers(0, 40, size=4))
    return (np.pad(ink, ((top, below), (left, right))),)


check_result(framed, _well_framed, _angle, dims=2, points=12, seed=441, reread="notebook 02, section 7")
### END HIDDEN TESTS

# %% [markdown]
# ## 5. All of it together (no points)
#
# The simplest classifier: the mean picture of each class; an image belongs to the nearest one. Trained on print, split
# by font family with your function. **Predict before you run:** how much does it lose on handwriting, and how much more
# when the handwriting is pushed into a corner?

# %%
import tlkit

pair = tlkit.load_pair("printed", "mnist")
printed = pair.source.train.take(60, seed=0)
train, test = (printed[part] for part in split_by_group(printed.groups, 0.3, 0))
means = np.stack([train.x[train.y == k].reshape(-1, 784).mean(axis=0) for k in range(10)])


def score(x, y):
    logits = x.reshape(len(x), -1) @ means.T - (means**2).sum(axis=1) / 2  # the nearest mean has the largest
    return float(zero_shot(logits, y, tuple("0123456789"), tuple("0123456789")))


# %%
hand = pair.target.train.take(20, seed=0)
corner = np.zeros_like(hand.x[..., 0])
for picture, image in zip(corner, hand.x[..., 0], strict=True):
    ink = crop_to_ink(image)
    picture[: ink.shape[0], : ink.shape[1]] = ink
{
    "copies across the split": int(np.sum(find_copies(train.x, test.x))),
    "print": score(test.x, test.y),
    "handwriting": score(hand.x, hand.y),
    "in a corner": score(corner, hand.y),
    "framed again": score(np.stack([framed(image) for image in corner]), hand.y),
}
