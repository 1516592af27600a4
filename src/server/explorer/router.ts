/** @file A router whose requests are checked against their schemas, and what its routes have in common. */
import { OpenAPIHono, z } from "@hono/zod-openapi";
import { Problem } from "../problem.ts";

/** What a request gets that its schema refuses: the first field that is at fault. */
export function router(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook(result) {
      if (result.success) return;
      const [issue] = result.error.issues;
      const param = issue!.path.join(".");
      throw new Problem(400, param === "" ? issue!.message : `${param}: ${issue!.message}`, {
        code: "invalid_request",
        ...(param !== "" && { param }),
      });
    },
  });
}

/** A JSON body of a request. */
export function json<S extends z.ZodType>(schema: S) {
  return { body: { content: { "application/json": { schema } }, required: true } } as const;
}

/** The answer when all goes well; what goes wrong is the same everywhere, and is added to the document as a whole. */
export function answer<S extends z.ZodType>(schema: S, description: string) {
  return { 200: { content: { "application/json": { schema } }, description } } as const;
}

/** Names of things in addresses. */
export const id = z
  .string()
  .regex(/^[\w.-]{1,200}$/)
  .openapi({ param: { name: "id", in: "path" } });

export const featureNumber = z
  .string()
  .regex(/^\d{1,9}$/, "expected the number of a feature")
  .transform(Number)
  .openapi({ param: { name: "feature", in: "path" }, type: "integer", minimum: 0 });
