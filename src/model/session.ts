/** @file Runs graphs: ONNX Runtime sessions over weights of a GGUF file. */
import { InferenceSession, Tensor } from "onnxruntime-node";
import { CancelledError } from "../errors.ts";
import type { Gguf } from "./gguf/reader.ts";
import { type Model, WEIGHTS_FILE } from "./graph/onnx.ts";

// Official builds of ONNX Runtime report to Microsoft, unless this is set before the first session. Whoever wants that may set it to 0.
process.env.ORT_DISABLE_TELEMETRY ??= "1";

/** Makes a session of a graph; its weights come from the tensors of `file` that have their names. */
export async function createSession(model: Model, file: Gguf, threads: number): Promise<InferenceSession> {
  const data = new Uint8Array(model.weightBytes);
  for (const { name, length, offset } of model.weights) await file.read(name, new Float32Array(data.buffer, offset, length));
  return InferenceSession.create(model.proto, {
    ...(model.weightBytes > 0 && { externalData: [{ path: WEIGHTS_FILE, data }] }),
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: {
      session: {
        // A model is several sessions that run in turn. Threads of one that spin on after its run would take the processor from the next.
        force_spinning_stop: "1",
        // Work in small pieces, each to the thread that is free: on a machine that is shared, a fixed half of it may wait for a core that is busy elsewhere.
        dynamic_block_base: "4",
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
