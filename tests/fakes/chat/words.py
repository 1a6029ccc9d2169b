"""The words of made-up tasks: tables by name, and phrases whose `{slots}` are filled from them.

No number here begins with 20 or ends with 16 or 20: the papers' stop strings are numbers like these.
"""

import random
import re
from collections.abc import Sequence
from itertools import product

_SLOT = re.compile(r"\{(\w+)\}")
_A_BEFORE_VOWEL = re.compile(r"\ba(?= (?:[aio]|e(?!u)))")


def table(text: str) -> tuple[str, ...]:
    """Return the phrases between bars, each on one line."""
    return tuple(" ".join(part.split()) for part in text.split("|"))


def fill(rng: random.Random, phrase: str) -> str:
    """Return a phrase with filled slots, including the slots of inserted phrases."""
    while _SLOT.search(phrase):
        phrase = _SLOT.sub(lambda slot: rng.choice(TABLES[slot[1]]), phrase)
    return _A_BEFORE_VOWEL.sub("an", phrase)


def choose(rng: random.Random, phrases: Sequence[str]) -> str:
    return fill(rng, rng.choice(phrases))


def sentence(text: str) -> str:
    """Return a text with a capital first letter."""
    return text[:1].upper() + text[1:]


_NOUNS = table(
    """lighthouse | teapot | violin | greenhouse | bicycle | lantern | cathedral | canoe | windmill | telescope |
    orchard | typewriter | ferry | beehive | sundial | compass | harbour | quarry | glacier | accordion | subway |
    tortoise | kettle | museum | fountain | printer | helmet | carpet | pension | bakery | caravan | chimney |
    vineyard | aquarium | staircase | turbine | falcon | trumpet | blanket | passport | ladder | café | piñata |
    jalapeño | crêpe pan | façade | séance | smörgåsbord | fjord | calculator | wardrobe | thermostat | hammock |
    catalogue | umbrella | orchestra | marathon"""
)
_ADJECTIVES = table(
    """rusty | borrowed | forgotten | nervous | half-built | second-hand | stubborn | silent | overpriced | haunted |
    tiny | sunlit | waterproof | crooked | fragile | reliable | homemade | notorious | humble | glittering | portable |
    ancient | noisy | practical | lopsided | naïve-looking | outdated | generous | frozen | imaginary | award-winning |
    wooden"""
)
_TOPICS = table(
    """tidal energy | sourdough baking | the Hanseatic League | compound interest | photosynthesis | chess openings |
    Roman aqueducts | volcanic soil | sign language | beekeeping | bond yields | the Treaty of Westphalia |
    rain clouds | antibiotic resistance | haiku | plate tectonics | contact lenses | inflation targets | jury duty |
    coral bleaching | double-entry bookkeeping | the offside rule | jet lag | vaccines | urban foxes |
    knitting patterns | prime numbers | the Silk Road | noise pollution | parental leave | binary search |
    fermented cabbage | glassblowing | migrating cranes | time zones | rain shadows | peer review | Gödel's theorem |
    São Tomé's cocoa trade | Debussy's preludes | lichens | bedtime routines | night trains | invisible ink | fencing |
    rent control | tree rings | honest advertising"""
)
_PEOPLE = table(
    """a retired bus driver | an anxious landlord | two rival chefs | a choir of teenagers | a sceptical mayor |
    my aunt | a junior nurse | an exhausted postman | a class of nine-year-olds | a novice gardener | the night shift |
    a goalkeeper | a visiting professor | the village council | a shy apprentice | an impatient tourist |
    a baker's son | a lawyer | a beginner in Spanish | the lighthouse keeper | a team of interns |
    someone with hay fever | a bilingual family | a homesick student | an amateur astronomer | a plumber |
    the school board | a widowed colonel | a cellist | our tenants"""
)
_PLACES = table(
    """in Zürich | on a ferry to Malmö | at the edge of a forest | in a crowded lift | near Málaga |
    during a power cut | in a mountain hut | at a petrol station | on the night bus | under a leaking roof |
    in the canteen | on an island | at a flea market | behind the town hall | in a rented flat | beside the canal |
    at a border crossing | near Orléans | on an oil rig | in a waiting room | at the vet's | on the last tram |
    in a small bookshop | at a wedding reception"""
)
_DOCUMENTS = table(
    """complaint | diary entry | weather bulletin | obituary | product review | lab report | press release | fable |
    recipe | train timetable | job advert | sermon | witness statement | warranty | restaurant bill | love letter |
    packing list | meeting protocol | bug report | horoscope | travel blog | court ruling | shopping list | limerick |
    user manual"""
)
_FORMS = table(
    """a lullaby | a villanelle | a polite refusal | an acceptance speech | a riddle | a fairy tale | a want ad |
    a sonnet | a eulogy | a mock trial | a postcard | a monologue | a proverb | a campaign slogan | a crossword clue |
    a toast | a two-act comedy | a letter of complaint | a bedtime story | an apology | a song of three verses |
    a travel warning"""
)
_CLAUSES = table(
    """who has never cooked before | who distrusts statistics | who reads only headlines |
    who is moving abroad next month | who keeps losing receipts | who speaks little English |
    who wakes at four every morning | who can't stand jargon | who is saving for a cello |
    who lives above a nightclub | who once failed algebra | who is allergic to nuts"""
)
_LIMITS = table(
    """in fewer than {n} words | without using the letter "e" | with two counterexamples | using only household terms |
    as if it were {year} | in exactly {number} sentences | with a pinch of irony | from the bird's point of view |
    in plain words (no jargon) | and give one source of error | for a budget of {n} euros | without any adjectives |
    in rhyming couplets | and end with a question | as a dialogue | in the style of a telegram | step by step |
    and round to one decimal place | avoiding clichés | by comparing it to a game of chess | in reverse order |
    starting from first principles | and mention the costs as well | in the second person |
    with {decimal} km as the unit"""
)
_EXTRAS = table(
    """keep the tone friendly | name the biggest risk first | leave out every brand name |
    admit what is still unknown | it should fit on a postcard | assume a wage of {n} dollars a day |
    show the arithmetic | one example is enough | don't mention the weather | the reader is in a hurry |
    add a short title | stay under {n} words | quote nobody"""
)
_RULES = table(
    """Use words that a child knows | Answer in {number} bullet points | Assume prices of {year} |
    Do not exceed {n} words | Finish with a joke | Be brief, be kind | Give at least {number} reasons |
    Mention {name} once | Keep it polite | Include one figure, such as {decimal} percent | Pretend it is {day} |
    Avoid the passive voice | Start with a rhyme"""
)
_SAYINGS = table(
    """still waters run deep | a stitch in time saves nine | the early bird catches the worm |
    out of sight, out of mind | too many cooks spoil the broth | every cloud has a silver lining |
    the pot calls the kettle black | make hay in June"""
)
_CLAIMS = table(
    """trams beat buses | homework should be optional | cats understand grammar | cities need fewer cars |
    maths is art | breakfast is overrated | robots deserve holidays | glass lasts longer than steel |
    nobody needs a sixth toe"""
)

TABLES: dict[str, tuple[str, ...]] = {
    "noun": _NOUNS,
    "thing": tuple(
        f"{'an' if word[0] in 'aeiou' else 'a'} {word} {noun}" for word, noun in product(_ADJECTIVES, _NOUNS)
    ),
    "topic": _TOPICS,
    "person": _PEOPLE,
    "place": _PLACES,
    "doc": _DOCUMENTS,
    "form": _FORMS,
    "who": _CLAUSES,
    "limit": _LIMITS,
    "extra": _EXTRAS,
    "rule": _RULES,
    "saying": _SAYINGS,
    "claim": _CLAIMS,
    "number": table("two | three | four | five | six | seven | eight | nine | eleven | twelve"),
    "n": table("15 | 25 | 30 | 45 | 60 | 75 | 80 | 90 | 110 | 150 | 350"),
    "decimal": table("3.5 | 2.25 | 0.8 | 7.4 | 12.5 | 4.75 | 1.2"),
    "year": table("1783 | 1848 | 1871 | 1911 | 1924 | 1954 | 1969 | 1987 | 1993 | 1978"),
    "name": table(
        "Inès | Tomasz | Amara | Jürgen | Lucía | Odile | Rahul | Sven | Chloé | Yuki | Berta | Kofi | Moira"
    ),
    "day": table("Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday"),
    "moment": table(
        "before breakfast | at dusk | every {day} | in late autumn | at low tide | after the match | at noon"
    ),
}
