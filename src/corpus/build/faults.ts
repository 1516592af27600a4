/** @file Programs that are broken in one place, with what the interpreter then says. */

export interface PythonTask {
  prompt: string;
  canonical_solution: string;
  entry_point: string;
  test: string;
}

interface Fault {
  find: RegExp;
  replace: string;
  /** Only where this is in the solution too. */
  only?: RegExp;
  /** What Python says, where the fault always shows itself; what it does not say is wrong without a message. */
  message?: (name: string) => string;
}

const FAULTS: readonly Fault[] = [
  { find: /^( *(?:for|if|while|else|def) ?[^\n]*):$/m, replace: "$1", message: () => "SyntaxError: expected ':'" },
  { find: /\brange\(len\((\w+)\)\)/, replace: "range(len($1) + 1)", message: () => "IndexError: list index out of range" },
  {
    find: /\breturn (?!True|False|None|not|sorted|len|sum|max|min|all|any|list|str)([a-z_]\w*)$/m,
    replace: "return $1s",
    message: (name) => `NameError: name '${name}s' is not defined`,
  },
  {
    find: / == /,
    replace: " = ",
    only: /^ *(?:if|elif|while) .* == /m,
    message: () => "SyntaxError: invalid syntax. Maybe you meant '==' or ':=' instead of '='?",
  },
  { find: /\)$/m, replace: "", message: () => "SyntaxError: '(' was never closed" },
  { find: /\bappend\(/, replace: "apend(", message: () => "AttributeError: 'list' object has no attribute 'apend'" },
  { find: /\blen\(/, replace: "lenght(", message: () => "NameError: name 'lenght' is not defined" },
  { find: / < /, replace: " > " },
  { find: / \+ 1\b/, replace: " - 1" },
  { find: / != /, replace: " == " },
  { find: /\bTrue\b/, replace: "False" },
  { find: / \+= /, replace: " -= " },
  { find: /\breturn (?=\w)/, replace: "" },
  { find: / and /, replace: " or " },
  { find: /% 2 == 0/, replace: "% 2 == 1" },
];

/** Versions of a solution with one fault each, up to three; every other one followed by the traceback of a run. */
export function faultyVariants({ prompt, canonical_solution: solution, entry_point: name, test }: PythonTask): string[] {
  const whole = `${prompt.trim()}\n${solution.trimEnd()}`;
  const fitting = FAULTS.filter(({ find, only }) => find.test(solution) && (only === undefined || only.test(solution)));
  const start = name.length % Math.max(1, fitting.length);
  const chosen = [...fitting.slice(start), ...fitting.slice(0, start)].slice(0, 3);
  return chosen.flatMap(({ find, replace, message }, i) => {
    const broken = `${prompt.trim()}\n${solution.replace(find, replace).trimEnd()}`;
    if (broken === whole) return [];
    if (i % 2 === 1) return [broken];
    const said = message?.(find.exec(solution)![1] ?? "");
    const line = 1 + broken.split("\n").findIndex((text, n) => text !== whole.split("\n")[n]);
    const assertion = /assert candidate\(.*/.exec(test)?.[0].replace("candidate", name);
    if (said === undefined && assertion === undefined) return [broken];
    const trace =
      said === undefined
        ? `  File "test_${name}.py", line 4, in <module>\n    ${assertion}\nAssertionError`
        : `  File "${name}.py", line ${line}\n${said}`;
    return [`${broken}\n\n$ python3 ${said === undefined ? "test_" : ""}${name}.py\nTraceback (most recent call last):\n${trace}`];
  });
}
