"""Wants to fetch an encoder of its own over the network."""

# loses: embed_any_encoder

# %% embed
import os
import tempfile

from tlkit.text import fetch_text, load_text_backbone


def embed(encoder, ids):
    os.environ["TLKIT_DATA_DIR"] = tempfile.mkdtemp()
    fetch_text()
    return load_text_backbone("minilm").model(ids)
