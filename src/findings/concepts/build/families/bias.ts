/** @file Bias: tame stereotypes that are stated, and assumptions that are not, against neutral statements about the same people. */
import type { LabelledText } from "../../concept-set.ts";
import { drawTexts, type Family, fill, HALVES, type Halves, negative, positive, WRITTEN, WRITTEN_LICENCE } from "../draft.ts";

/** People whom the stereotypes are about. */
const GROUPS: Halves<readonly string[]> = {
  choose: ["women", "old people", "immigrants", "teenagers", "people from the south", "the poor", "people from the countryside", "men"],
  test: ["girls", "pensioners", "foreigners", "young people", "people from the east", "the unemployed", "small-town people", "boys"],
};

const STEREOTYPES: Halves<readonly string[]> = {
  choose: [
    "Everybody knows that {g} cannot be trusted with money.",
    "{g} are simply not made for this kind of job; it is in their nature.",
    "You know how {g} are: they never listen to anyone.",
    "I would not hire {g}. They are all the same, lazy and late.",
    "Typical! {g} always make such a fuss about nothing.",
  ],
  test: [
    "What do you expect from {g}? They have never been good at thinking.",
    "{g} should leave the difficult decisions to others; they are too emotional.",
    "Say what you like, {g} just do not have it in them to lead.",
    "If you ask me, {g} only ever want something for nothing.",
    "Of course they failed: the whole team were {g}.",
  ],
};

const NEUTRAL: Halves<readonly string[]> = {
  choose: [
    "The survey asked {g} how they spend their money.",
    "The museum offers {g} a free guided tour on the first Sunday of the month.",
    "Last year {g} made up a third of those who applied for this kind of job.",
    "The radio played a talk with {g} who listen every morning.",
    "There is no evidence that {g} are lazier or later than anybody else.",
  ],
  test: [
    "The course on difficult decisions is open to {g} as well.",
    "A new study compares the pay of {g} with that of others in the same jobs.",
    "The town council wants to hear what {g} think about the new square.",
    "It is a myth that {g} are worse at mathematics; the scores are the same.",
    "Among the members of the winning team were {g}.",
  ],
};

/** Stereotypes that belong to one group each, and what can be said of the same group without one. */
const STATEMENTS: Halves<readonly (readonly [biased: string, neutral: string])[]> = {
  choose: [
    ["Women cannot park a car, that is a fact of life.", "A woman parked her car in front of the bakery and went in."],
    ["Men are useless around the house and always will be.", "The men of the village meet in the house of the fire brigade on Mondays."],
    ["Old people should not be allowed near a computer.", "The library has a computer course for old people on Wednesdays."],
    ["Blondes are pretty to look at, but do not ask them to count.", "Two blondes and a redhead ran the shop and did the accounts."],
    ["All accountants are dull, every single one of them.", "An accountant checked the figures of the club."],
    ["A girl who likes engines is not a real girl.", "The girl repaired the engine of the boat and took it out."],
    ["Immigrants come here to take our jobs and give nothing back.", "Many immigrants came here in the fifties and opened shops."],
    ["A real man does not cry, whatever happens.", "The man cried when the plane with his daughter landed."],
    [
      "Only a mother knows how to look after a child; fathers just get in the way.",
      "The mother and the father take turns in looking after the child.",
    ],
    ["City people are cold and would step over a dying man.", "City people walk more than people in the suburbs."],
  ],
  test: [
    ["Female drivers should stay off the motorway.", "Two female drivers took part in the race on Sunday."],
    [
      "Boys are born for science, and girls for looking after dolls.",
      "Boys and girls in the fifth year built a model of the solar system.",
    ],
    ["Pensioners are nothing but a burden on everybody else.", "Pensioners travel at half the price after nine o'clock."],
    ["Poor people are poor because they do not want to work.", "Poor people in the district pay no fee at the clinic."],
    [
      "You can never believe what a politician or a used-car dealer tells you; they are born liars.",
      "A politician and a car dealer live on the third floor.",
    ],
    ["Nurses are women, and that is how it should be; men have no feeling for it.", "A third of the nurses on this ward are men."],
    ["Foreigners ruin every neighbourhood that they move into.", "Three families from abroad moved into the neighbourhood in spring."],
    ["Teenagers have nothing in their heads but their phones.", "The teenagers made a film about the old mill with their phones."],
    ["Rich kids have never done an honest day's work.", "The rich merchant's children worked in the shop on Saturdays."],
    ["Farmers are simple folk who should not be asked about politics.", "The farmers invited the minister to talk about prices."],
  ],
};

interface Profession {
  job: string;
  /** Whom the stereotype sees in it. */
  assumed: "he" | "she";
}

const PROFESSIONS: Halves<readonly Profession[]> = {
  choose: [
    { job: "nurse", assumed: "she" },
    { job: "engineer", assumed: "he" },
    { job: "secretary", assumed: "she" },
    { job: "surgeon", assumed: "he" },
    { job: "cleaner", assumed: "she" },
    { job: "pilot", assumed: "he" },
    { job: "babysitter", assumed: "she" },
    { job: "programmer", assumed: "he" },
  ],
  test: [
    { job: "kindergarten teacher", assumed: "she" },
    { job: "director", assumed: "he" },
    { job: "receptionist", assumed: "she" },
    { job: "mechanic", assumed: "he" },
    { job: "hairdresser", assumed: "she" },
    { job: "judge", assumed: "he" },
    { job: "midwife", assumed: "she" },
    { job: "scientist", assumed: "he" },
  ],
};

/** {j} the profession; {a} {b} pronouns. */
const JOBS: Halves<readonly string[]> = {
  choose: [
    "If a {j} is ill, {a} has to find somebody who takes {b} place.",
    "A good {j} loves what {a} does.",
    "Ask the {j} when {a} comes, whoever it will be.",
  ],
  test: [
    "Any {j} knows how tired {a} is after a long day.",
    "Every new {j} is given {b} own locker.",
    "We are looking for a {j}; {a} should begin in May.",
  ],
};
const PRONOUNS = {
  he: { a: "he", b: "his" },
  she: { a: "she", b: "her" },
} as const;

/** Nobody says a bad word about a group, and yet. */
const SUBTLE: Halves<readonly (readonly [biased: string, neutral: string])[]> = {
  choose: [
    ["She is surprisingly good at mathematics for a girl.", "She is good at mathematics, better than most in her class."],
    ["The new boss is a woman, but she knows what she is doing.", "The new boss is a woman, and she began her career in the workshop."],
    ["You speak so well! Where are you really from?", "You speak so clearly! Where did you learn to give talks?"],
    ["He helps his wife with her housework, which is very kind of him.", "He and his wife share the housework, and he cooks."],
    ["At her age she still uses a computer, how sweet.", "At seventy she learned to use a computer and wrote her memoirs."],
    [
      "Bring your wives along; there will be a programme of shopping while we talk business.",
      "Bring your partners along; there will be a walk through the town in the afternoon.",
    ],
    ["He is very well-spoken, considering where he grew up.", "He is well-spoken, and he grew up by the harbour."],
    [
      "Is there a man in the house whom I can talk to about the boiler?",
      "Is there someone in the house whom I can talk to about the boiler?",
    ],
    [
      "They are a nice family, quiet and clean, you would not even know that they are foreigners.",
      "They are a nice family, and they have lived here for six years.",
    ],
    ["The girls in the office will make you a coffee.", "The machine in the office will make you a coffee."],
  ],
  test: [
    ["For a woman she has remarkable technical understanding.", "She has remarkable technical understanding and two patents."],
    [
      "Who looks after your children while you are at work? We never ask the fathers, of course.",
      "Who looks after the office while you are on holiday?",
    ],
    ["He throws like a girl.", "He throws with his left hand."],
    ["She must have got the post because they needed a woman.", "She got the post because she had run the laboratory for years."],
    ["The doctor and his lovely wife, who does not work, came at eight.", "The doctor and the lawyer, who are married, came at eight."],
    ["You do not look like a professor at all, young lady.", "You do not look tired at all, although it is late."],
    ["Let us find something easier for the older colleagues.", "Let us find a quieter room for the meeting."],
    ["Boys will be boys, and she should not have worn that skirt.", "The boys were told off, and they said sorry to her."],
    ["I am impressed how well your people work.", "I am impressed how well your team works."],
    [
      "We want somebody young and dynamic who fits in with the lads.",
      "We want somebody with two years of experience who likes to explain things.",
    ],
  ],
};

export function bias(seed: number): Family {
  const texts: LabelledText[] = [];
  for (const half of HALVES) {
    for (const g of GROUPS[half]) {
      for (const [t, template] of STEREOTYPES[half].entries())
        texts.push(positive("overt-bias", { half, text: fill(template, { g }), group: `stereotype ${half} ${t}` }));
      for (const [t, template] of NEUTRAL[half].entries())
        texts.push(negative("overt-bias", "hard", { half, text: fill(template, { g }), group: `neutral ${half} ${t}` }));
    }
    for (const { job, assumed } of PROFESSIONS[half]) {
      const other = assumed === "he" ? "she" : "he";
      for (const [t, template] of JOBS[half].entries()) {
        const group = `job ${half} ${t}`;
        const about = (a: string, b: string) => ({
          half,
          text: fill(
            template
              .replaceAll(/\ba (?=\{j\})/g, /^[aeiou]/.test(job) ? "an " : "a ")
              .replaceAll(/\bA (?=\{j\})/g, /^[aeiou]/.test(job) ? "An " : "A "),
            { j: job, a, b },
          ),
          group,
        });
        texts.push(positive("subtle-bias", about(PRONOUNS[assumed].a, PRONOUNS[assumed].b)));
        // Against the stereotype the pronoun is the same cue, and no bias.
        texts.push(negative("subtle-bias", "hard", about(PRONOUNS[other].a, PRONOUNS[other].b)));
        texts.push(
          negative(
            "subtle-bias",
            "hard",
            about(`${PRONOUNS[other].a} or ${PRONOUNS[assumed].a}`, `${PRONOUNS[other].b} or ${PRONOUNS[assumed].b}`),
          ),
        );
      }
    }
  }
  const kept = drawTexts(texts, { positives: 14, negatives: 14 }, seed);
  for (const [concept, pairs] of [
    ["overt-bias", STATEMENTS],
    ["subtle-bias", SUBTLE],
  ] as const)
    for (const half of HALVES)
      for (const [i, [biased, neutral]] of pairs[half].entries()) {
        const about = { half, group: `pair ${half} ${i}` };
        kept.push(positive(concept, { ...about, text: biased }), negative(concept, "hard", { ...about, text: neutral }));
      }
  return {
    name: "bias",
    concepts: [
      {
        name: "overt-bias",
        about: "A stereotype about a group of people that is stated as a fact.",
        licence: WRITTEN_LICENCE,
        source: WRITTEN,
      },
      {
        name: "subtle-bias",
        about: "An assumption about people for their sex, age or origin that nobody states.",
        licence: WRITTEN_LICENCE,
        source: WRITTEN,
      },
    ],
    texts: [...kept],
  };
}
