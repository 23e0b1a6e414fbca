def contradictions(images, y):
    known = [image.tobytes() for image in images]
    return [i for i, image in enumerate(known) if known.count(image) > 1]
