"""Trains one sparse autoencoder with SAELens or sparsify, through the library's own training loop, and prints one JSON line.

    pip install torch sae-lens==6.54.12 eai-sparsify==1.3.3
    python bench/peers.py sparsify-topk --features 16384 --k 32 --batch 4096 --threads 2 --steps 8

bench/kernels.ts runs it for speed, on synthetic activations; bench/quality.ts for quality, on stored ones (--data). The library gets
batches from us and does all the rest: a step is everything between two requests for a batch.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path

TRAINERS = ["sparsify-topk", "saelens-topk", "saelens-batchtopk", "saelens-matryoshka", "saelens-standard", "saelens-jumprelu"]
GIB = 2**30



class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


parser = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
parser.add_argument("trainer", choices=TRAINERS)
parser.add_argument("--features", type=int, default=4096)
parser.add_argument("--k", type=int, default=32, help="active features of topk, batchtopk and matryoshka")
parser.add_argument("--prefixes", type=int, nargs="*", help="matryoshka's inner sizes (default: a sixteenth, an eighth, a quarter, half)")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--memory-limit", type=float, default=round(0.85 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB, 1),
                    metavar="GIB", help="a size that needs more is reported as skipped")
parser.add_argument("--lr", type=float, default=4e-4)
parser.add_argument("--decoder-norm", type=float, default=0.1, help="norm of SAELens' decoder rows at the start")
parser.add_argument("--l1", type=float, default=5.0, help="L1 coefficient of standard")
parser.add_argument("--l1-warm-up", type=float, default=0.0, help="share of training over which it rises")
parser.add_argument("--l0", type=float, default=1.0, help="L0 coefficient of jumprelu")
parser.add_argument("--l0-warm-up", type=float, default=0.0, help="share of training over which it rises")
parser.add_argument("--threshold", type=float, default=0.01, help="jumprelu's thresholds at the start")
parser.add_argument("--bandwidth", type=float, default=0.05, help="of jumprelu's straight-through estimator")
parser.add_argument("--seed", type=int, default=0)
speed = parser.add_argument_group("speed: synthetic activations, sums of 32 of 4,096 random directions plus noise, in memory")
speed.add_argument("--d-in", type=int, default=576)
speed.add_argument("--batch", type=int, default=4096)
speed.add_argument("--steps", type=int, default=8, help="timed steps")
speed.add_argument("--warm-up", type=int, default=2, help="steps before them")
speed.add_argument("--seconds", type=float, default=60, help="stop earlier after this time, with one timed step at least")
quality = parser.add_argument_group("quality: one pass over stored activations, with a learning rate that falls linearly to 0")
quality.add_argument("--data", metavar="FILE", help="rows of float16; FILE.json holds dIn, scale (rows are multiplied by it) and edges (of the batches)")
quality.add_argument("--held-out", metavar="FILE", help="rows of the same kind, for the FVU at the end")
quality.add_argument("--start", metavar="FILE", help="safetensors with wEnc, wDec [features, dIn], bEnc, bDec to begin with")
quality.add_argument("--save", metavar="FOLDER", help="where the library saves its weights")
options = parser.parse_args()
for name in ("features", "k", "threads", "batch", "steps", "d_in"):
    if getattr(options, name) < 1:
        parser.error(f"--{name.replace('_', '-')} must be at least 1, found {getattr(options, name)}")
if options.k > options.features:
    parser.error(f"--k {options.k} is more than the {options.features} features")

# All of it is read when the libraries are imported.
os.environ.update(OMP_NUM_THREADS=str(options.threads), MKL_NUM_THREADS=str(options.threads), WANDB_MODE="disabled", HF_HUB_OFFLINE="1",
                  SPARSIFY_DISABLE_TRITON="1")  # sparsify's Triton decoder does not run on CPUs
limit = int(options.memory_limit * GIB)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from importlib.metadata import version  # noqa: E402

torch.set_num_threads(options.threads)
torch.manual_seed(options.seed)


class Enough(Exception):
    """Raised at the request for a batch that is not needed any more."""


def synthetic(rows: int) -> np.ndarray:
    """Sums of 32 of 4,096 random unit directions plus noise, scaled so that the mean of ‖x‖² is d_in."""
    directions = torch.nn.functional.normalize(torch.randn(4096, options.d_in), dim=1)
    x = 0.05 * torch.randn(rows, options.d_in)
    for part in x.split(8192):
        active = torch.randint(0, 4096, (len(part), 32))
        part += torch.nn.functional.embedding_bag(active, directions, per_sample_weights=torch.empty(len(part), 32).exponential_(), mode="sum")
    return (x * (options.d_in / x.pow(2).sum(1).mean()).sqrt()).numpy()


class Batches:
    """What a library trains on, as the iterator that SAELens wants and the data set that sparsify wants. Notes when each batch is asked for."""

    def __init__(self, file: str | None):
        self.timed = file is None
        if file is None:
            self.rows, self.scale = synthetic(16 * options.batch), 1.0
            self.edges = [i * options.batch for i in range(17)]
        else:
            self.rows, self.scale, self.edges = stored(file)
        self.d_in = self.rows.shape[1]
        self.asked: list[float] = []
        self.current = torch.zeros(1, self.d_in)

    def __len__(self) -> int:
        return 10**6 if self.timed else len(self.edges) - 1

    def __getitem__(self, i: int) -> torch.Tensor:
        if i >= len(self):
            raise IndexError(i)
        self.asked.append(time.perf_counter())
        done = len(self.asked) - 1
        if self.timed and (done >= options.warm_up + options.steps or done > options.warm_up and self.asked[-1] - self.asked[0] > options.seconds):
            raise Enough
        i %= len(self.edges) - 1
        self.current = torch.from_numpy(self.rows[self.edges[i] : self.edges[i + 1]])
        if not self.timed:  # where time counts, rows are ready as they are
            self.current = self.current.float() * self.scale
        return self.current


def stored(file: str) -> tuple[np.ndarray, float, list[int]]:
    about = json.loads(Path(f"{file}.json").read_text())
    return np.memmap(file, np.float16, "c").reshape(-1, about["dIn"]), about["scale"], about["edges"]


def saelens(kind: str, batches: Batches):
    """Gives the function that trains, the autoencoder, and the function that saves it."""
    from sae_lens import saes
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    total = batches.edges[-1] if not batches.timed else len(batches) * options.batch
    size = options.batch if batches.timed else total // len(batches)
    prefixes = options.prefixes or [options.features // parts for parts in (16, 8, 4, 2)]
    warm = lambda share: round(share * total / size)  # noqa: E731
    common = dict(d_in=batches.d_in, d_sae=options.features, decoder_init_norm=options.decoder_norm)
    sae = {
        "topk": lambda: saes.TopKTrainingSAE(saes.TopKTrainingSAEConfig(**common, k=options.k)),
        "batchtopk": lambda: saes.BatchTopKTrainingSAE(saes.BatchTopKTrainingSAEConfig(**common, k=float(options.k))),
        "matryoshka": lambda: saes.MatryoshkaBatchTopKTrainingSAE(
            saes.MatryoshkaBatchTopKTrainingSAEConfig(**common, k=float(options.k), matryoshka_widths=[*prefixes, options.features])),
        "standard": lambda: saes.StandardTrainingSAE(
            saes.StandardTrainingSAEConfig(**common, apply_b_dec_to_input=False, l1_coefficient=options.l1, l1_warm_up_steps=warm(options.l1_warm_up))),
        "jumprelu": lambda: saes.JumpReLUTrainingSAE(
            saes.JumpReLUTrainingSAEConfig(**common, l0_coefficient=options.l0, l0_warm_up_steps=warm(options.l0_warm_up),
                                           jumprelu_init_threshold=options.threshold, jumprelu_bandwidth=options.bandwidth)),
    }[kind]()
    if options.start:
        begin(sae.W_enc.data.T, sae.W_dec.data, sae.b_enc.data, sae.b_dec.data)
    config = SAETrainerConfig(total_training_samples=total, train_batch_size_samples=size, lr=options.lr, lr_end=options.lr, device="cpu",
                              lr_decay_steps=0 if batches.timed else total // size)
    return SAETrainer(cfg=config, sae=sae, data_provider=iter(batches)).fit, sae, sae.save_inference_model


def sparsify(batches: Batches):
    """The same for sparsify. It trains on what a layer of a language model puts out, so it gets a model whose only layer puts out stored activations."""
    from sparsify import SparseCoderConfig, TrainConfig, Trainer

    class Stored(torch.nn.Module):
        device = torch.device("cpu")
        dummy_inputs = {"input_ids": torch.zeros(1, 1, dtype=torch.long)}

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Identity()

        @property
        def base_model(self):
            return self

        def forward(self, input_ids):
            return self.layer(batches.current[None])

    class Sequences(torch.utils.data.Dataset):
        """One sequence a batch; its token ids mean nothing."""

        def __len__(self):
            return len(batches)

        def __getitem__(self, i):
            return {"input_ids": torch.arange(len(batches[i]))}

    # Its own default is schedule-free sign descent; Adam is what the others use.
    config = TrainConfig(SparseCoderConfig(num_latents=options.features, k=options.k), batch_size=1, optimizer="adam", lr=options.lr, lr_warmup_steps=0,
                         hookpoints=["layer"], init_seeds=[options.seed], log_to_wandb=False, save_every=10**9)
    trainer = Trainer(config, Sequences(), Stored())
    trainer.save = lambda: None  # optimizer state and all
    sae = trainer.saes["layer"]
    if options.start:
        begin(sae.encoder.weight.data, sae.W_dec.data, sae.encoder.bias.data, sae.b_dec.data)
    return trainer.fit, sae, sae.save_to_disk


def begin(w_enc, w_dec, b_enc, b_dec):
    from safetensors.torch import load_file

    start = load_file(options.start)
    for target, name in (w_enc, "wEnc"), (w_dec, "wDec"), (b_enc, "bEnc"), (b_dec, "bDec"):
        target.copy_(start[name].reshape(target.shape))


@torch.no_grad()
def fvu(sae) -> float:
    """Σ‖x − x̂‖² / Σ‖x − mean(x)‖² over the held-out rows, by the library's own forward pass in training mode."""
    rows, scale, _ = stored(options.held_out)
    x = torch.from_numpy(rows.astype(np.float32)) * scale
    error = 0.0
    for part in x.split(1024):
        out = sae(part)
        error += (part - (out if torch.is_tensor(out) else out.sae_out)).double().pow(2).sum().item()
    return error / (x - x.mean(0)).double().pow(2).sum().item()


def run() -> dict:
    library, kind = options.trainer.split("-")
    package = {"saelens": "sae-lens", "sparsify": "eai-sparsify"}[library]
    about = dict(trainer=options.trainer, features=options.features, threads=options.threads, versions={p: version(p) for p in (package, "torch")})
    try:
        batches = Batches(options.data)
        fit, sae, save = saelens(kind, batches) if library == "saelens" else sparsify(batches)
        with contextlib.suppress(Enough):
            fit()
    except (RuntimeError, MemoryError) as error:
        if "memory" not in f"{error!r}".lower() and "alloc" not in f"{error!r}".lower():
            raise
        return about | dict(skipped=f"needs more than {options.memory_limit} GiB of memory")
    # ru_maxrss is in KiB, except on macOS.
    about |= dict(peakRssMb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)))
    steps = np.diff(batches.asked)[options.warm_up if batches.timed else 0 :]
    size = options.batch if batches.timed else batches.edges[-1] / len(batches)
    about |= dict(dIn=batches.d_in, batch=round(size), steps=len(steps), tokensPerSecond=round(size / statistics.median(steps), 1))
    if options.held_out:
        about |= dict(fvu=fvu(sae))
    if options.save:
        save(options.save)
    return about


with contextlib.redirect_stdout(sys.stderr):  # libraries print
    result = run()
print(json.dumps(result), flush=True)
