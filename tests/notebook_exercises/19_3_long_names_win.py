def classes(pictures, names):
    return (pictures @ names.T).argmax(axis=1)
