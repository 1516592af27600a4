/** @file Landmarks: six by name and by description, bridges in general, and what public transport is built of. */
import type { LabelledText } from "../../concept-set.ts";
import { drawTexts, type Family, fill, HALVES, type Halves, negative, positive, WRITTEN, WRITTEN_LICENCE } from "../draft.ts";

interface Landmark {
  /** As it stands in a sentence. */
  called: string;
  /** Sentences about it that name it; the first half of each list is for choosing. */
  facts: Halves<readonly string[]>;
  /** Sentences about it that do not name it. */
  described: Halves<readonly string[]>;
  /** Sentences about something else with words of its name. */
  sameWords: Halves<readonly string[]>;
}

const LANDMARKS: Readonly<Record<string, Landmark>> = {
  "golden-gate-bridge": {
    called: "the Golden Gate Bridge",
    facts: {
      choose: [
        "The Golden Gate Bridge links San Francisco with Marin County across a strait about a mile wide.",
        "Joseph Strauss spent years persuading people that the Golden Gate Bridge could be built at all.",
        "The colour of the Golden Gate Bridge is called International Orange, and painters touch it up all year.",
        "When the Golden Gate Bridge opened in May 1937, some two hundred thousand people walked over it on the first day.",
        "Sailors coming home from the Pacific looked out for the towers of the Golden Gate Bridge above the fog.",
        "A net below the deck saved the lives of nineteen men who fell while the Golden Gate Bridge was being built.",
        "For twenty-seven years the main span of the Golden Gate Bridge, 4,200 feet, was the longest in the world.",
      ],
      test: [
        "From Crissy Field you can watch fog pour under the deck of the Golden Gate Bridge.",
        "Charles Ellis did most of the calculations for the Golden Gate Bridge and got little of the credit.",
        "Southbound drivers pay a toll on the Golden Gate Bridge; northbound drivers do not.",
        "The two towers of the Golden Gate Bridge rise 746 feet above the water.",
        "Each main cable of the Golden Gate Bridge is spun from more than twenty-seven thousand wires.",
        "Cyclists keep to the western path of the Golden Gate Bridge on weekends, with the ocean beside them.",
        "In films, the Golden Gate Bridge is usually the first thing in the city to be destroyed.",
      ],
    },
    described: {
      choose: [
        "The orange suspension span at the mouth of San Francisco Bay vanished into the fog by noon.",
        "We walked from the Presidio to Marin, high above the strait, with one hand on the red railing.",
        "Between Fort Point and the Marin Headlands, two Art Deco towers painted International Orange hold up the roadway.",
      ],
      test: [
        "The most photographed bridge in the world crosses the strait between San Francisco and Sausalito.",
        "Strauss and Ellis hung a mile of road above the entrance to the bay, and it opened in 1937.",
        "Every ship that enters the port of Oakland from the Pacific first passes beneath that famous red-orange bridge.",
      ],
    },
    sameWords: {
      choose: [
        "The golden gate of the palace stood open, and nobody guarded it.",
        "Her golden retriever waited at the garden gate every afternoon.",
        "The San Francisco-Oakland Bay Bridge carries far more cars on two decks than any other crossing of the bay.",
        "Golden State won the game at the gate, as the newspapers put it.",
        "He bridged the gap between the two golden ages of radio.",
      ],
      test: [
        "Kyiv has kept part of its medieval Golden Gate, a fortified entrance of brick and wood.",
        "The gate of the farm was painted gold, and the little bridge behind it green.",
        "Bison have been kept in a paddock of the park in San Francisco since the nineteenth century.",
        "The golden hour is the best time to photograph the city gates.",
        "The San Mateo Bridge is long, flat and seldom in anybody's holiday pictures.",
      ],
    },
  },
  "eiffel-tower": {
    called: "the Eiffel Tower",
    facts: {
      choose: [
        "The Eiffel Tower was meant to stand for twenty years and was saved by its use as a radio mast.",
        "Gustave Eiffel kept a small apartment near the top of the Eiffel Tower, where he received Thomas Edison.",
        "In summer the iron of the Eiffel Tower expands, and the top moves away from the sun by several inches.",
        "Maupassant is said to have lunched at the Eiffel Tower because it was the one place from which he could not see it.",
        "The Eiffel Tower was the entrance to the World's Fair of 1889.",
        "Every seven years the Eiffel Tower is painted again, by hand, with sixty tons of paint.",
        "Queues at the foot of the Eiffel Tower are shortest on winter mornings.",
      ],
      test: [
        "More than eighteen thousand pieces of iron were riveted together to make the Eiffel Tower.",
        "Artists signed a protest against the Eiffel Tower, which they called a gigantic black factory chimney.",
        "At night the Eiffel Tower glitters for five minutes on the hour.",
        "A con man named Victor Lustig sold the Eiffel Tower for scrap, twice.",
        "From the second floor of the Eiffel Tower you look down on the Champ de Mars.",
        "Lift operators climbed the Eiffel Tower by the stairs after the cables were cut in 1940.",
        "Three hundred workers put up the Eiffel Tower in a little over two years.",
      ],
    },
    described: {
      choose: [
        "The iron lattice tower on the Champ de Mars was the tallest structure on earth until 1930.",
        "Parisians once hated the wrought-iron giant beside the Seine; now it is on every postcard.",
        "From the Trocadéro you see all 330 metres of it, four iron legs meeting in the sky over Paris.",
      ],
      test: [
        "The engineer's firm also made the skeleton of Liberty, but it is the tower in Paris that bears his fame.",
        "They had dinner on the first platform, with the lights of Paris between the iron girders.",
        "Built for the exhibition of 1889, the iron lady of Paris still draws some six million visitors a year.",
      ],
    },
    sameWords: {
      choose: [
        "Eiffel is a programming language in which every routine can state its contract.",
        "The firm of Gustave Eiffel also built a railway viaduct in the south of France.",
        "The water tower behind the station was built of iron in 1889.",
        "Paris is the name of the prince who carried Helen off to Troy.",
        "The television tower in Berlin has a restaurant that turns twice an hour.",
      ],
      test: [
        "The Eifel is a range of low hills in western Germany, full of old volcanoes.",
        "A control tower guides the planes in and out of the airport.",
        "The rook is sometimes called the tower by people who are new to chess.",
        "The Tour Montparnasse is an office block of fifty-nine floors that few Parisians like.",
        "He designed the Garabit viaduct, an arch of wrought iron over a deep valley.",
      ],
    },
  },
  "statue-of-liberty": {
    called: "the Statue of Liberty",
    facts: {
      choose: [
        "The Statue of Liberty was a gift from the people of France and arrived in New York in 350 pieces.",
        "The copper skin of the Statue of Liberty is about as thick as two coins.",
        "Frédéric Auguste Bartholdi modelled the Statue of Liberty, perhaps after his mother.",
        "On the pedestal of the Statue of Liberty there is a poem by Emma Lazarus.",
        "The tablet in the left hand of the Statue of Liberty bears the date of 4 July 1776.",
        "The Statue of Liberty was brown when it was unveiled, and turned green over thirty years.",
        "Immigrants on the deck fell silent when the Statue of Liberty came out of the mist.",
      ],
      test: [
        "Joseph Pulitzer raised the money for the pedestal of the Statue of Liberty, dollar by dollar, in his newspaper.",
        "The torch of the Statue of Liberty has been closed to visitors since an explosion in 1916.",
        "The crown of the Statue of Liberty has seven rays and twenty-five windows.",
        "Ferries to the Statue of Liberty leave from Battery Park.",
        "Broken chains lie at the feet of the Statue of Liberty, though hardly anyone can see them from below.",
        "Lightning strikes the Statue of Liberty hundreds of times a year.",
        "A smaller copy of the Statue of Liberty stands on an island in the Seine.",
      ],
    },
    described: {
      choose: [
        "The green lady with the torch in New York Harbor has welcomed ships since 1886.",
        "Bartholdi's colossus of copper raises her torch over Upper New York Bay.",
        "Give me your tired, your poor, says the poem at her feet on the island in the harbor.",
      ],
      test: [
        "Visitors climb 354 steps to look at Manhattan from inside her crown.",
        "The huge copper woman on Bedloe's Island came from France in crates.",
        "From the Staten Island ferry we waved at the lady with the lamp and the tablet.",
      ],
    },
    sameWords: {
      choose: [
        "The statue of a horse in front of the library has lost its tail.",
        "Liberty means little to a person who has nothing to eat.",
        "The Liberty Bell in Philadelphia cracked long before it became famous.",
        "Michelangelo's statue of David was carved from a block that others had spoiled.",
        "The statute of limitations had run out before the case came to court.",
      ],
      test: [
        "A statue of Lenin lay on its side in the courtyard of the museum.",
        "John Stuart Mill wrote his essay on liberty together with his wife.",
        "Ellis Island, a short way across the water, is a museum of immigration.",
        "She took the liberty of opening the letter that was meant for the sculptor.",
        "Delacroix painted Liberty with a flag in her hand, leading the people over a barricade.",
      ],
    },
  },
  "great-wall": {
    called: "the Great Wall of China",
    facts: {
      choose: [
        "Most of the Great Wall of China that people visit today was built under the Ming.",
        "Contrary to what is often said, the Great Wall of China cannot be seen from the moon.",
        "Soldiers on the Great Wall of China sent news by smoke in the daytime and by fire at night.",
        "Sticky rice was mixed into the mortar of the Great Wall of China.",
        "At Badaling the Great Wall of China is so crowded in October that you can hardly move.",
        "In the desert, the Great Wall of China is little more than a ridge of rammed earth.",
        "Farmers took bricks from the Great Wall of China to build pigsties.",
      ],
      test: [
        "The Great Wall of China ends at the sea, at a place called the Old Dragon's Head.",
        "The first emperor joined older walls of the north into what we call the Great Wall of China.",
        "Convicts and peasants died in great numbers while they worked on the Great Wall of China.",
        "North of Beijing, the Great Wall of China follows the ridges like the back of a dragon.",
        "A marathon with thousands of steps is run on the Great Wall of China every May.",
        "The Great Wall of China did not stop the Manchus: a general opened the gate.",
        "Surveyors measured the Great Wall of China, with all its branches, at over thirteen thousand miles.",
      ],
    },
    described: {
      choose: [
        "The Ming emperors guarded their northern border with a wall of stone thousands of miles long.",
        "At Mutianyu, outside Beijing, you can hike from watchtower to watchtower along the ancient wall.",
        "Qin Shi Huang's rampart against the nomads of the north was lengthened for two thousand years.",
      ],
      test: [
        "From Jiayuguan in the desert to Shanhaiguan by the sea, the emperors' wall runs along the mountains.",
        "Tourists take the cable car up to the battlements north of Beijing and slide down on a toboggan.",
        "The Mongols simply rode around the longest fortification ever built in China.",
      ],
    },
    sameWords: {
      choose: [
        "The wall of the garden was a great place for lizards.",
        "The Great Firewall keeps many foreign sites out of the Chinese internet.",
        "Great Wall Motor makes cars and pickup trucks in Baoding.",
        "The great wall of water came without a warning and took the village.",
        "She hung her china plates on the wall of the great hall.",
      ],
      test: [
        "A great crack ran down the wall of the kitchen.",
        "Hadrian's Wall crossed the north of England from coast to coast.",
        "Astronomers call a sheet of galaxies, half a billion light years long, a great wall.",
        "China exports more steel than any other country.",
        "The Berlin Wall fell on a Thursday evening in November.",
      ],
    },
  },
  "taj-mahal": {
    called: "the Taj Mahal",
    facts: {
      choose: [
        "Shah Jahan built the Taj Mahal for his wife Mumtaz, who died when their fourteenth child was born.",
        "The marble of the Taj Mahal looks pink at dawn and blue by moonlight.",
        "Twenty thousand masons and a thousand elephants are said to have worked on the Taj Mahal.",
        "Smoke from the factories of Agra has turned the Taj Mahal yellow in places.",
        "The four minarets of the Taj Mahal lean outwards, so that they would not fall on the dome.",
        "Princess Diana sat alone on a bench in front of the Taj Mahal for a photograph.",
        "The Taj Mahal is closed to visitors on Fridays.",
      ],
      test: [
        "The Taj Mahal stands on the bank of the Yamuna in Agra.",
        "Flowers of jasper, jade and lapis lazuli are set into the walls of the Taj Mahal.",
        "Shah Jahan was deposed by his son, and spent his last years looking at the Taj Mahal from a fort.",
        "Everything in the Taj Mahal is symmetrical except the tomb of the emperor himself.",
        "During the war, the dome of the Taj Mahal was hidden under bamboo scaffolding.",
        "A legend says that a second Taj Mahal, all in black, was planned across the river.",
        "Tagore called the Taj Mahal a teardrop on the cheek of time.",
      ],
    },
    described: {
      choose: [
        "The white mausoleum in Agra is reflected in a long pool between rows of cypresses.",
        "Mumtaz Mahal lies under a marble dome on the bank of the Yamuna.",
        "A Mughal emperor mourned his wife for two decades, and left the most beautiful tomb in the world.",
      ],
      test: [
        "Shah Jahan lies beside his wife in the white marble tomb that he built for her.",
        "The train from Delhi to Agra is full of tourists who want to see the marble tomb at sunrise.",
        "Four slender minarets and a great onion dome rise over the gardens of Agra.",
      ],
    },
    sameWords: {
      choose: [
        "Taj Mahal, the blues singer, was born in Harlem and plays a dozen instruments.",
        "The Taj hotel in Mumbai has received guests since 1903.",
        "In that play a mahal is a palace where nobody has lived for years.",
        "Humayun's Tomb in Delhi was built by his widow, of red sandstone.",
        "The Red Fort was the seat of the Mughal emperors in Delhi.",
      ],
      test: [
        "The Jama Masjid in Delhi holds twenty-five thousand people.",
        "The casino in Atlantic City had onion domes and went bankrupt.",
        "The Lake Palace in Udaipur, white and square, seems to float on the water.",
        "He ordered lamb rogan josh from the Indian restaurant on the corner.",
        "Fatehpur Sikri was abandoned because there was not enough water.",
      ],
    },
  },
  colosseum: {
    called: "the Colosseum",
    facts: {
      choose: [
        "The Colosseum could hold fifty thousand spectators, who left by eighty exits within minutes.",
        "Titus opened the Colosseum with a hundred days of games.",
        "Under the floor of the Colosseum there were cages, lifts and tunnels.",
        "An earthquake brought down the southern side of the Colosseum in the fourteenth century.",
        "Popes had marble carted away from the Colosseum to build palaces and churches.",
        "Botanists have found hundreds of kinds of plants growing in the ruins of the Colosseum.",
        "Cats sleep in the shade of the arches of the Colosseum.",
      ],
      test: [
        "Sailors worked the great awning that kept the sun off the crowd in the Colosseum.",
        "Vespasian built the Colosseum where Nero had had an artificial lake.",
        "Gladiators came into the arena of the Colosseum through the gate on the west.",
        "The stones of the Colosseum were held together by iron clamps, which were later stolen.",
        "On Good Friday the pope leads a procession at the Colosseum.",
        "A ticket for the Colosseum is valid for the Forum and the Palatine as well.",
        "The name of the Colosseum probably comes from a giant statue of Nero that stood next to it.",
      ],
    },
    described: {
      choose: [
        "In the great amphitheatre of Rome, gladiators fought before fifty thousand people.",
        "The Flavian amphitheatre, four storeys of travertine arches, stands at the end of the Roman Forum.",
        "Wild beasts were lifted from the cellars into the arena that Vespasian began and Titus finished.",
      ],
      test: [
        "The biggest arena of the Roman empire stands half ruined between the Caelian and the Esquiline.",
        "Tourists in Rome pay men dressed as gladiators for a picture in front of the arches.",
        "Emperors gave bread and bloody games to the Romans in the oval arena near the Forum.",
      ],
    },
    sameWords: {
      choose: [
        "The Los Angeles Memorial Coliseum has been the stage of two Olympic Games.",
        "The amphitheatre in Verona is used for operas in summer.",
        "The London Coliseum is the home of the English National Opera.",
        "Gladiators is a television show in which people fight with padded sticks.",
        "The Pantheon in Rome has a hole in its roof, and the rain comes in.",
      ],
      test: [
        "The Trevi Fountain in Rome is full of coins.",
        "The arena of Nîmes still has bullfights twice a year.",
        "The Oakland Coliseum was home to a baseball team that left the city.",
        "The Circus Maximus in Rome is now a long field where people walk their dogs.",
        "The bowl of the stadium was as loud as an arena in ancient times.",
      ],
    },
  },
};

/** Other landmarks: what they are called, and one fact for each half. */
const OTHERS: readonly (readonly [called: string, choose: string, test: string])[] = [
  ["Big Ben", "Big Ben is, strictly speaking, the bell and not the clock tower.", "A penny on the pendulum keeps Big Ben on time."],
  [
    "the Sydney Opera House",
    "The shells of the Sydney Opera House are covered with a million Swedish tiles.",
    "Jørn Utzon never saw the Sydney Opera House finished.",
  ],
  [
    "Machu Picchu",
    "Machu Picchu was built for an Inca emperor and abandoned a century later.",
    "Llamas graze between the terraces of Machu Picchu.",
  ],
  [
    "Christ the Redeemer",
    "Christ the Redeemer spreads his arms over Rio from the top of Corcovado.",
    "Soapstone tiles cover Christ the Redeemer from head to foot.",
  ],
  [
    "the Brooklyn Bridge",
    "Emily Roebling saw the Brooklyn Bridge through to its end when her husband fell ill.",
    "P. T. Barnum led twenty-one elephants over the Brooklyn Bridge to show that it was safe.",
  ],
  [
    "Tower Bridge",
    "The bascules of Tower Bridge were once raised by steam.",
    "A bus driver once jumped Tower Bridge while it was opening.",
  ],
  [
    "Mount Rushmore",
    "Mount Rushmore was carved mostly with dynamite.",
    "Four presidents look out from Mount Rushmore over the Black Hills.",
  ],
  [
    "the Leaning Tower of Pisa",
    "The Leaning Tower of Pisa began to tilt while the third floor was being built.",
    "Lead weights and careful digging have slowed the Leaning Tower of Pisa.",
  ],
  [
    "the Sagrada Família",
    "Gaudí worked on the Sagrada Família for forty-three years.",
    "Light falls through the windows of the Sagrada Família as if through leaves.",
  ],
  [
    "the Parthenon",
    "The Parthenon blew up in 1687 because powder was stored in it.",
    "Half the sculptures of the Parthenon are in London.",
  ],
  [
    "the Great Pyramid of Giza",
    "The Great Pyramid of Giza was the tallest building on earth for almost four thousand years.",
    "Workers on the Great Pyramid of Giza were paid in bread and beer.",
  ],
  [
    "the Burj Khalifa",
    "The Burj Khalifa in Dubai is over eight hundred metres tall.",
    "Window cleaners need three months to get round the Burj Khalifa.",
  ],
  [
    "the Empire State Building",
    "The Empire State Building went up in a little more than a year.",
    "A bomber flew into the Empire State Building in fog in 1945.",
  ],
  [
    "Stonehenge",
    "The bluestones of Stonehenge were brought from Wales.",
    "At the summer solstice the sun rises over the Heel Stone at Stonehenge.",
  ],
  [
    "the Hagia Sophia",
    "The dome of the Hagia Sophia seems to float on a ring of light.",
    "The Hagia Sophia has been a church, a mosque, a museum and a mosque again.",
  ],
  [
    "Neuschwanstein Castle",
    "Neuschwanstein Castle was opened to visitors weeks after the king's death.",
    "Ludwig slept only eleven nights in Neuschwanstein Castle.",
  ],
  ["the Forbidden City", "The Forbidden City has nearly ten thousand rooms.", "Twenty-four emperors ruled from the Forbidden City."],
  [
    "Angkor Wat",
    "The towers of Angkor Wat stand for the peaks of Mount Meru.",
    "Monks never quite left Angkor Wat, though the jungle took the city round it.",
  ],
  [
    "the Space Needle",
    "The Space Needle was sketched on a napkin in a coffee house.",
    "The Space Needle sways an inch for every ten miles per hour of wind.",
  ],
  [
    "the CN Tower",
    "The CN Tower held the record for height for thirty-two years.",
    "Glass in the floor of the CN Tower lets you look straight down.",
  ],
  [
    "Hoover Dam",
    "Enough concrete was poured into Hoover Dam to pave a road across the continent.",
    "Hoover Dam holds back the largest reservoir of the country.",
  ],
  [
    "the Bay Bridge",
    "The Bay Bridge lost a piece of its upper deck in the earthquake of 1989.",
    "The new eastern span of the Bay Bridge hangs from a single tower.",
  ],
];

const VISITS: Halves<readonly string[]> = {
  choose: [
    "We took a photo of {L} just before sunset.",
    "On the second day of the trip they went to see {L}.",
    "The guide told us how long it had taken to build {L}.",
    "There was a picture of {L} on the wall of the classroom.",
    "My grandmother had always dreamed of seeing {L}.",
    "{L} was lit up in green for the holiday.",
    "She proposed to him in front of {L}, with strangers applauding.",
    "The puzzle has a thousand pieces and shows {L}.",
    "Q: What is your favourite monument? A: I would say {L}, because I saw it as a child.",
  ],
  test: [
    "Restoring {L} will cost the government several million.",
    "He sent me a postcard of {L} with three words on the back.",
    "Thousands of tourists visit {L} every single day.",
    "The architect wrote his thesis on {L}.",
    "A drone crashed near {L} this morning; nobody was hurt.",
    "In the game you can build {L} once you have enough stone.",
    "Nothing had prepared me for the size of {L}.",
    "The documentary about {L} is on at nine tonight.",
    "As a souvenir, the children bought a tiny plastic model of {L}.",
  ],
};

const BRIDGES: Halves<readonly string[]> = {
  choose: [
    "the Golden Gate Bridge",
    "the Forth Bridge",
    "the Charles Bridge",
    "the Ponte Vecchio",
    "the Akashi Kaikyō Bridge",
    "the Humber Bridge",
    "the Millau Viaduct",
    "London Bridge",
    "the Verrazzano-Narrows Bridge",
    "the Stari Most",
    "the Chain Bridge",
    "the Øresund crossing",
  ],
  test: [
    "the Brooklyn Bridge",
    "Tower Bridge",
    "the Rialto",
    "the Pont Neuf",
    "Sydney Harbour Bridge",
    "the Great Belt crossing",
    "the Clifton Suspension Bridge",
    "the Pont du Gard",
    "the Mackinac Bridge",
    "the Bosphorus Bridge",
    "the Howrah Bridge",
    "the Vasco da Gama Bridge",
  ],
};
/** What else is built, or is closed for repairs. */
const NO_BRIDGES: Halves<readonly string[]> = {
  choose: [
    "the cathedral",
    "Hoover Dam",
    "the Eiffel Tower",
    "the Channel Tunnel",
    "the castle",
    "the lighthouse",
    "Terminal 2",
    "the town hall",
    "the opera house",
    "the old city wall",
  ],
  test: [
    "the museum",
    "the Aswan Dam",
    "the Empire State Building",
    "the Gotthard Tunnel",
    "the fortress",
    "the observatory",
    "the stadium",
    "the parliament",
    "the monastery",
    "the harbour wall",
  ],
};
const BRIDGE_TEMPLATES: Halves<readonly string[]> = {
  choose: [
    "{X} was closed on Sunday so that engineers could inspect the steel.",
    "The painter returned to {X} again and again, at every hour of the day.",
    "It took the city eleven years to pay for {X}.",
    "The earthquake damaged {X}, but it did not fall.",
  ],
  test: [
    "Crowds gathered at {X} to watch the fireworks.",
    "The engineer who designed {X} never earned a penny from it.",
    "{X} appears on the back of the banknote.",
    "After the flood, only {X} was still standing.",
  ],
};
const BRIDGE_DESCRIBED: Halves<readonly string[]> = {
  choose: [
    "Wind made the deck of the suspension bridge twist until the cables snapped.",
    "Two piers of stone carry the arch over the gorge, and the train crosses it at walking pace.",
    "The army laid pontoons across the river and was on the other side by dawn.",
    "Halfway across, high above the river, she stopped and leaned over the parapet.",
    "The drawbridge was raised, and the riders had to wait on the far bank.",
    "Trucks over forty tons may not use the crossing until the girders have been replaced.",
  ],
  test: [
    "The main span hangs from two cables, each as thick as a man is tall.",
    "Old men fish from the footbridge, and boys jump off it into the canal.",
    "A rope bridge of grass is woven anew across the canyon every June.",
    "The viaduct strides across the valley on twenty arches.",
    "The toll for crossing the river went up to four dollars, so people take the ferry.",
    "Retreating troops blew up every crossing over the Rhine but one.",
  ],
};
const BRIDGE_WORDS: Halves<readonly string[]> = {
  choose: [
    "The dentist fitted a bridge over the missing tooth.",
    "Four old friends play bridge on Thursday afternoons.",
    "The captain came up to the bridge and took the wheel.",
    "Set the router to bridge mode before you plug in the second cable.",
    "The violinist moved the bridge a hair to the left.",
    "Cambridge was cold and wet when the students arrived.",
    "The book tries to bridge the gap between physics and poetry.",
  ],
  test: [
    "His glasses had left two red marks on the bridge of his nose.",
    "The song has two verses, a bridge and a chorus that will not end.",
    "A bridging loan helped them until the house was sold.",
    "Bridget lives in Uxbridge and works in Tunbridge Wells.",
    "She bid three hearts at the bridge table and went down by two.",
    "The bridge pattern lets the two class hierarchies vary on their own.",
    "The officer on the bridge of the ship gave the order to turn.",
  ],
};

const TRANSIT: Halves<readonly string[]> = {
  choose: [
    "the subway",
    "the tram line",
    "the central railway station",
    "the airport",
    "the bus terminal",
    "the ferry dock",
    "the London Underground",
    "the high-speed rail line",
    "the monorail",
    "the commuter train",
  ],
  test: [
    "the metro",
    "the light-rail line",
    "Grand Central Terminal",
    "the railway tunnel",
    "the bus lanes",
    "the cable car",
    "the Paris Métro",
    "the elevated train",
    "the streetcar line",
    "Heathrow's third runway",
  ],
};
const NO_TRANSIT: Halves<readonly string[]> = {
  choose: [
    "the public library",
    "the hospital",
    "the sewage plant",
    "the power grid",
    "the swimming pool",
    "the town theatre",
    "the water mains",
    "the primary school",
    "the fire brigade",
    "the football ground",
  ],
  test: [
    "the university",
    "the city museum",
    "the reservoir",
    "the telephone network",
    "the prison",
    "the botanical garden",
    "the gas pipeline",
    "the concert hall",
    "the police station",
    "the dairy",
  ],
};
const TRANSIT_TEMPLATES: Halves<readonly string[]> = {
  choose: [
    "The council voted last night to spend more money on {X}.",
    "Workers at {X} went on strike for a day.",
    "Anyone who grew up here remembers when {X} was opened.",
    "Letters to the editor complain about {X} every week.",
  ],
  test: [
    "The mayor promised that {X} would be modernised within five years.",
    "Nobody in this town can imagine life without {X}.",
    "A power cut brought {X} to a halt for most of the morning.",
    "They are raising the price for using {X} again in January.",
  ],
};
const TRANSIT_DESCRIBED: Halves<readonly string[]> = {
  choose: [
    "Stand behind the yellow line; the next train arrives on platform four in two minutes.",
    "Change at Embankment for the Circle Line, and mind the gap.",
    "Commuters tapped their cards at the turnstiles and ran down the escalator.",
    "The tunnel under the river carries forty trains an hour in each direction.",
    "A signal failure between two stops left thousands waiting on the platforms.",
    "Rails, overhead wires and new stops will join the suburb to the centre by 2030.",
  ],
  test: [
    "The last stop of the 38 is by the harbour; you can board at the rear door.",
    "Passengers change from the regional express to the S-Bahn on the lower level.",
    "Tracks were laid down the middle of the avenue, and overhead wires went up.",
    "Please let riders leave the car before you enter; the doors are closing.",
    "The station has six platforms, a ticket hall and a roof of glass and iron.",
    "A monthly pass is good for buses, ferries and all trains inside the ring.",
  ],
};
const TRANSIT_WORDS: Halves<readonly string[]> = {
  choose: [
    "The coach made the team train twice a day before the final.",
    "Astronomers watched the transit of Venus across the sun.",
    "He lost his train of thought in the middle of the sentence.",
    "The radio station plays nothing but jazz after midnight.",
    "A bus connects the processor with the memory.",
    "The play takes place on an oil platform in the North Sea.",
  ],
  test: [
    "We train a network on the labelled examples and stop it early.",
    "The bride's train was carried by two small boys.",
    "His station in life did not allow him to marry her.",
    "The tube of toothpaste was empty.",
    "The program runs on every platform, and the line of code is the same.",
    "The railing of the balcony had come loose.",
  ],
};

const named: Readonly<Record<string, { about: string; markers: readonly string[] }>> = {
  "golden-gate-bridge": { about: "The Golden Gate Bridge in San Francisco.", markers: ["Golden Gate Bridge", "Golden Gate"] },
  "eiffel-tower": { about: "The Eiffel Tower in Paris.", markers: ["Eiffel Tower", "Tour Eiffel", "Eiffelturm"] },
  "statue-of-liberty": { about: "The Statue of Liberty in New York Harbor.", markers: ["Statue of Liberty", "Lady Liberty"] },
  "great-wall": { about: "The Great Wall of China.", markers: ["Great Wall of China", "Great Wall"] },
  "taj-mahal": { about: "The Taj Mahal in Agra.", markers: ["Taj Mahal"] },
  colosseum: { about: "The Colosseum in Rome.", markers: ["Colosseum"] },
};

/** Sentences with one of `yes` against the same ones with one of `no`, and all of those that are about the thing or only have its words. */
function inGeneral(
  concept: string,
  { yes, no, templates, described, sameWords }: Record<"yes" | "no" | "templates" | "described" | "sameWords", Halves<readonly string[]>>,
  seed: number,
): LabelledText[] {
  const templated = HALVES.flatMap((half) =>
    templates[half].flatMap((template, t) => {
      const about = (X: string) => ({ half, text: fill(template, { X }), group: `template ${half} ${t}` });
      return [...yes[half].map((X) => positive(concept, about(X))), ...no[half].map((X) => negative(concept, "hard", about(X)))];
    }),
  );
  const written = HALVES.flatMap((half) => [
    ...described[half].map((text, i) => positive(concept, { half, text, group: `described ${half} ${i}` })),
    ...sameWords[half].map((text, i) => negative(concept, "hard", { half, text, group: `same words ${half} ${i}` })),
  ]);
  return [...drawTexts(templated, { positives: 18, negatives: 18 }, seed), ...written];
}

export function landmarks(seed: number): Family {
  const texts: LabelledText[] = [];
  for (const [concept, landmark] of Object.entries(LANDMARKS)) {
    for (const half of HALVES) {
      for (const [t, template] of VISITS[half].entries()) {
        const group = `visit ${half} ${t}`;
        texts.push(positive(concept, { half, text: fill(template, { L: landmark.called }), group }));
        const others = [...Object.values(LANDMARKS).map(({ called }) => called), ...OTHERS.map(([called]) => called)];
        for (const L of others)
          if (L !== landmark.called) texts.push(negative(concept, "hard", { half, text: fill(template, { L }), group }));
      }
      for (const [other, { facts, described }] of Object.entries(LANDMARKS)) {
        for (const [i, text] of [...facts[half], ...described[half]].entries()) {
          const about = { half, text, group: `fact ${other} ${half} ${i}` };
          texts.push(other === concept ? positive(concept, about) : negative(concept, "hard", about));
        }
      }
      for (const [called, choose, test] of OTHERS)
        texts.push(negative(concept, "hard", { half, text: half === "choose" ? choose : test, group: `fact ${called} ${half}` }));
    }
  }
  const kept = drawTexts(texts, { positives: 40, negatives: 22 }, seed);
  // Sentences with the same words are the hardest, so all of them stay.
  for (const [concept, { sameWords }] of Object.entries(LANDMARKS))
    for (const half of HALVES)
      for (const [i, text] of sameWords[half].entries())
        kept.push(negative(concept, "hard", { half, text, group: `same words ${half} ${i}` }));
  kept.push(
    ...inGeneral(
      "bridges",
      { yes: BRIDGES, no: NO_BRIDGES, templates: BRIDGE_TEMPLATES, described: BRIDGE_DESCRIBED, sameWords: BRIDGE_WORDS },
      seed,
    ),
    ...inGeneral(
      "transit-infrastructure",
      { yes: TRANSIT, no: NO_TRANSIT, templates: TRANSIT_TEMPLATES, described: TRANSIT_DESCRIBED, sameWords: TRANSIT_WORDS },
      seed,
    ),
  );
  const written = { licence: WRITTEN_LICENCE, source: WRITTEN };
  return {
    name: "landmarks",
    concepts: [
      ...Object.entries(named).map(([name, { about, markers }]) => ({
        name,
        about,
        markers: { case: "exact" as const, words: markers },
        ...written,
      })),
      {
        name: "bridges",
        about: "Bridges that carry roads, rails or walkers across something, by name or in general.",
        markers: {
          case: "any",
          words: ["bridges", "viaduct", "aqueduct", "footbridge", "drawbridge", "suspension bridge"],
          patterns: ["\\bbridge\\b(?! (mode|loan|game|table|player|of (his|her|the|my) nose))"],
        },
        ...written,
      },
      {
        name: "transit-infrastructure",
        about: "What public transport is built of: railways, stations, metros, trams, airports, ferries, bus lines.",
        markers: {
          case: "any",
          words: [
            "subway",
            "metro",
            "tram",
            "trams",
            "streetcar",
            "railway",
            "railways",
            "railroad",
            "airport",
            "monorail",
            "bus stop",
            "train station",
            "train stations",
            "public transport",
            "public transit",
            "commuters",
            "turnstile",
            "turnstiles",
          ],
        },
        ...written,
      },
    ],
    texts: [...kept],
  };
}
