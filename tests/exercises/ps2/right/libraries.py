"""scikit-learn, pandas and SciPy do the work."""

# %% split_by_group
from sklearn.model_selection import GroupShuffleSplit


def split_by_group(groups, test_fraction, seed):
    n = len(set(groups))
    size = min(max(1, int(np.ceil(test_fraction * n))), n - 1)
    split = GroupShuffleSplit(n_splits=1, test_size=size, random_state=seed)
    return next(split.split(groups, groups=groups))


# %% find_copies
import pandas as pd


def find_copies(train_x, test_x):
    train, test = (pd.DataFrame(part.reshape(len(part), -1)) for part in (train_x, test_x))
    return test.merge(train.drop_duplicates(), how="left", indicator="where")["where"].eq("both").to_numpy()


# %% zero_shot
from sklearn.metrics import accuracy_score


def zero_shot(logits, labels, source_classes, target_classes):
    table = pd.DataFrame(logits, columns=list(source_classes))[list(target_classes)]
    return accuracy_score(np.array(target_classes)[labels], table.idxmax(axis=1))


# %% accuracy_by_class
def accuracy_by_class(answers, labels, n_classes):
    return pd.Series(answers == labels).groupby(labels).mean().reindex(range(n_classes))


# %% crop_to_ink
from scipy import ndimage


def crop_to_ink(image):
    return image[ndimage.find_objects(image.astype(bool).astype(int))[0]]


# %% centred
def centred(ink, size=28):
    middle = ndimage.center_of_mass(ink)
    corner = [int(np.clip(np.rint((size - 1) / 2 - m), 0, size - n)) for m, n in zip(middle, ink.shape)]
    return np.pad(ink, [(c, size - n - c) for c, n in zip(corner, ink.shape)])


# %% framed
def framed(image):
    ink = crop_to_ink(image)
    wanted = box_size(*ink.shape)
    scaled = ndimage.zoom(
        ink.astype(float), [w / n for w, n in zip(wanted, ink.shape)], order=1, grid_mode=True, mode="nearest"
    )
    return centred(np.clip(scaled, 0, 255))
