/** @file Characters: named sets of clamps. The user's are files of a folder, one each; an autoencoder may bring some along in its `characters.json`. */
import { randomBytes } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createRoute, z } from "@hono/zod-openapi";
import { FormatError } from "../../errors.ts";
import { writeTextWhole } from "../../files.ts";
import { Problem } from "../problem.ts";
import { checkFeature, type ExplorerContext } from "./context.ts";
import { answer, id, json, router } from "./router.ts";
import { character, characters, savedCharacter } from "./schemas.ts";

type Character = z.infer<typeof character>;
type Saved = z.infer<typeof savedCharacter>;

const MOST_SAVED = 1000;
const FILE = /^([\w.-]{1,120})\.json$/;

const listRoute = createRoute({
  method: "get",
  path: "/api/characters",
  summary: "Named sets of clamps",
  responses: answer(characters, "Those that come with the autoencoders, then the user's"),
});

const saveRoute = createRoute({
  method: "post",
  path: "/api/characters",
  summary: "Saves a set of clamps under a name",
  request: json(character),
  responses: answer(savedCharacter, "What was saved, and under which id"),
});

const removeRoute = createRoute({
  method: "delete",
  path: "/api/characters/{id}",
  summary: "Removes a saved character",
  request: { params: z.object({ id }) },
  responses: { 204: { description: "It is gone" } },
});

export function characterRoutes(context: ExplorerContext) {
  return router()
    .openapi(listRoute, async (c) => c.json({ characters: [...(await packaged(context)), ...(await saved(context.characters))] }, 200))
    .openapi(saveRoute, async (c) => {
      const wanted = c.req.valid("json");
      for (const [i, { autoencoder, feature }] of wanted.clamps.entries())
        checkFeature(context.autoencoder(autoencoder).sae, feature, `clamps.${i}.feature`);
      if ((await files(context.characters)).length >= MOST_SAVED)
        throw new Problem(400, `${MOST_SAVED} characters are saved, which is the most; remove some`, { code: "too_many_characters" });
      const id = `${spelled(wanted.name)}-${randomBytes(4).toString("hex")}`;
      await writeTextWhole(join(context.characters, `${id}.json`), `${JSON.stringify(wanted, null, 2)}\n`);
      return c.json({ ...wanted, id, packaged: false }, 200);
    })
    .openapi(removeRoute, async (c) => {
      const { id } = c.req.valid("param");
      if ((await packaged(context)).some((each) => each.id === id))
        throw new Problem(403, "this character comes with its autoencoder and cannot be removed here", { param: "id", code: "packaged" });
      if (!(await files(context.characters)).includes(id))
        throw new Problem(404, `there is no character ${JSON.stringify(id)}`, { param: "id", code: "character_not_found" });
      await rm(join(context.characters, `${id}.json`), { force: true });
      return c.body(null, 204);
    });
}

/** The user's characters, by name. A file that is none is passed over: it may have been written by hand. */
async function saved(folder: string): Promise<Saved[]> {
  const found: Saved[] = [];
  for (const id of await files(folder)) {
    const parsed = character.safeParse(await readJson(join(folder, `${id}.json`)).catch(() => undefined));
    if (parsed.success) found.push({ ...parsed.data, id, packaged: false });
  }
  return found.sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id));
}

/** The ids of the user's characters. */
async function files(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).flatMap((name) => FILE.exec(name)?.[1] ?? []);
}

/** The clamps of a packaged character are of the autoencoder that it comes with. */
const packagedFile = z.array(character.extend({ clamps: z.array(z.record(z.string(), z.unknown())) }));

async function packaged({ autoencoders }: ExplorerContext): Promise<Saved[]> {
  const found = await Promise.all(
    autoencoders.map(async ({ id: autoencoder, folder }) => {
      if (folder === undefined) return [];
      const path = join(folder, "characters.json");
      const list = packagedFile.safeParse(await readJson(path).catch(absent));
      if (!list.success) throw new FormatError(`${path} is not a list of characters: ${list.error.issues[0]!.message}`);
      return list.data.map((each): Saved => {
        const whole = character.safeParse({ ...each, clamps: each.clamps.map((clamp) => ({ ...clamp, autoencoder })) });
        if (!whole.success) throw new FormatError(`${path}: ${each.name}: ${whole.error.issues[0]!.message}`);
        return { ...(whole.data satisfies Character), id: `${autoencoder}.${spelled(each.name)}`, packaged: true };
      });
    }),
  );
  return found.flat();
}

/** A file that is not there holds no character. */
function absent(error: NodeJS.ErrnoException): unknown {
  if (error.code === "ENOENT") return [];
  throw new FormatError("characters.json is not JSON", { cause: error });
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, "utf8"));
}

/** A name in the letters of ids. */
function spelled(name: string): string {
  return (
    name
      .normalize("NFKD")
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 60) || "character"
  );
}
