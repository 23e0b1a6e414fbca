def contradictions(images, y):
    first, found = {}, []
    for i, image in enumerate(images):
        if first.setdefault(image.tobytes(), y[i]) != y[i]:
            found.append(i)
    return found
