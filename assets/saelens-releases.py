"""Writes saelens-releases.json.gz: where the autoencoders lie that SAELens knows by name. `python assets/saelens-releases.py` (sae-lens 6.54.12)

By release: the repository, the kind of its files where it is one that Monoscope does not read, else null, and the ids, each alone where it is also the path in the repository, else with it.
"""

import gzip
import json
import os

import sae_lens
import yaml

# SAELens' names for the formats that Monoscope reads. Without a name, files are SAELens' own.
READ = {None, "gemma_2", "gemma_2_transcoder", "gemma_3", "dictionary_learning_1"}

with open(os.path.join(os.path.dirname(sae_lens.__file__), "pretrained_saes.yaml")) as file:
    listed = yaml.load(file, Loader=yaml.CSafeLoader)

releases = {}
for name, release in sorted(listed.items()):
    kind = release.get("conversion_func")
    saes = [] if kind not in READ else [sae["id"] if sae["path"] == sae["id"] else [sae["id"], sae["path"]] for sae in release["saes"]]
    releases[name] = [release["repo_id"], None if kind in READ else kind, saes]

text = json.dumps(releases, ensure_ascii=False, separators=(",", ":"))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "saelens-releases.json.gz"), "wb") as out:
    out.write(gzip.compress(text.encode(), compresslevel=9, mtime=0))
