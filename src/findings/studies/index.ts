/** @file All studies, in the order of the report. */
import type { Study } from "../study.ts";
import { completeness } from "./completeness.ts";
import { concepts } from "./concepts.ts";
import { multilingual } from "./multilingual.ts";
import { quality } from "./quality.ts";
import { splitting } from "./splitting.ts";
import { steering } from "./steering.ts";

export const STUDIES: readonly Study<unknown>[] = [quality, concepts, multilingual, steering, splitting, completeness];
