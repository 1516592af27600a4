/** @file The errors that Monoscope throws on purpose: one class per kind, each with a stable `code`. Messages say what was wrong, with the value, and what to do. */

export abstract class MonoscopeError extends Error {
  abstract readonly code: string;
  override get name(): string {
    return this.constructor.name;
  }
}

/** An option or argument has a value that makes no sense (`--features 0`, a layer out of range). */
export class ArgumentError extends MonoscopeError {
  readonly code = "E_ARGUMENT";
}

/** A file or folder that was named does not exist or cannot be read. */
export class NotFoundError extends MonoscopeError {
  readonly code = "E_NOT_FOUND";
}

/** A file is truncated, malformed, or breaks a named limit of its reader. */
export class FormatError extends MonoscopeError {
  readonly code = "E_FORMAT";
}

/** A file is not the one expected: its checksum differs. */
export class ChecksumError extends MonoscopeError {
  readonly code = "E_CHECKSUM";
}

/** A valid file or request asks for something that Monoscope does not do (an unknown architecture, a quantisation type). */
export class UnsupportedError extends MonoscopeError {
  readonly code = "E_UNSUPPORTED";
}

/** Two tensors, or a tensor and a configuration, do not fit together. */
export class ShapeError extends MonoscopeError {
  readonly code = "E_SHAPE";
}

/** NaN or infinity where a finite number is required. */
export class NonFiniteError extends MonoscopeError {
  readonly code = "E_NON_FINITE";
}

/** A corpus holds no text that can be used. */
export class CorpusError extends MonoscopeError {
  readonly code = "E_CORPUS";
}

/** A download failed and nothing in the cache could stand in for it. */
export class NetworkError extends MonoscopeError {
  readonly code = "E_NETWORK";
}

/** What was asked for comes under terms that nobody has accepted. */
export class TermsError extends MonoscopeError {
  readonly code = "E_TERMS";
}

/** Writing failed: the disk is full, a limit was reached, or permission is missing. Nothing half-written was left in place. */
export class DiskError extends MonoscopeError {
  readonly code = "E_DISK";
}

/** The caller's AbortSignal fired. */
export class CancelledError extends MonoscopeError {
  readonly code = "E_CANCELLED";
}
