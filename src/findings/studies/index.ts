/** @file All studies, in the order of the report. */
import type { Study } from "../study.ts";
import { architectures } from "./architectures.ts";
import { completeness } from "./completeness.ts";
import { concepts } from "./concepts.ts";
import { judging } from "./judging.ts";
import { layers } from "./layers.ts";
import { multilingual } from "./multilingual.ts";
import { quality } from "./quality.ts";
import { splitting } from "./splitting.ts";
import { steering } from "./steering.ts";

export const STUDIES: readonly Study<unknown>[] = [
  ...[architectures, quality, concepts, multilingual, steering],
  ...[splitting, completeness, judging, layers],
];
