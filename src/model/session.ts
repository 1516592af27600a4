/** @file Runs graphs: ONNX Runtime sessions over a model's weights. */
import { join, sep } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { CancelledError } from "../errors.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import type { Model } from "./graph/onnx.ts";

// Official builds of ONNX Runtime report to Microsoft, unless this is set before the first session. Whoever wants that may set it to 0.
process.env.ORT_DISABLE_TELEMETRY ??= "1";

/** Makes a session of a graph. ONNX Runtime maps weights that lie in files as floats; the others are decoded for it here. */
export async function createSession(model: Model, checkpoint: Checkpoint, threads: number): Promise<InferenceSession> {
  const externalData: { path: string; data: Uint8Array }[] = [];
  for (const { name, place, length } of model.weights) {
    const values = new Float32Array(length);
    await checkpoint.read(name, values);
    externalData.push({ path: place, data: new Uint8Array(values.buffer) });
  }
  return InferenceSession.create(model.proto, {
    ...(externalData.length > 0 && { externalData }),
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: {
      session: {
        // A model is several sessions that run in turn. Threads of one that spin on after its run would take the processor from the next.
        force_spinning_stop: "1",
        // Work in small pieces, each to the thread that is free: on a machine that is shared, a fixed half of it may wait for a core that is busy elsewhere.
        dynamic_block_base: "4",
        model_external_initializers_file_folder_path: join(checkpoint.folder, sep),
      },
    },
  });
}

export function floats(data: Float32Array, ...dims: number[]): Tensor {
  return new Tensor("float32", data, dims);
}

export function integers(data: Int32Array, ...dims: number[]): Tensor {
  return new Tensor("int32", data, dims);
}

/** @throws CancelledError when the caller's signal has fired */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CancelledError("cancelled by the caller", { cause: signal.reason });
}
