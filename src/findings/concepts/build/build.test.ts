import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { draw, fill, splitInHalves } from "./draft.ts";
import { brokenPrograms, codeErrorTexts } from "./families/code-errors.ts";
import { namesIn, withoutPersons } from "./families/mail.ts";

const hasPython = spawnSync("python3", ["--version"]).status === 0;

const MEAN = {
  prompt: 'def mean(xs):\n    """The mean of numbers.\n    >>> mean([1, 2, 3])\n    2.0\n    """\n',
  canonical_solution: "    total = 0\n    for i in range(len(xs)):\n        total += xs[i]\n    return total / len(xs)\n",
  test: "def check(candidate):\n    assert candidate([1, 2, 3]) == 2.0\n    assert candidate([5]) == 5\n",
  entry_point: "mean",
};

test.skipIf(!hasPython)(
  "programs are broken in one place, and only those whose tests end with the error that is meant are kept",
  async () => {
    const tasks = ["T/0", "T/1"].map((task_id) => JSON.stringify({ task_id, ...MEAN })).join("\n");
    const programs = await brokenPrograms(tasks);
    const original = programs.find(({ edit }) => edit === "none")!.text;
    expect(original).toContain('"""The mean of numbers."""\n    total = 0');
    const lines = original.split("\n");
    const allowed: Record<string, string[]> = {
      "name-error": ["NameError", "UnboundLocalError"],
      "division-by-zero": ["ZeroDivisionError"],
      "off-by-one": ["AssertionError", "IndexError"],
      "type-error": ["TypeError"],
      "wrong-operator": ["AssertionError"],
    };
    const mutants = programs.filter(({ edit }) => edit === "mutant");
    expect(new Set(mutants.map(({ kind }) => kind))).toEqual(new Set(Object.keys(allowed)));
    for (const { kind, text, error } of mutants) {
      expect(allowed[kind]).toContain(error);
      expect(text.split("\n").filter((line, i) => line !== lines[i])).toHaveLength(1);
    }
    const rewrites = programs.filter(({ edit }) => edit === "rewrite");
    expect(rewrites.length).toBeGreaterThan(5);
    for (const { text, error } of rewrites) expect([error, text === original]).toEqual(["", false]);

    const texts = codeErrorTexts(programs, "human-eval 1", 2, 0);
    const taskOf = (half: string) => new Set(texts.filter((text) => text.half === half).map(({ group }) => group));
    expect([taskOf("choose").size, taskOf("test").size]).toEqual([1, 1]);
    expect(taskOf("choose")).not.toEqual(taskOf("test"));
    const negatives = texts.filter(({ concept, label, half }) => concept === "name-error" && label === 0 && half === "test");
    expect(negatives.map(({ text }) => text)).toEqual([original.trim(), expect.stringContaining("def mean(xs)")]);
  },
  30_000,
);

test("names and addresses of mail are replaced, words that are names too are not", () => {
  const message =
    "From: Will Grbac <will@grbac.ie>\nTo: list@lists.ie\nSubject: x\n\nI will come. We will see. It will rain, said Grbac's wife.";
  const names = namesIn([message]);
  expect([...names]).toEqual(["Grbac"]);
  expect(withoutPersons("Will Grbac wrote to will@grbac.ie, see http://grbac.ie/x and www.a.com; call +353 1 234 5678.", names)).toBe(
    "Will Alex wrote to name@example.com see http://www.example.com and http://www.example.com call 555-0100.",
  );
});

test("what is drawn and which half it is in depends on the item alone, not on its neighbours' order", () => {
  const words = ["joy", "glee", "mirth", "elation", "delight"];
  expect(draw([...words].reverse(), 2, (word) => word, 7)).toEqual(draw(words, 2, (word) => word, 7));
  const { choose, test: rest } = splitInHalves(words, (word) => word, 7);
  expect([choose.length, rest.length, new Set([...choose, ...rest]).size]).toEqual([3, 2, 5]);
  expect(fill("{x} was here.", { x: "the king" })).toBe("The king was here.");
});
