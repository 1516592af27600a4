/** @file Six emotions: words of WordNet in sentences that would fit any of them, held out by word, and scenes that name no emotion. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decoded, type Synset, synsetsOf } from "../../../../corpus/build/readers.ts";
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
import type { Unpacked } from "../packages.ts";

type Emotion = "joy" | "sadness" | "anger" | "fear" | "disgust" | "surprise";

/** Where each is in WordNet 3.0: nouns above, adjectives in the middle of a cluster, and words below them that mean something else. */
const CLASSES: Readonly<Record<Emotion, { nouns: readonly string[]; adjectives: readonly string[]; not: readonly string[] }>> = {
  joy: {
    nouns: ["07527352", "07526757"],
    adjectives: ["01148283", "01363613", "01366718"],
    not: [
      "bang",
      "boot",
      "charge",
      "flush",
      "rush",
      "kick",
      "thrill",
      "titillation",
      "buoyancy",
      "lightness",
      "civic pride",
      "civic spirit",
      "comfortableness",
      "gloat",
      "gloating",
      "excitement",
      "pride",
      "bright",
      "blessed",
      "festive",
      "riant",
      "rapt",
      "laughing",
      "euphory",
      "gladfulness",
      "gladsomeness",
      "jocundity",
      "perkiness",
      "bonheur",
      "complacency",
      "complacence",
      "self-complacency",
      "self-satisfaction",
      "smugness",
      "schadenfreude",
      "intoxication",
      "comfort",
      "beatific",
      "golden",
      "halcyon",
      "prosperous",
      "riotous",
      "gay",
      "festal",
      "merry",
      "schadenfreude",
      "radiance",
      "sunshine",
      "security",
      "belonging",
      "insouciance",
      "carefreeness",
      "lightsomeness",
      "lightheartedness",
      "closeness",
      "intimacy",
      "togetherness",
    ],
  },
  sadness: {
    nouns: ["07532440"],
    adjectives: ["01361863", "01364008"],
    not: [
      "bitter",
      "brooding",
      "demoralisation",
      "demoralization",
      "elegiac",
      "grievous",
      "heartbreaking",
      "heartrending",
      "heaviness",
      "helplessness",
      "oppression",
      "oppressiveness",
      "lowness",
      "weight",
      "pensiveness",
      "plaintive",
      "plaintiveness",
      "ruthfulness",
      "survivor guilt",
      "tormented",
      "tortured",
      "tragic",
      "tragical",
      "tragicomic",
      "tragicomical",
      "wailful",
      "wailing",
      "weeping",
      "low-spiritedness",
      "dolor",
      "heavyheartedness",
      "attrition",
      "contriteness",
      "contrition",
      "compunction",
      "guilt",
      "guilty conscience",
      "guilt feelings",
      "guilt trip",
      "self-reproach",
      "poor devil",
      "regret",
      "rue",
      "ruefulness",
      "remorse",
      "shame",
      "weepiness",
      "tearfulness",
      "poignance",
      "poignancy",
      "pathos",
      "repentance",
      "penitence",
      "penance",
      "downer",
      "cheerlessness",
      "uncheerfulness",
      "self-pity",
      "bad",
      "sorry",
      "pensive",
      "wistful",
      "drooping",
      "depressive",
      "depressing",
      "cheerless",
      "uncheerful",
      "pitiful",
      "pitiable",
      "bittersweet",
      "lachrymose",
      "tearful",
      "dolorous",
      "dolourous",
    ],
  },
  anger: {
    nouns: ["07516354"],
    adjectives: ["00113818"],
    not: [
      "chafe",
      "conniption",
      "fit",
      "irascibility",
      "irascible",
      "lividity",
      "mad",
      "madness",
      "offence",
      "offense",
      "quick temper",
      "scene",
      "short temper",
      "spleen",
      "temper",
      "umbrage",
      "umbrageous",
      "provoked",
      "wroth",
      "wrothful",
      "tantrum",
      "ireful",
      "bad blood",
      "dander",
      "hackles",
      "huffiness",
      "choler",
      "choleric",
      "smolder",
      "harassment",
      "torment",
      "enviousness",
      "envy",
      "dudgeon",
      "high dudgeon",
      "infuriation",
      "enragement",
      "bad temper",
      "ill temper",
      "aggravation",
      "black",
      "red",
      "ferocious",
      "fierce",
      "savage",
      "smoldering",
      "smouldering",
      "furious",
      "raging",
      "tempestuous",
      "wild",
      "hot under the collar",
      "sore",
      "huffy",
      "indignation",
    ],
  },
  fear: {
    nouns: ["07519253"],
    adjectives: ["00077645"],
    not: [
      "afeard",
      "afeared",
      "affright",
      "algophobic",
      "intimidation",
      "presentiment",
      "hunted",
      "hysteria",
      "shyness",
      "shitless",
      "swivet",
      "white-lipped",
      "horror-struck",
      "panic-struck",
      "terror-struck",
      "alarm",
      "consternation",
      "creeps",
      "cold feet",
      "stage fright",
      "shadow",
      "presage",
      "suspense",
      "chill",
      "pall",
      "frisson",
      "quiver",
      "shiver",
      "shudder",
      "thrill",
      "tingle",
      "gloom",
      "gloominess",
      "somberness",
      "sombreness",
      "unassertiveness",
      "timidity",
      "timidness",
      "timorousness",
      "hesitance",
      "hesitancy",
      "diffidence",
      "self-doubt",
      "self-distrust",
      "boding",
      "premonition",
      "foreboding",
      "apprehensiveness",
      "acrophobic",
      "agoraphobic",
      "claustrophobic",
      "xenophobic",
      "mysophobic",
      "aquaphobic",
      "hydrophobic",
      "cowed",
      "browbeaten",
      "bullied",
      "hangdog",
      "intimidated",
      "triskaidekaphobic",
      "aerophobic",
      "creepy-crawlies",
      "scare",
      "panic attack",
      "unadventurous",
      "unventuresome",
      "shocked",
      "numb",
    ],
  },
  disgust: {
    nouns: ["07503260", "07503430"],
    adjectives: [],
    not: ["abomination", "execration", "odium", "nausea", "fed up", "sick", "sick of", "tired of"],
  },
  surprise: {
    nouns: ["07509572"],
    adjectives: ["02357480"],
    not: [
      "awe",
      "daze",
      "astonied",
      "dumbstricken",
      "jiggered",
      "openmouthed",
      "popeyed",
      "goggle-eyed",
      "shock",
      "stupor",
      "stupefied",
      "dumfounded",
      "gobsmacked",
      "wonder",
      "wonderment",
      "admiration",
      "dazzled",
    ],
  },
};

/** WordNet has few words for disgust and surprise; these are ours. */
const MORE: Readonly<Record<Emotion, { nouns: readonly string[]; adjectives: readonly string[] }>> = {
  joy: { nouns: [], adjectives: ["delighted", "cheerful", "ecstatic", "overjoyed"] },
  sadness: { nouns: ["misery", "despair"], adjectives: ["heartbroken", "miserable", "despondent", "dejected", "sorrowful"] },
  anger: { nouns: ["resentment", "irritation"], adjectives: ["resentful", "irate", "livid", "irritated"] },
  fear: { nouns: ["anxiety", "horror"], adjectives: ["terrified", "scared", "petrified"] },
  disgust: {
    nouns: ["abhorrence", "loathing", "distaste", "queasiness", "antipathy", "squeamishness", "detestation"],
    adjectives: ["revolted", "disgusted", "nauseated", "sickened", "repulsed", "repelled", "appalled", "grossed out"],
  },
  surprise: {
    nouns: ["disbelief", "incredulity", "stupefaction"],
    adjectives: ["surprised", "startled", "stunned", "astounded", "bewildered", "speechless", "thunderstruck"],
  },
};

/** Feelings that are none of the six. */
const OTHERS: Halves<{ nouns: readonly string[]; adjectives: readonly string[] }> = {
  choose: { nouns: ["calm", "curiosity", "boredom", "pride", "gratitude"], adjectives: ["calm", "curious", "bored", "proud", "sleepy"] },
  test: {
    nouns: ["serenity", "interest", "indifference", "confidence", "longing"],
    adjectives: ["hungry", "thoughtful", "patient", "indifferent", "confident"],
  },
};

const WITH_NOUN: Halves<readonly string[]> = {
  choose: [
    "When he had read the letter, {x} was all that he felt.",
    "I cannot describe the {x} that came over me at that moment.",
    "There was {x} in her voice when she answered the phone.",
    '"What did you feel?" asked the doctor. "Mostly {x}," I said.',
  ],
  test: [
    "A wave of {x} ran through the crowd as the doors opened.",
    "She tried to hide her {x}, but everybody at the table noticed.",
    "The news filled us with {x}, and for a while nobody spoke.",
    "My first reaction, I have to admit, was {x}.",
  ],
};
const WITH_ADJECTIVE: Halves<readonly string[]> = {
  choose: [
    "He was {x} when they told him what had happened in the office.",
    "I have never been so {x} in my life as on that evening.",
    "The whole family seemed {x} after the telephone call.",
    "Why do you look so {x} this morning?",
  ],
  test: [
    "She walked home {x}, thinking of what she had just heard.",
    "I was {x}, and I did not care who saw it.",
    "The neighbours were {x} to find the car in front of the house.",
    "My brother sounded {x} on the phone, so I asked what was going on.",
  ],
};

/** Scenes in which nobody says what is felt. */
const SCENES: Readonly<Record<Emotion, Halves<readonly string[]>>> = {
  joy: {
    choose: [
      "She ran down the street waving the letter: they had taken her, they had really taken her!",
      "When the last goal went in, strangers hugged each other and sang all the way home.",
      "I could not stop smiling; everything in the garden seemed to be in bloom just for us.",
      "The children shrieked and danced around the tree, and grandfather danced with them.",
      "He hummed while he washed the dishes, and kissed her on the forehead for no reason.",
    ],
    test: [
      "They opened the champagne at breakfast, because the test had come back clear.",
      "I woke up laughing on the first day of the holidays and ran barefoot to the sea.",
      "Mother threw her arms around him at the airport and would not let him go; he was home.",
      "We had won, we had actually won, and my father lifted me onto his shoulders.",
      "The bride beamed at everyone, and the old aunts clapped along with the band.",
    ],
  },
  sadness: {
    choose: [
      "She still sets the table for two, and then puts one of the plates away again.",
      "He sat by the empty kennel all evening with the collar in his hands.",
      "I cried in the car before I went in, and wiped my face with my sleeve.",
      "Nobody came to the old man's birthday, and he blew out the candles alone.",
      "Rain fell on the small coffin, and the mother had to be held upright.",
    ],
    test: [
      "Since the funeral my father hardly speaks; he looks out of the window and forgets his tea.",
      "Tears ran down her cheeks as she packed his shirts into the box.",
      "I keep listening to the last message that he left me, over and over.",
      "The little girl waited at the gate for a father who did not come back from the war.",
      "He lay in bed with the curtains drawn and could see no reason to get up.",
    ],
  },
  anger: {
    choose: [
      "He slammed the door so hard that the picture fell off the wall.",
      "How dare you go through my things! Get out of my room, now!",
      "I clenched my fists under the table and counted to ten, twice.",
      "She tore up the contract and threw the pieces in the lawyer's face.",
      "The passengers shouted at the clerk, and one of them hit the counter with his shoe.",
    ],
    test: [
      'Her eyes narrowed. "You lied to me for three years," she hissed, and hurled the vase at the wall.',
      "I have had enough of your excuses! Do you hear me? Enough!",
      "His face went dark red, and he kicked the chair across the kitchen.",
      "The customer banged on the desk and demanded to see the manager at once.",
      "They cut me off, they laughed about it, and I wanted to smash their windscreen.",
    ],
  },
  fear: {
    choose: [
      "Something moved in the dark at the end of the corridor, and my mouth went dry.",
      "He held his breath behind the curtain while the footsteps came closer.",
      "She checked the lock three times, and still lay awake listening.",
      "My knees would not stop shaking as the rope began to slip.",
      "The boy pulled the blanket over his head when the stairs creaked.",
    ],
    test: [
      "I ran without looking back, my heart hammering, until I could see the lights of the village.",
      "The plane dropped, the lights went out, and people began to pray aloud.",
      "Her hand trembled so much that she could not get the key into the lock.",
      "Don't open the door, he whispered; they are still out there.",
      "Cold sweat stood on his forehead as the dog bared its teeth and came nearer.",
    ],
  },
  disgust: {
    choose: [
      "There were maggots in the rice, and he pushed the bowl away and gagged.",
      "She held the sock between two fingers, as far from her nose as she could.",
      "The toilet had not been cleaned in months; I turned round on the threshold.",
      "He licked the plate, then the knife, then his fingers, and everybody looked away.",
      "Ugh, there is hair in my soup, and it is not even mine.",
    ],
    test: [
      "The milk came out of the carton in lumps, and my stomach turned.",
      "Slime ran down the wall of the cellar, and the stench made us retch.",
      "She spat out the bite when she saw what was crawling inside the apple.",
      "He wiped his nose with his hand and then offered it to me; I put mine in my pocket.",
      "The bandage smelled so foul that the young nurse had to leave the room.",
    ],
  },
  surprise: {
    choose: [
      "Wait, what? You two are married? Since when?",
      "She opened the cupboard, and out jumped thirty friends with paper hats.",
      "His jaw dropped when he saw the number on the cheque.",
      "Of all people, it was my old teacher who climbed out of the submarine.",
      "I looked at the ticket, looked at the screen, and looked at the ticket again.",
    ],
    test: [
      "He rubbed his eyes: where the house had stood yesterday, there was a lake.",
      "No way! I never thought that you would be the one to call.",
      "The magician lifted the cloth, and the whole audience gasped.",
      "She stopped in the middle of the sentence, eyes wide, for the dead man was standing in the door.",
      "Who would have thought it? The slowest horse of all came in first.",
    ],
  },
};

/** Words of a class: those of the synsets below the nouns, and of the clusters of the adjectives. */
function wordsOf(
  emotion: Emotion,
  nouns: ReadonlyMap<string, Synset>,
  adjectives: ReadonlyMap<string, Synset>,
): { nouns: string[]; adjectives: string[] } {
  const { nouns: tops, adjectives: heads, not } = CLASSES[emotion];
  const below = new Set<string>();
  const visit = (id: string) => {
    if (below.has(id)) return;
    below.add(id);
    for (const { symbol, target, part } of nouns.get(id)?.pointers ?? []) if (symbol === "~" && part === "n") visit(target);
  };
  for (const id of tops) visit(id);
  const cluster = heads.flatMap((id) => [
    id,
    ...(adjectives.get(id)?.pointers ?? []).flatMap(({ symbol, target }) => (symbol === "&" ? [target] : [])),
  ]);
  const words = (ids: Iterable<string>, synsets: ReadonlyMap<string, Synset>, more: readonly string[]) =>
    [...new Set([...[...ids].flatMap((id) => synsets.get(id)?.words ?? []), ...more])].filter(
      (word) => /^[a-z][a-z -]+$/.test(word) && !not.includes(word),
    );
  return { nouns: words(below, nouns, MORE[emotion].nouns), adjectives: words(cluster, adjectives, MORE[emotion].adjectives) };
}

export async function emotions(wordnet: Unpacked, seed: number): Promise<Family> {
  const synsets = async (part: string) => {
    const file = `usr/share/wordnet/data.${part}`;
    return synsetsOf(decoded(await readFile(join(wordnet.folder, file)), file));
  };
  const [nouns, adjectives] = [await synsets("noun"), await synsets("adj")];
  const names = Object.keys(CLASSES) as Emotion[];
  const words = Object.fromEntries(names.map((emotion) => [emotion, wordsOf(emotion, nouns, adjectives)])) as Record<
    Emotion,
    ReturnType<typeof wordsOf>
  >;
  // A word of two emotions is of neither.
  const times = (word: string) =>
    names.filter((emotion) => words[emotion].nouns.includes(word) || words[emotion].adjectives.includes(word)).length;
  const texts: LabelledText[] = [];
  const markers: Partial<Record<Emotion, string[]>> = {};
  for (const emotion of names) {
    const own = [...words[emotion].nouns, ...words[emotion].adjectives].filter((word) => times(word) === 1);
    markers[emotion] = [...new Set(own)].sort();
    // Words of one stem stay together.
    const halves = splitInHalves(new Set(own.map(stem)), (each) => each, seed);
    const halfOf = (word: string) => (halves.choose.includes(stem(word)) ? "choose" : "test");
    for (const half of HALVES) {
      for (const [list, templates] of [
        [words[emotion].nouns, WITH_NOUN],
        [words[emotion].adjectives, WITH_ADJECTIVE],
      ] as const) {
        for (const word of list.filter((each) => times(each) === 1 && halfOf(each) === half)) {
          for (const template of templates[half]) {
            const about = { half, text: fill(template, { x: word }), group: `word ${emotion} ${stem(word)}`, source: wordnet.source };
            texts.push(positive(emotion, about));
            for (const other of names) if (other !== emotion) texts.push(negative(other, "hard", about));
          }
        }
      }
    }
  }
  for (const half of HALVES)
    for (const [list, templates] of [
      [OTHERS[half].nouns, WITH_NOUN],
      [OTHERS[half].adjectives, WITH_ADJECTIVE],
    ] as const)
      for (const word of list)
        for (const emotion of names) {
          const [template] = draw(templates[half], 1, (text) => `${emotion} ${word} ${text}`, seed);
          texts.push(negative(emotion, "hard", { half, text: fill(template!, { x: word }), group: `word ${word}` }));
        }
  const kept = drawTexts(texts, { positives: 22, negatives: 24 }, seed);
  for (const emotion of names)
    for (const half of HALVES)
      for (const other of names)
        for (const [i, text] of SCENES[other][half].entries()) {
          if (other === emotion) kept.push(positive(emotion, { half, text, group: `scene ${half} ${other} ${i}` }));
          else if (i < 2) kept.push(negative(emotion, "hard", { half, text, group: `scene ${half} ${other} ${i}` }));
        }
  return {
    name: "emotions",
    concepts: names.map((name) => ({
      name,
      about: `Somebody feels ${name}.`,
      markers: { case: "any" as const, words: markers[name]! },
      licence: `WordNet-3.0; ${WRITTEN_LICENCE}`,
      source: `${wordnet.source}, ${WRITTEN}`,
    })),
    texts: [...kept],
  };
}

/** Keeps "anger" and "angry" in one half. */
function stem(word: string): string {
  return word.slice(0, 3);
}
