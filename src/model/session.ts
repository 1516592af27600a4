/** @file Runs graphs: ONNX Runtime sessions over a model's weights. */
import { join, sep } from "node:path";
import { InferenceSession, listSupportedBackends, Tensor } from "onnxruntime-node";
import { ArgumentError, CancelledError, UnsupportedError } from "../errors.ts";
import { encodeHalf } from "../tensor/float16.ts";
import type { Checkpoint } from "./checkpoint/checkpoint.ts";
import { Graph, type Model, type Precision } from "./graph/onnx.ts";

// Official builds of ONNX Runtime report to Microsoft, unless this is set before the first session. Whoever wants that may set it to 0.
process.env.ORT_DISABLE_TELEMETRY ??= "1";

/** What a model can run on, where ONNX Runtime has it. */
export type Device = "cpu" | "cuda" | "directml" | "coreml" | "webgpu";

/** ONNX Runtime's names. */
const PROVIDERS = { cpu: "cpu", cuda: "cuda", directml: "dml", coreml: "coreml", webgpu: "webgpu" } as const satisfies Record<
  Device,
  string
>;

export const DEVICES = Object.keys(PROVIDERS) as Device[];

/** What runs a model. */
export interface Processor {
  readonly threads: number;
  readonly device: Device;
  /** Of weights in matrix products. */
  readonly precision: Precision;
}

/** Tries whether a device can be used, with a graph of one addition. @throws UnsupportedError when ONNX Runtime was built without it, or it is not on this machine; ArgumentError for no device */
export async function checkDevice(device: Device): Promise<void> {
  if (!DEVICES.includes(device)) throw new ArgumentError(`device ${JSON.stringify(device)} is none of ${DEVICES.join(", ")}`);
  if (device === "cpu") return;
  const here = `${process.platform} ${process.arch}`;
  const built = listSupportedBackends().map(({ name }) => name);
  if (!built.includes(PROVIDERS[device])) {
    const others = DEVICES.filter((name) => built.includes(PROVIDERS[name]));
    throw new UnsupportedError(`ONNX Runtime has no ${device} on ${here}; it has ${others.join(", ")}. Use one of these.`);
  }
  const g = new Graph();
  g.output("y", g.op("Add", [g.input("x", "f32", ["N"]), g.constant(Float32Array.of(1))]), ["N"]);
  try {
    const session = await InferenceSession.create(g.finish().proto, { executionProviders: [PROVIDERS[device]], logSeverityLevel: 4 });
    await session.release();
  } catch (error) {
    throw new UnsupportedError(
      `${device} cannot be used on this machine: ${(error as Error).message.trim()}. Use cpu, or install its drivers.`,
      {
        cause: error,
      },
    );
  }
}

/** Makes a session of a graph. ONNX Runtime maps weights that lie in files as floats; the others are decoded for it here. */
export async function createSession(model: Model, checkpoint: Checkpoint, { threads, device }: Processor): Promise<InferenceSession> {
  const externalData: { path: string; data: Uint8Array }[] = [];
  for (const { name, place, start, length, type } of model.weights) {
    const values = new Float32Array(length);
    await checkpoint.read(name, values, start);
    externalData.push({ path: place, data: new Uint8Array((type === "f16" ? encodeHalf(values) : values).buffer) });
  }
  return InferenceSession.create(model.proto, {
    ...(externalData.length > 0 && { externalData }),
    executionProviders: device === "cpu" ? ["cpu"] : [PROVIDERS[device], "cpu"],
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
