import { expect, test } from "vitest";
import {
  blocksOf,
  manualParagraphs,
  paragraphsOf,
  podParagraphs,
  restructuredParagraphs,
  sectionKeys,
  wrappedParagraphs,
} from "./markup.ts";

test("a page gives its paragraphs: lists have their marks, code keeps its lines, navigation and tables are left out", () => {
  const page = `<html><head><title>No</title><style>p{}</style></head><body><nav>Home</nav><h1>Bridges &amp; towers</h1>
    <p>One <b>span</b>
    of steel.<br>Two towers.</p><ul><li>red</li><li><p>tall</p></li></ul><ol><li>first<li>second</ol><table><tr><td>1</td></tr></table>
    <pre>if x:\n    y</pre><p>End</body></html>`;
  expect(paragraphsOf(page)).toEqual([
    "Bridges & towers",
    "One span of steel.\nTwo towers.",
    "- red",
    "- tall",
    "1. first",
    "2. second",
    "if x:\n    y",
    "End",
  ]);
});

test("only what is inside of the root is read, without what is dropped", () => {
  const page = "<body><p>menu</p><div class=text><p>kept</p><div class=toc><p>contents</p></div></div><p>foot</p></body>";
  const options = {
    root: (_: string, { class: own }: Record<string, string>) => own === "text",
    drop: (_: string, { class: own }: Record<string, string>) => own === "toc",
  };
  expect(paragraphsOf(page, options)).toEqual(["kept"]);
});

test("sections of two translations match where they have the same number of paragraphs", () => {
  const english = sectionKeys(blocksOf("<h1>A</h1><p>1</p><p>2</p><h2>B</h2><p>3</p>"));
  const german = sectionKeys(blocksOf("<h1>A</h1><p>1 2</p><h2>B</h2><p>3</p>"));
  expect(english).toHaveLength(5);
  expect(german.filter((key) => english.includes(key))).toEqual(["2/3:0/2", "2/3:1/2"]);
});

test("a manual page loses its requests and escapes", () => {
  const page = `.\\" comment\n.TH LS 1\n.SH NAME\nls \\- list \\fIdirectory\\fP contents\n.SH OPTIONS\n.TP\n.BR \\-a ", " \\-\\-all\ndo not ignore\nentries starting with .\n.PP\nIt\\(aqs done.\n.nf\na\n  b\n.fi\n.TS\nx\n.TE`;
  expect(manualParagraphs(page)).toEqual([
    "NAME",
    "ls - list directory contents",
    "OPTIONS",
    "-a, --all",
    "do not ignore entries starting with .",
    "It's done.",
    "a\n  b",
  ]);
  expect(manualParagraphs(".Dd January 1\n.Dt CAT 1")).toEqual([]);
});

test("reStructuredText loses directives and roles", () => {
  const text = "Title\n=====\n\n.. index:: x\n\nUse :func:`len` and ``str``, see\n`the site <there>`_.\n\n.. note::\n   Mind this.\n";
  expect(restructuredParagraphs(text)).toEqual(["Title", "Use len and str, see the site.", "Note: Mind this."]);
});

test("pod loses commands and formatting codes", () => {
  const pod =
    "=head1 NAME\n\nA C<print E<lt>> B<bold I<it>> L<text|url>.\n\n=over 4\n\n=item *\n\n    code;\n\n=begin html\n\n<p>no</p>\n\n=end html\n\n=cut";
  expect(podParagraphs(pod)).toEqual(["NAME", "A print < bold it text.", "    code;"]);
});

test("lines of a paragraph are joined, items and indented lines are not", () => {
  expect(wrappedParagraphs("One\ntwo.\n\n- a\n- b\n\n    x = 1\n    y = 2\n")).toEqual(["One two.", "- a\n- b", "    x = 1\n    y = 2"]);
});
