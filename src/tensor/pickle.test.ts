import { expect, test } from "vitest";
import { FormatError, UnsupportedError } from "../errors.ts";
import { PickledTensor, readPickle } from "./pickle.ts";

// Written by hand, operation by operation, as `python -m pickletools` shows them.
const text = (value: string) => Buffer.concat([Buffer.from([0x8c, value.length]), Buffer.from(value)]);
const global = (name: string) => Buffer.from(`c${name.replace("|", "\n")}\n`);
const pickle = (...parts: (string | Buffer)[]) =>
  Buffer.concat([
    Buffer.from([0x80, 2]),
    ...parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)),
    Buffer.from("."),
  ]);
const STORAGE = [Buffer.from("("), text("storage"), global("torch|FloatStorage"), text("0"), text("cpu"), "K\x06tQ"];
const TENSOR = [
  global("torch._utils|_rebuild_tensor_v2"),
  "(",
  ...STORAGE,
  "K\x00K\x02K\x03\x86K\x03K\x01\x86\x89",
  global("collections|OrderedDict"),
  ")RtR",
];

test("a dictionary of tensors and plain values", () => {
  const state = readPickle(
    pickle(global("collections|OrderedDict"), ")Rq\x00(", text("w"), ...TENSOR, text("k"), "K\x20u}", text("_metadata"), "Ns", "b"),
    "file",
  ) as ReadonlyMap<string, unknown>;
  expect(state.get("k")).toBe(32);
  expect(state.get("w")).toBeInstanceOf(PickledTensor);
  expect(state.get("w")).toMatchObject({ dtype: "F32", key: "0", numbers: 6, offset: 0, shape: [2, 3], strides: [3, 1] });
});

test.each([
  ["os.system", pickle(global("os|system"), text("true"), "\x85R")],
  ["builtins.eval", pickle(text("builtins"), text("eval"), "\x93", text("1"), "\x85R")],
  ["torch.load", pickle(global("torch|load"), text("other.pt"), "\x85R")],
  ["torch.constructor", pickle(global("torch|constructor"))],
  ["operation 0x69", pickle("(ios\nsystem\n")], // INST
  ["operation 0x81", pickle(global("collections|OrderedDict"), ")\x81")], // NEWOBJ
  ["operation 0x82", pickle("\x82\x01")], // EXT1
])("code is refused, and not run: %s", (name, bytes) => {
  expect(() => readPickle(bytes, "file")).toThrow(UnsupportedError);
  expect(() => readPickle(bytes, "file")).toThrow(`${name}, which a dictionary of tensors does not need; nothing of it was run`);
});

test.each([
  ["it is truncated", pickle("X\xff\xff\xff\xff")],
  ["a value is missing", pickle("\x85")],
  ["items without a beginning", pickle("t")],
  ["recalls value 9", pickle("h\x09")],
  ["a dictionary whose keys are no names", pickle("}K\x01K\x02s")],
  ["entries of something other than a dictionary", pickle("]K\x01K\x02s")],
  ["a storage without its description", pickle("K\x01Q")],
  [
    "a tensor whose description is malformed",
    pickle(global("torch._utils|_rebuild_tensor_v2"), "(", ...STORAGE, "J\xff\xff\xff\xffK\x02\x85K\x01\x85\x89}tR"),
  ],
  ["a name without an end", pickle("cos")],
  ["it ends without a value", pickle("}}")],
])("refused: %s", (message, bytes) => {
  expect(() => readPickle(bytes, "file")).toThrow(FormatError);
  expect(() => readPickle(bytes, "file")).toThrow(message);
});
