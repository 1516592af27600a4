/** @file Adds a direction to the residual stream: what a steering vector does (Turner et al. 2023, "Activation addition"; Zou et al. 2023). */
import { ordinaryRows } from "../activations/sinks.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import type { Intervention } from "../model/intervention.ts";
import { row } from "../tensor/matrix.ts";

/**
 * x' = x + share · ‖x‖ · direction / ‖direction‖ at every token but sinks. @param direction [dIn], of any length but zero @param sinkThreshold residual norm above which a token is a sink
 * @throws ArgumentError for a direction without a length; ShapeError where the residual has another width
 */
export function push(direction: Float32Array, share: number, sinkThreshold: number): Intervention {
  const length = Math.hypot(...direction);
  if (!(length > 0) || !Number.isFinite(share * length))
    throw new ArgumentError(
      `a direction of length ${length} cannot be added ${share} times; expected finite numbers, and a length above 0`,
    );
  return {
    apply(residual) {
      if (residual.cols !== direction.length)
        throw new ShapeError(`the direction has ${direction.length} numbers; the model's residuals are ${residual.cols} wide`);
      for (const r of ordinaryRows(residual, sinkThreshold)) {
        const token = row(residual, r);
        const scale = (share * Math.hypot(...token)) / length;
        for (let c = 0; c < token.length; c++) token[c]! += scale * direction[c]!;
      }
    },
  };
}
