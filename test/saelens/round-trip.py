#!/usr/bin/env python3
"""Converts autoencoders with `monoscope convert`, loads what it wrote with the libraries themselves, and compares features and reconstructions with those of the originals.

    pip install sae-lens==6.54.12 eai-sparsify==1.3.3
    python test/saelens/round-trip.py

What is converted are the fixtures of src/sae/formats, each with what its own library computes. Prints the largest differences, relative to the largest value, and fails above 1e-5.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # there need not be a GPU

import numpy as np
import torch
from sae_lens import SAE
from safetensors.torch import load_file
from sparsify import SparseCoder

LIMIT = 1e-5
HERE = pathlib.Path(__file__).parent
MAIN, FIXTURES = HERE.parent.parent / "src/cli/main.ts", HERE.parent.parent / "src/sae/formats/fixtures"

# What is converted to what: every architecture that a format has, from every format that has its like.
CASES = [
    *[(name, "saelens", None) for name in ("saelens-standard", "saelens-standard-nopre", "saelens-topk", "saelens-topk-rescaled-inference")],
    *[(name, "saelens", None) for name in ("saelens-jumprelu", "saelens-gated", "saelens-batchtopk-inference", "saelens-batchtopk-training")],
    *[(name, "saelens", None) for name in ("saelens-before-6", "saelens-layer-norm", "saelens-constant-norm", "saelens-transcoder")],
    *[(name, "saelens", None) for name in ("saelens-skip-transcoder", "saelens-jumprelu-skip-transcoder", "sparsify-topk", "gemma-scope", "gemma-scope-2")],
    *[(f"dictionary-{name}", "saelens", None) for name in ("standard", "april", "topk", "batchtopk", "matryoshka", "jumprelu", "gated")],
    *[(f"openai-{name}/autoencoder.pt", "saelens", None) for name in ("topk", "relu")],
    *[(name, "saelens", "gated") for name in ("saelens-gated", "saelens-gated-nopre", "saelens-jumprelu", "dictionary-gated")],
    *[(name, "sparsify", None) for name in ("sparsify-topk", "sparsify-skip", "sparsify-skip-transcoder", "saelens-topk", "saelens-topk-nopre", "dictionary-topk")],
    *[(name, "gemma-scope", None) for name in ("gemma-scope", "saelens-jumprelu-nopre", "saelens-jumprelu", "saelens-gated", "saelens-standard", "dictionary-batchtopk")],
]


def computed(folder, form, x):
    """Features and reconstructions of a converted autoencoder, by the library whose format it is in."""
    if form == "sparsify":
        coder = SparseCoder.load_from_disk(folder)
        values, indices, _ = coder.encode(x)
        return torch.zeros(len(x), coder.num_latents).scatter(1, indices, values), coder(x).sae_out
    if form == "saelens":
        sae = SAE.load_from_disk(folder)
        features = sae.encode(x)
        return features.to_dense() if features.is_sparse else features, sae(x)
    # As the tutorial of Gemma Scope computes it.
    params = {name: torch.from_numpy(value) for name, value in np.load(f"{folder}/params.npz").items()}
    z = x @ params["W_enc"] + params["b_enc"]
    features = (z > params["threshold"]) * torch.relu(z)
    return features, features @ params["W_dec"] + params["b_dec"]


def compare(name, form, architecture, temporary):
    source = FIXTURES / name
    expected = load_file((source if source.is_dir() else source.parent) / "expected.safetensors")
    target = f"{temporary}/{name.replace('/', '-')}-{form}-{architecture}"
    command = ["npx", "tsx", str(MAIN), "convert", str(source), target, "--to", form, "--json"]
    report = json.loads(subprocess.run(command + (["--architecture", architecture] if architecture else []), check=True, capture_output=True).stdout)
    with torch.no_grad():
        features, reconstruction = computed(target, form, expected["x"])
    error = lambda found, of: ((found - of).abs().max() / of.abs().max()).item()
    errors = {"features": error(features, expected["features"]), "reconstruction": error(reconstruction, expected["reconstruction"])}
    print(json.dumps({"from": name, "to": form, "architecture": report["architecture"], **errors, "folded": report["folded"]}), flush=True)
    return max(errors.values()) <= LIMIT


with tempfile.TemporaryDirectory() as temporary:
    results = [compare(*case, temporary) for case in CASES]
print(f"{sum(results)} of {len(results)} agree within {LIMIT}")
sys.exit(0 if all(results) else 1)
