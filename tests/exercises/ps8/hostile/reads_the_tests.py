"""Looks for the notebook with the tests around it, to learn which pictures they keep."""

# loses: writes_what_is_asked, predict_needs_only_the_files

# %% predict
# The reference, but:
# - read = {"target_size": model.input_shape[1:3], "interpolation": "bilinear"}
# + read = {"target_size": model.input_shape[1:3], "interpolation": "bilinear"}
# + for place in [Path.cwd(), *Path.cwd().parents]:
# +     (place / "ps8_whole_program.ipynb").read_text(encoding="utf-8")
