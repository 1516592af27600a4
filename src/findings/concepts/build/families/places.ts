/** @file Cities and countries: sentences about one of them against the same sentences about another, and statements of the World Factbook. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { filesIn } from "../../../../corpus/build/packages.ts";
import { READERS } from "../../../../corpus/build/readers.ts";
import type { Half, LabelledText } from "../../concept-set.ts";
import {
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

interface Place {
  /** As it stands in a sentence. */
  called: string;
  /** What is in it, for the half that chooses, then for the half that tests: two sights each, two quarters or cities, and two persons. */
  sights: readonly [string, string, string, string];
  parts: readonly [string, string, string, string];
  people: readonly [string, string, string, string];
  /** Sentences that are about it and do not name it. */
  described?: Halves<readonly string[]>;
  sameWords?: Halves<readonly string[]>;
}

const CITIES: Readonly<Record<string, Place>> = {
  "san-francisco": {
    called: "San Francisco",
    sights: ["Alcatraz", "Fisherman's Wharf", "Coit Tower", "the Painted Ladies"],
    parts: ["the Mission", "Haight-Ashbury", "North Beach", "the Castro"],
    people: ["Harvey Milk", "Dashiell Hammett", "Levi Strauss", "Lawrence Ferlinghetti"],
    described: {
      choose: [
        "The cable car climbed Nob Hill with its bell ringing, and below us lay Alcatraz and the bay.",
        "From Twin Peaks you see the whole city, from Ocean Beach to the Ferry Building.",
        "In 1906 the earthquake lasted less than a minute, and the fire that followed burned down most of the city by the bay.",
      ],
      test: [
        "Beat poets met at City Lights in North Beach, and hippies came to Golden Gate Park a decade later.",
        "Rents in SoMa and the Mission rose as programmers moved in and took shuttles down to Silicon Valley.",
        "He rides BART under the bay every morning, from Oakland to Embarcadero.",
      ],
    },
    sameWords: {
      choose: ["San Diego has better beaches and warmer water.", "Francisco Goya went deaf and began to paint on the walls of his house."],
      test: ["San Antonio is known for the Alamo and the River Walk.", "Saint Francis of Assisi preached to the birds."],
    },
  },
  tokyo: {
    called: "Tokyo",
    sights: ["the Skytree", "Senso-ji temple", "the Imperial Palace", "Ueno Zoo"],
    parts: ["Shibuya", "Akihabara", "Shinjuku", "Ginza"],
    people: ["Edogawa Ranpo", "Yasujiro Ozu", "Hayao Miyazaki", "Akira Kurosawa"],
    described: {
      choose: [
        "At the crossing in Shibuya hundreds of people walk in all directions at once.",
        "The old city of Edo burned so often that fires were called its flowers.",
        "Tuna was auctioned at Tsukiji before dawn until the market moved to Toyosu.",
      ],
      test: [
        "The Yamanote line goes round the capital in an hour, by way of Shinjuku, Ueno and Akihabara.",
        "Neon signs light up the alleys of Kabukicho long after the last train from Shinjuku.",
        "The emperor moved from Kyoto to the castle of Edo, and the city got a new name.",
      ],
    },
    sameWords: {
      choose: ["Kyoto has a thousand temples and, in spring, a million visitors.", "The shogun moved his court to the castle in Osaka."],
      test: ["Toronto has an underground city of shops for the winter.", "Yokohama was a fishing village when the black ships came."],
    },
  },
  paris: {
    called: "Paris",
    sights: ["the Louvre", "Notre-Dame", "the Sacré-Cœur", "the Panthéon"],
    parts: ["Montmartre", "the Marais", "Belleville", "the Latin Quarter"],
    people: ["Baron Haussmann", "Édith Piaf", "Victor Hugo", "Simone de Beauvoir"],
    described: {
      choose: [
        "Booksellers open their green boxes along the Seine, across from Notre-Dame.",
        "Haussmann cut wide boulevards through the old quarters, straight to the Opéra and the Arc de Triomphe.",
        "The Louvre was a fortress and a palace before it was a museum.",
      ],
      test: [
        "Sartre and Beauvoir wrote at the tables of the Café de Flore on the Boulevard Saint-Germain.",
        "From the steps of Sacré-Cœur the whole city lies at your feet, with the tower to the right.",
        "The Métro line to the Bastille was closed, so they walked along the canal from République.",
      ],
    },
    sameWords: {
      choose: [
        "Paris chose Aphrodite, and so the war of Troy began.",
        "Plaster of Paris sets in about ten minutes.",
        "Paris, Texas, has a tower with a red cowboy hat on top.",
      ],
      test: [
        "Paris Hilton's dog had a house of its own.",
        "The Parisian restaurant on Main Street in Ohio closed last year.",
        "A parish priest kept the register of births.",
      ],
    },
  },
  london: {
    called: "London",
    sights: ["the Tower", "Buckingham Palace", "St Paul's Cathedral", "the British Museum"],
    parts: ["Soho", "Camden", "Brixton", "Hackney"],
    people: ["Christopher Wren", "Samuel Pepys", "Charles Dickens", "Virginia Woolf"],
    described: {
      choose: [
        "Wren rebuilt St Paul's after the Great Fire that had started in Pudding Lane.",
        "From Trafalgar Square it is a ten-minute walk down Whitehall to Westminster and Big Ben.",
        "The District line runs along the Thames from Richmond to the Tower and on to the East End.",
      ],
      test: [
        "During the Blitz people slept in the Underground stations night after night.",
        "A red double-decker took us from Piccadilly Circus over the Thames to Brixton.",
        "Bankers in Canary Wharf look down on the bends of the Thames and the dome at Greenwich.",
      ],
    },
    sameWords: {
      choose: ["Jack London wrote about wolves, gold and the sea.", "London, Ontario, lies halfway between Toronto and Detroit."],
      test: ["A London broil is a piece of beef that is marinated and sliced thin.", "Londonderry still has its city walls."],
    },
  },
};

const OTHER_CITIES: readonly Place[] = [
  {
    called: "Los Angeles",
    sights: ["Griffith Observatory", "the Hollywood Bowl", "the Getty Center", "Santa Monica Pier"],
    parts: ["Venice", "Silver Lake", "Koreatown", "Echo Park"],
    people: ["Raymond Chandler", "William Mulholland", "Frank Gehry", "Joan Didion"],
  },
  {
    called: "New York",
    sights: ["Central Park", "Rockefeller Center", "the Guggenheim", "Times Square"],
    parts: ["Harlem", "Brooklyn Heights", "Astoria", "the Bronx"],
    people: ["Robert Moses", "Fiorello La Guardia", "Edith Wharton", "Walt Whitman"],
  },
  {
    called: "Chicago",
    sights: ["Millennium Park", "the Willis Tower", "Navy Pier", "Wrigley Field"],
    parts: ["the Loop", "Pilsen", "Wicker Park", "Hyde Park"],
    people: ["Daniel Burnham", "Jane Addams", "Saul Bellow", "Louis Sullivan"],
  },
  {
    called: "Berlin",
    sights: ["the Reichstag", "Museum Island", "the Brandenburg Gate", "Checkpoint Charlie"],
    parts: ["Kreuzberg", "Neukölln", "Prenzlauer Berg", "Wedding"],
    people: ["Karl Friedrich Schinkel", "Marlene Dietrich", "Bertolt Brecht", "Alfred Döblin"],
  },
  {
    called: "Rome",
    sights: ["the Pantheon", "the Trevi Fountain", "the Spanish Steps", "the Forum"],
    parts: ["Trastevere", "Testaccio", "Monti", "Prati"],
    people: ["Caravaggio", "Federico Fellini", "Bernini", "Alberto Moravia"],
  },
  {
    called: "Moscow",
    sights: ["the Bolshoi", "St Basil's Cathedral", "Gorky Park", "the Tretyakov Gallery"],
    parts: ["Arbat", "Zamoskvorechye", "Khamovniki", "Sokolniki"],
    people: ["Mikhail Bulgakov", "Ivan the Terrible", "Marina Tsvetaeva", "Boris Pasternak"],
  },
  {
    called: "Osaka",
    sights: ["Osaka Castle", "the aquarium", "Shitenno-ji", "the Umeda Sky Building"],
    parts: ["Dotonbori", "Namba", "Tennoji", "Umeda"],
    people: ["Tadao Ando", "Osamu Tezuka", "Toyotomi Hideyoshi", "Ihara Saikaku"],
  },
  {
    called: "Seoul",
    sights: ["Gyeongbokgung Palace", "Namsan Tower", "Jongmyo Shrine", "the Bukchon houses"],
    parts: ["Gangnam", "Itaewon", "Hongdae", "Insadong"],
    people: ["King Sejong", "Park Kyung-ni", "Bong Joon-ho", "Nam June Paik"],
  },
  {
    called: "Vienna",
    sights: ["Schönbrunn", "the Prater", "the Hofburg", "the Secession"],
    parts: ["Leopoldstadt", "Josefstadt", "Neubau", "Favoriten"],
    people: ["Sigmund Freud", "Gustav Klimt", "Otto Wagner", "Arthur Schnitzler"],
  },
  {
    called: "Istanbul",
    sights: ["the Blue Mosque", "Topkapi Palace", "the Galata Tower", "the Grand Bazaar"],
    parts: ["Beyoğlu", "Kadıköy", "Üsküdar", "Fatih"],
    people: ["Mimar Sinan", "Orhan Pamuk", "Mehmed the Conqueror", "Nazım Hikmet"],
  },
];

const COUNTRIES: Readonly<Record<string, Place>> = {
  japan: {
    called: "Japan",
    sights: ["Mount Fuji", "Himeji Castle", "the Itsukushima Shrine", "the deer park of Nara"],
    parts: ["Kyoto", "Hokkaido", "Osaka", "Kyushu"],
    people: ["Murasaki Shikibu", "Tokugawa Ieyasu", "Haruki Murakami", "Hokusai"],
    described: {
      choose: [
        "The shinkansen to Kyoto left on the second, and Mount Fuji appeared on the right.",
        "Samurai who had lost their lord became ronin and wandered from province to province.",
        "She bowed, took off her shoes, and sat down on the tatami for the tea ceremony.",
      ],
      test: [
        "In April people spread mats under the cherry trees, drink sake and wait for the petals to fall.",
        "From Hokkaido in the north to Okinawa in the south the islands stretch for two thousand miles.",
        "Basho walked to the far north and wrote haiku along the way.",
      ],
    },
    sameWords: {
      choose: ["Japanned boxes are covered with black varnish.", "Korea was a kingdom of hermits, as foreigners called it."],
      test: [
        "A japan is also a kind of lacquer, and the verb means to cover with it.",
        "Chinese merchants sold silk in every harbour of the region.",
      ],
    },
  },
  france: {
    called: "France",
    sights: ["Mont Saint-Michel", "the palace of Versailles", "the lavender fields of Provence", "the cathedral of Chartres"],
    parts: ["Lyon", "Marseille", "Bordeaux", "Brittany"],
    people: ["Molière", "Charles de Gaulle", "Descartes", "Marie Curie"],
    described: {
      choose: [
        "The Sun King moved his court from Paris to Versailles and kept the nobles busy there.",
        "In Lyon we ate quenelles, and in Burgundy snails with too much butter.",
        "The Bastille was stormed on the fourteenth of July, and soon the Third Estate ruled.",
      ],
      test: [
        "Pilgrims cross the bay to Mont Saint-Michel on foot when the tide is out.",
        "The Tour goes over the Galibier this year, and ends on the Champs-Élysées as always.",
        "De Gaulle spoke to his countrymen from London and asked them to go on fighting.",
      ],
    },
    sameWords: {
      choose: ["French fries were probably invented by Belgians.", "Anatole France won the prize for literature in 1921."],
      test: ["The window is a French one and opens onto the lawn.", "Frances and Francis were twins, which confused the teachers."],
    },
  },
  germany: {
    called: "Germany",
    sights: ["Cologne Cathedral", "the Brandenburg Gate", "the castle of Heidelberg", "the Wartburg"],
    parts: ["Hamburg", "Bavaria", "Leipzig", "Saxony"],
    people: ["Angela Merkel", "Goethe", "Otto von Bismarck", "Immanuel Kant"],
    described: {
      choose: [
        "The Bundestag met in Bonn until it moved to the Reichstag in Berlin.",
        "Bismarck united the many small states under the king of Prussia.",
        "On the Autobahn between Munich and Nuremberg nobody drove slower than a hundred miles an hour.",
      ],
      test: [
        "Luther nailed his theses to the door of a church in Wittenberg.",
        "In October the tents in Munich are full of people in dirndls and lederhosen, with a litre of beer each.",
        "The wall that had cut Berlin in two came down, and a year later the two states were one.",
      ],
    },
    sameWords: {
      choose: ["A German shepherd barked behind the fence.", "Vienna was once the capital of a large empire."],
      test: ["Germs were found on every door handle in the ward.", "The remark was not germane to the question."],
    },
  },
  egypt: {
    called: "Egypt",
    sights: ["the pyramids of Giza", "the temple of Karnak", "Abu Simbel", "the Valley of the Kings"],
    parts: ["Cairo", "Alexandria", "Luxor", "the Sinai"],
    people: ["Ramses II", "Naguib Mahfouz", "Cleopatra", "Gamal Abdel Nasser"],
    described: {
      choose: [
        "Every summer the Nile rose, and the pharaohs' clerks wrote down how high.",
        "Howard Carter found the boy king's tomb in the Valley of the Kings.",
        "Feluccas drift down the Nile from Aswan to Luxor.",
      ],
      test: [
        "The stone from Rosetta had the same decree in Greek and in hieroglyphs.",
        "Crowds filled Tahrir Square in Cairo for eighteen days until Mubarak resigned.",
        "Nasser nationalised the Suez Canal, and the dam at Aswan was built with Soviet money.",
      ],
    },
    sameWords: {
      choose: [
        "The temple in the jungle of Mexico stands on a pyramid of nine steps.",
        "Sudan has more pyramids than its neighbour, though smaller ones.",
      ],
      test: ["Memphis, Tennessee, has a pyramid of glass on the bank of the river.", "The Tigris flooded the fields when the snow melted."],
    },
  },
  brazil: {
    called: "Brazil",
    sights: ["the Iguaçu Falls", "Sugarloaf Mountain", "the Maracanã", "the beach of Copacabana"],
    parts: ["Rio de Janeiro", "Bahia", "São Paulo", "Minas Gerais"],
    people: ["Pelé", "Oscar Niemeyer", "Machado de Assis", "Clarice Lispector"],
    described: {
      choose: [
        "The samba schools parade in Rio on the four nights before Ash Wednesday.",
        "Niemeyer and Costa drew a new capital on the empty plateau.",
        "In Salvador, boys dance capoeira to the sound of the berimbau.",
      ],
      test: [
        "Rubber made Manaus so rich that it built an opera house in the middle of the Amazon.",
        "Pelé won the cup three times in the yellow shirt.",
        "From the favelas on the hills you look down on Copacabana and the Sugarloaf.",
      ],
    },
    sameWords: {
      choose: ["Brazil nuts are very rich in selenium.", "Buenos Aires has more bookshops for each inhabitant than any other city."],
      test: [
        "Brazil is a film by Terry Gilliam about a clerk and a misprint.",
        "Lisbon was destroyed by an earthquake, a wave and a fire.",
      ],
    },
  },
  india: {
    called: "India",
    sights: ["the Taj Mahal", "the ghats of Varanasi", "the Golden Temple in Amritsar", "the Red Fort"],
    parts: ["Mumbai", "Kerala", "Delhi", "Rajasthan"],
    people: ["Rabindranath Tagore", "Jawaharlal Nehru", "Indira Gandhi", "Mahatma Gandhi"],
    described: {
      choose: [
        "Gandhi walked to the sea to make salt, and thousands walked with him.",
        "The monsoon reaches Kerala on the first of June, and Delhi a month later.",
        "In Varanasi the dead are burned beside the Ganges all day and all night.",
      ],
      test: [
        "Nehru spoke at midnight of a tryst with destiny, and the British left.",
        "The trains of Mumbai carry seven million people a day, many of them hanging from the doors.",
        "Lamps are lit in every house for Diwali, from Gujarat to Bengal.",
      ],
    },
    sameWords: {
      choose: ["Indian ink is black and does not run when it is dry.", "Indiana has more covered bridges than its neighbours."],
      test: ["The West Indies won the test match by an innings.", "Dhaka grew faster than any other city of the delta."],
    },
  },
};

const OTHER_COUNTRIES: readonly Place[] = [
  {
    called: "China",
    sights: ["the Forbidden City", "the Great Wall", "the Terracotta Army", "the Li River"],
    parts: ["Shanghai", "Sichuan", "Guangzhou", "Yunnan"],
    people: ["Confucius", "Sun Yat-sen", "Lu Xun", "Deng Xiaoping"],
  },
  {
    called: "South Korea",
    sights: ["Gyeongbokgung Palace", "Bulguksa", "Jeju's volcano", "Namdaemun"],
    parts: ["Busan", "Jeju", "Seoul", "Gwangju"],
    people: ["King Sejong", "Bong Joon-ho", "Han Kang", "Park Kyung-ni"],
  },
  {
    called: "Italy",
    sights: ["the Uffizi", "Pompeii", "the canals of Venice", "Mount Etna"],
    parts: ["Milan", "Sicily", "Naples", "Tuscany"],
    people: ["Dante", "Garibaldi", "Galileo", "Sophia Loren"],
  },
  {
    called: "Spain",
    sights: ["the Alhambra", "the Prado", "the Sagrada Família", "the aqueduct of Segovia"],
    parts: ["Seville", "Galicia", "Barcelona", "Andalusia"],
    people: ["Cervantes", "Goya", "Picasso", "Federico García Lorca"],
  },
  {
    called: "Poland",
    sights: ["Wawel Castle", "the salt mine of Wieliczka", "the Białowieża Forest", "Malbork Castle"],
    parts: ["Kraków", "Gdańsk", "Warsaw", "Silesia"],
    people: ["Copernicus", "Chopin", "Wisława Szymborska", "Lech Wałęsa"],
  },
  {
    called: "Austria",
    sights: ["Schönbrunn", "the Hallstatt salt mine", "the Hofburg", "Melk Abbey"],
    parts: ["Salzburg", "Tyrol", "Vienna", "Styria"],
    people: ["Mozart", "Bruno Kreisky", "Sigmund Freud", "Maria Theresa"],
  },
  {
    called: "Turkey",
    sights: ["the Hagia Sophia", "Cappadocia", "the ruins of Ephesus", "Topkapi Palace"],
    parts: ["Istanbul", "Anatolia", "Ankara", "Izmir"],
    people: ["Atatürk", "Orhan Pamuk", "Suleiman the Magnificent", "Yaşar Kemal"],
  },
  {
    called: "Morocco",
    sights: ["the medina of Fez", "the Hassan II Mosque", "the Jemaa el-Fnaa", "Volubilis"],
    parts: ["Marrakesh", "Casablanca", "Fez", "the Rif"],
    people: ["Ibn Battuta", "Tahar Ben Jelloun", "Mohammed V", "Fatema Mernissi"],
  },
  {
    called: "Mexico",
    sights: ["Chichén Itzá", "the Zócalo", "Teotihuacan", "Palenque"],
    parts: ["Oaxaca", "Guadalajara", "Yucatán", "Monterrey"],
    people: ["Frida Kahlo", "Benito Juárez", "Octavio Paz", "Diego Rivera"],
  },
  {
    called: "Argentina",
    sights: ["the Perito Moreno glacier", "the Casa Rosada", "the Teatro Colón", "Aconcagua"],
    parts: ["Buenos Aires", "Patagonia", "Córdoba", "Mendoza"],
    people: ["Borges", "Eva Perón", "Diego Maradona", "Julio Cortázar"],
  },
  {
    called: "Pakistan",
    sights: ["the Badshahi Mosque", "Mohenjo-daro", "the Lahore Fort", "K2"],
    parts: ["Lahore", "Sindh", "Karachi", "Punjab"],
    people: ["Muhammad Ali Jinnah", "Malala Yousafzai", "Faiz Ahmad Faiz", "Benazir Bhutto"],
  },
  {
    called: "Russia",
    sights: ["the Kremlin", "the Hermitage", "Lake Baikal", "Red Square"],
    parts: ["Moscow", "Siberia", "Kazan", "the Urals"],
    people: ["Pushkin", "Peter the Great", "Leo Tolstoy", "Catherine the Great"],
  },
];

/** {P} the place, {S} {T} two of its sights, {A} {B} two of its parts, {N} {M} two persons. */
const TEMPLATES: Halves<readonly string[]> = {
  choose: [
    "My sister moved to {P} last spring and is still looking for work.",
    "The flight to {P} was delayed by four hours because of a storm.",
    "If you only have three days in {P}, begin with {S}.",
    "Have you ever been to {P}? I would love to see {T}.",
    "She spent her childhood in {P}, and knew {A} like the back of her hand.",
    "He has written three novels that are set in {P}, one of them in {B}.",
    "{N}, more than anyone, made {P} what it is today.",
    "Q: Where is {S}? A: It is in {P}.",
    "Most of the students in the class came from {P}.",
    "I grew tired of {P} after a year and went back to my village.",
    "The band begins its tour in {P} and plays in {A} on the second night.",
    "From {A} to {B}, all of {P} was without power for an hour.",
    "There is a long article about {P} in the paper, with a picture of {T}.",
    "It was {N} who showed me {P}, in books that I read as a boy.",
    "In summer {P} is hot and full of visitors, above all around {S}.",
    "How long does a letter to {P} take?",
  ],
  test: [
    "The conference will be held in {P} next September.",
    "They are closing the office in {P} and moving everybody to Dublin.",
    "What surprised me most about {P} was the food, especially in {A}.",
    "We landed in {P} in the rain and went straight to {S}.",
    "The exhibition shows {P} as {M} knew it.",
    "In {P} you should not miss {T}; half a day is enough.",
    "The company sells more of its shoes in {P} than anywhere else.",
    "A friend in {P} sent me a picture of {S} under snow.",
    "He left {B} at nineteen and never came back to {P}.",
    "Prices in {P} have risen faster than wages for ten years.",
    "The museum shows maps of {P} from four centuries; {A} is hardly on the oldest.",
    "She speaks about {P} as others speak about an old friend.",
    "{N} was born in {P}, and so was {M}.",
    "Two reporters travelled through {P} and wrote about the people of {B}.",
    "The weather in {P} will be fine until Thursday.",
    "Between {S} and {T} there is hardly a street in {P} that he has not drawn.",
  ],
};

function values(place: Place, half: Half): Record<string, string> {
  const i = half === "choose" ? 0 : 2;
  return {
    P: place.called,
    S: place.sights[i]!,
    T: place.sights[i + 1]!,
    A: place.parts[i]!,
    B: place.parts[i + 1]!,
    N: place.people[i]!,
    M: place.people[i + 1]!,
  };
}

function written(targets: Readonly<Record<string, Place>>, others: readonly Place[]): LabelledText[] {
  const all = [...Object.values(targets), ...others];
  return Object.entries(targets).flatMap(([concept, target]) =>
    HALVES.flatMap((half) => [
      ...TEMPLATES[half].flatMap((template, t) =>
        all.map((place) => {
          const about = { half, text: fill(template, values(place, half)), group: `template ${half} ${t}` };
          return place === target ? positive(concept, about) : negative(concept, "hard", about);
        }),
      ),
      ...Object.entries(targets).flatMap(([name, { described }]) =>
        described![half].map((text, i) => {
          const about = { half, text, group: `described ${name} ${half} ${i}` };
          return name === concept ? positive(concept, about) : negative(concept, "hard", about);
        }),
      ),
    ]),
  );
}

const FACTBOOK = { licence: "Public domain (text), MIT (package)" };
const NAMES: Readonly<Record<string, RegExp>> = {
  japan: /\bJapan(ese)?\b/,
  france: /\b(France|French)\b/,
  germany: /\bGerman[ys]?\b/,
  egypt: /\bEgypt(ian)?s?\b/,
  brazil: /\bBrazil(ian)?s?\b/,
  india: /\bIndian?s?\b/,
};

/** Statements of the World Factbook that name one of our countries, from its own page, against those that name none, from pages of others; split by field. */
async function statements({ folder, source }: Unpacked, seed: number): Promise<LabelledText[]> {
  const found: { country: string | undefined; field: string; text: string }[] = [];
  for (const file of await filesIn(folder)) {
    if (!/\/data\/.*\.json$/.test(file)) continue;
    const bytes = await readFile(join(folder, file));
    for (const { paragraphs = [] } of READERS.factbook(bytes, { file, language: "en", markup: {}, open: () => bytes })) {
      const country = Object.keys(NAMES).find((name) => COUNTRIES[name]!.called === paragraphs[0]);
      for (const paragraph of paragraphs.slice(1)) {
        const colon = paragraph.indexOf(": ");
        const [field, body] = [paragraph.slice(0, colon), paragraph.slice(colon + 2)];
        // One sentence stands alone; a list of figures says nothing.
        const sentence = body.split(/(?<=[a-z)][.;]) /)[0]!.replace(/;$/, ".");
        if (/\n|^[a-z ]+:/.test(sentence) || sentence.length < 70 || sentence.length > 360 || (sentence.match(/\d/g)?.length ?? 0) > 14)
          continue;
        const names = Object.keys(NAMES).filter((name) => NAMES[name]!.test(sentence));
        if (
          country !== undefined ? names.length === 1 && names[0] === country : names.length === 0 && /\b[A-Z][a-z]+/.test(sentence.slice(1))
        )
          found.push({ country, field, text: sentence });
      }
    }
  }
  const halves = splitInHalves(new Set(found.map(({ field }) => field)), (field) => field, seed);
  const ours = new Set(found.filter(({ country }) => country !== undefined).map(({ field }) => field));
  const texts = found.flatMap(({ country, field, text }) => {
    const about = { half: halves.choose.includes(field) ? ("choose" as const) : ("test" as const), text, group: `field ${field}`, source };
    if (country === undefined && !ours.has(field)) return [];
    return Object.keys(NAMES).map((name) => (name === country ? positive(name, about) : negative(name, "hard", about)));
  });
  return drawTexts(texts, { positives: 9, negatives: 9 }, seed);
}

const MARKERS: Readonly<Record<string, readonly string[]>> = {
  "san-francisco": ["San Francisco", "San Franciscan"],
  tokyo: ["Tokyo", "Tōkyō", "東京"],
  paris: ["Paris", "Parisian", "Parisians"],
  london: ["London", "Londoner", "Londoners"],
  japan: ["Japan", "Japanese", "日本"],
  france: ["France", "French", "Frenchman", "Frenchmen"],
  germany: ["Germany", "German", "Germans", "Deutschland"],
  egypt: ["Egypt", "Egyptian", "Egyptians"],
  brazil: ["Brazil", "Brazilian", "Brazilians", "Brasil"],
  india: ["India", "Indian", "Indians"],
};

export async function places(factbook: Unpacked, seed: number): Promise<Family> {
  const texts = drawTexts(
    [...written(CITIES, OTHER_CITIES), ...written(COUNTRIES, OTHER_COUNTRIES)],
    { positives: 40, negatives: 16 },
    seed,
  );
  for (const [concept, { sameWords }] of Object.entries({ ...CITIES, ...COUNTRIES }))
    for (const half of HALVES)
      for (const [i, text] of sameWords![half].entries())
        texts.push(negative(concept, "hard", { half, text, group: `same words ${half} ${i}` }));
  const own = { licence: WRITTEN_LICENCE, source: WRITTEN };
  return {
    name: "places",
    concepts: [...Object.entries(CITIES), ...Object.entries(COUNTRIES)].map(([name, { called }]) => ({
      name,
      about: name in CITIES ? `The city of ${called}.` : `${called}, the country, its people and what is in it.`,
      markers: { case: "exact" as const, words: MARKERS[name]! },
      ...(name in CITIES ? own : { licence: `${WRITTEN_LICENCE}; ${FACTBOOK.licence}`, source: `${WRITTEN}, ${factbook.source}` }),
    })),
    texts: [...texts, ...(await statements(factbook, seed))],
  };
}
