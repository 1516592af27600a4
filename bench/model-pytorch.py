"""PyTorch's side of bench/model.ts: the lower layers of a GGUF file's Llama model in f32, as `transformers` runs them.

Needs torch, transformers and gguf. For each line on standard input it harvests once and prints the seconds that took.
Arguments: the GGUF file, the layers to run, threads, contexts, tokens in a context.
"""

import sys
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

path, layers, threads, contexts, length = sys.argv[1], *map(int, sys.argv[2:6])
torch.set_num_threads(threads)
file = Path(path)
model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).model
model.layers = model.layers[:layers]
model.norm = torch.nn.Identity()

tokens = torch.arange(contexts * length).reshape(contexts, length) * 7919 % 49152
print("ready", flush=True)
with torch.inference_mode():
    for _ in sys.stdin:
        start = time.perf_counter()
        x = model(input_ids=tokens, use_cache=False).last_hidden_state
        print(time.perf_counter() - start, float(x.abs().sum(-1).median()), flush=True)
