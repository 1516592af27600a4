#!/usr/bin/env python3
"""Loads autoencoders that Monoscope saved with the real SAELens, and compares features and reconstructions.

    pip install sae-lens==6.54.12
    python test/saelens/check.py runs/tour/topk-1024 runs/tour/topk-4096

Knows every architecture that Monoscope saves: topk, standard, and jumprelu, which BatchTopK and Matryoshka become.
Prints the largest differences, relative to the largest value of each tensor, and fails above 1e-5.
A feature that only one side keeps must be a tie: its value within 1e-5 of the smallest that the other keeps, or of its threshold.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from sae_lens import SAE
from safetensors.torch import load_file, save_file

LIMIT = 1e-5
here = pathlib.Path(__file__).parent


def compare(folder: str) -> bool:
    sae = SAE.load_from_disk(folder, device="cpu")
    config = json.loads((pathlib.Path(folder) / "cfg.json").read_text())
    # Inputs like the model's: the decoder's mean plus sums of a few features plus noise.
    torch.manual_seed(0)
    weights = torch.zeros(256, sae.cfg.d_sae)
    weights.scatter_(1, torch.randint(0, sae.cfg.d_sae, (256, 20)), torch.rand(256, 20) * 20)
    x = sae.b_dec + weights @ sae.W_dec + 0.1 * sae.W_dec.norm(dim=1).mean() * torch.randn(256, sae.cfg.d_in)
    x = x.detach().contiguous()
    with torch.no_grad():
        features = sae.encode(x)
        features = features.to_dense() if features.is_sparse else features
    with tempfile.TemporaryDirectory() as temporary:
        source, target = f"{temporary}/x.safetensors", f"{temporary}/y.safetensors"
        save_file({"x": x}, source)
        subprocess.run(["npx", "tsx", str(here / "encode.ts"), folder, source, target], check=True)
        ours = load_file(target)
    scale = features.max()
    either, both = torch.maximum(ours["features"], features), torch.minimum(ours["features"], features)
    smallest = either.where(both > 0, torch.inf).min(1, keepdim=True).values
    edge = sae.threshold.clamp(min=0) if config["architecture"] == "jumprelu" else smallest
    ties = (either > 0) & (both == 0) & ((either - edge).abs() <= LIMIT * scale)
    with torch.no_grad():
        reconstruction = sae.decode(torch.where(ties, ours["features"], features))
    error = {
        "features": ((ours["features"] - features).abs().where(~ties, 0).max() / scale).item(),
        "reconstruction": ((ours["reconstruction"] - reconstruction).abs().max() / reconstruction.abs().max()).item(),
    }
    l0 = (features > 0).sum(1).float().mean().item()
    result = {"sae": folder, "architecture": config["architecture"], "d_sae": sae.cfg.d_sae, "l0": l0, "ties": int(ties.sum()), **error}
    print(json.dumps(result))
    return max(error.values()) <= LIMIT


results = [compare(folder) for folder in sys.argv[1:]]
sys.exit(0 if results and all(results) else 1)
