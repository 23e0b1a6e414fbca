"""Plain Python: sets, lists and loops, and whole numbers as floats."""

# %% split_by_group
import random


def split_by_group(groups, test_fraction, seed):
    names = sorted(set(groups.tolist()))
    random.Random(seed).shuffle(names)
    n_test = int(test_fraction * len(names)) or 1
    train, test = [], []
    for i, name in reversed(list(enumerate(groups.tolist()))):
        (test if name in names[:n_test] else train).append(i)
    return [train, test]


# %% find_copies
def find_copies(train_x, test_x):
    found = []
    for image in test_x.tolist():
        found.append(image in train_x.tolist())
    return found


# %% zero_shot
def zero_shot(logits, labels, source_classes, target_classes):
    right = 0
    for row, label in zip(logits, labels):
        best, answer = -float("inf"), None
        for name, logit in zip(source_classes, row):
            if name in target_classes and logit > best:
                best, answer = logit, name
        right += answer == target_classes[label]
    return right / len(labels)


# %% accuracy_by_class
def accuracy_by_class(answers, labels, n_classes):
    shares = []
    for k in range(n_classes):
        right = [a == k for a, y in zip(answers, labels) if y == k]
        shares.append(sum(right) / len(right) if right else float("nan"))
    return shares


# %% crop_to_ink
def crop_to_ink(image):
    rows = [i for i in range(image.shape[0]) if any(image[i])]
    columns = [j for j in range(image.shape[1]) if any(image[:, j])]
    return [[int(image[i][j]) for j in range(columns[0], columns[-1] + 1)] for i in range(rows[0], rows[-1] + 1)]


# %% box_size
def box_size(height, width, side=20):
    if height >= width:
        return [float(side), float(max(1, int(width / height * side + 0.5)))]
    return [float(max(1, int(height / width * side + 0.5))), float(side)]


# %% centred
def centred(ink, size=28):
    def start(weights):
        middle = sum(i * weight for i, weight in enumerate(weights)) / sum(weights)
        places = range(size - len(weights) + 1)
        return min(places, key=lambda place: abs(place + middle - (size - 1) / 2))

    top = start([sum(map(float, row)) for row in ink])
    left = start([sum(float(row[j]) for row in ink) for j in range(len(ink[0]))])
    canvas = [[0] * size for _ in range(size)]
    for i, row in enumerate(ink):
        for j, pixel in enumerate(row):
            canvas[top + i][left + j] = int(pixel)
    return canvas


# %% framed
def framed(image):
    ink = np.array(crop_to_ink(image), np.uint8)
    height, width = map(int, box_size(*ink.shape))
    return centred(resize(ink, height, width))
