/** @file The order in which the model is asked: every prefix holds all topics in their shares, and every request comes once before any comes again. */
import { ArgumentError } from "../../errors.ts";
import type { Message } from "../../model/tokenizer.ts";
import { permutation, type Random, seededRandom } from "../../random.ts";
import type { Topic } from "./topics.ts";

export interface Request {
  kind: string;
  language: string;
  /** What the model reads before it answers. */
  messages: Message[];
  /** What the user says to the answer, in a share of the chats. */
  followUp: string | undefined;
  /** Whether the document is the whole chat, with the marks of its turns, or the answer alone. */
  chat: boolean;
}

const SHARE_OF_CHATS = 0.4;
const SHARE_OF_FOLLOW_UPS = 0.35; // of the chats
const SHARE_OF_SYSTEMS = 0.75; // of the topics that have such messages

const FOLLOW_UPS = [
  "Tell me more.",
  "Are you sure?",
  "I think that is wrong.",
  "Thank you! Can you say it in one sentence?",
  "Why?",
  "Give me an example.",
  "I do not believe you.",
  "Now explain it to a child.",
  "That is great, thank you.",
  "Can you make it shorter?",
  "What would an expert say against that?",
  "Is that the truth?",
  "Please write it as a list.",
  "That made me laugh. Another one, please.",
  "I am not satisfied with your answer.",
];

/** Yields requests without end. @param topics with items and templates @throws ArgumentError when there are none */
export function* requests(topics: readonly Topic[], seed: number): Generator<Request, never, undefined> {
  if (topics.length === 0) throw new ArgumentError("there are no topics to ask about");
  const streams = topics.map((topic, t) => combinations(topic, seed, t));
  const total = topics.reduce((sum, { weight }) => sum + weight, 0);
  const credit = topics.map(() => 0);
  const random = seededRandom(seed, 0x7e9);
  for (;;) {
    // Smooth weighted round robin: whoever is furthest behind its share comes next.
    let next = 0;
    for (const [t, { weight }] of topics.entries()) {
      credit[t]! += weight;
      if (credit[t]! > credit[next]!) next = t;
    }
    credit[next]! -= total;
    const topic = topics[next]!;
    const content = streams[next]!.next().value;
    const system = topic.systems && random() < SHARE_OF_SYSTEMS ? oneOf(topic.systems, random) : undefined;
    const chat = random() < SHARE_OF_CHATS;
    yield {
      kind: topic.kind,
      language: topic.language ?? "en",
      messages: [...(system === undefined ? [] : [{ role: "system", content: system }]), { role: "user", content }],
      followUp: chat && random() < SHARE_OF_FOLLOW_UPS ? oneOf(FOLLOW_UPS, random) : undefined,
      chat,
    };
  }
}

/** Every template with every item, in a drawn order, and then in another. */
function* combinations({ items, templates }: Topic, seed: number, stream: number): Generator<string, never, undefined> {
  for (let round = 0; ; round++) {
    for (const i of permutation(items.length * templates.length, seededRandom(seed, stream, round)))
      yield templates[i % templates.length]!.replaceAll("*", () => items[Math.floor(i / templates.length)]!);
  }
}

function oneOf<T>(values: readonly T[], random: Random): T {
  return values[Math.floor(random() * values.length)]!;
}
