#!/usr/bin/env bash
# Makes family/ from nothing: some five hours of two cores. Every command goes on where it was stopped, and so does this.
set -euo pipefail
package=$(cd "$(dirname "$0")" && pwd)
monoscope() { node "$package/../../dist/cli/main.js" "$@"; }
work=${1:?name a folder to work in; it will hold 12 GB}
mkdir -p "$work" && cd "$work"

text=(corpus/train --held-out 0 --tokens 7000000)
sizes=(1024 4096 16384)
monoscope corpus build --out corpus
monoscope harvest "${text[@]}" --out activations
monoscope train activations --tokens 4200000 --features "$(IFS=,; echo "${sizes[*]}")" --out trained
for n in "${sizes[@]}"; do
  [ -d "family/topk-$n" ] || monoscope convert "trained/topk-$n" "family/topk-$n" --to int8
  monoscope evaluate "family/topk-$n" corpus/held-out --all --contexts 64
done
monoscope catalog family/topk-16384 "${text[@]}" --store activations --contexts 8192 --with family/topk-1024 family/topk-4096
for n in "${sizes[@]}"; do monoscope describe "family/topk-$n"; done
monoscope pack family/topk-* --out "$package/family"
