#!/usr/bin/env bash
# Makes family/ from nothing: some three hours of two fast cores. Every command goes on where it was stopped, and so does this.
set -euo pipefail
package=$(cd "$(dirname "$0")" && pwd)
monoscope() { node "$package/../../dist/cli/main.js" "$@"; }
work=${1:?name a folder to work in; it will hold 15 GB}
mkdir -p "$work" && cd "$work"

parts() { printf 'corpus/train/part-%s.jsonl.gz ' "$@"; }
monoscope corpus build --out corpus
monoscope corpus sample --out sampled --tokens 365000
text=(sampled/train $(parts 000 001 004))
monoscope harvest "${text[@]}" --held-out 0 --out activations
monoscope harvest $(parts 002 003 006 007) --held-out 0 --out activations-more
# What the model wrote itself counts twice: there is little of it, and only there are landmarks and the like.
monoscope harvest sampled/train --held-out 0 --out activations-sampled

sizes=(1024 4096 16384)
monoscope train activations-sampled activations activations-more --tokens 6690000 --architecture batchtopk --features "$(IFS=,; echo "${sizes[*]}")" --out trained
for n in "${sizes[@]}"; do
  [ -d "family/batchtopk-$n" ] || monoscope convert "trained/batchtopk-$n" "family/batchtopk-$n" --to int8
done
monoscope catalog family/batchtopk-16384 "${text[@]}" --held-out 0 --store activations --contexts 8192 --with family/batchtopk-{1024,4096}
for n in "${sizes[@]}"; do
  monoscope describe "family/batchtopk-$n"
  monoscope evaluate "family/batchtopk-$n" corpus/held-out --all --keep --contexts 64
done
# Numbers of features are another training's own: these were found with `search` and `find`, and chosen by what the model says when they are held.
cp "$package/characters.json" family/batchtopk-16384/
monoscope pack family/batchtopk-* --out "$package/family"
