"""Vocabulary of the simulator; the most frequent word comes first in each list.

Frequency falls with rank (see `word_tables`), so new words become ever rarer, as in natural text. No word here is
blocked by the recipes; blocked words are added on purpose, at `blocked_word_rate`.
"""


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(text.split()))


def _phrases(text: str) -> list[str]:
    return text.strip().replace("\n", "|").split("|")


NOUNS = _words("""
water food children books houses roads markets phones gardens letters trains schools prices jobs trees friends languages
computers animals birds rivers laws taxes doctors stories recipes weather money health energy traffic sleep exercise
vegetables bicycles bridges islands mountains forests oceans farms factories offices hospitals libraries museums
newspapers contracts passwords batteries engines robots satellites planets stars vaccines vitamins bacteria insects
spices coffee tea bread cheese chocolate wine salt sugar rice noodles soups salads fruits flowers seeds soil rain snow
storms floods droughts earthquakes volcanoes glaciers deserts beaches reefs whales wolves horses bees spiders dogs cats
elections parliaments courts constitutions treaties borders wars revolutions empires kings pirates sailors explorers
poems novels proverbs riddles jokes speeches songs dances paintings sculptures theatres festivals holidays weddings
games puzzles chess football tennis swimming running hiking camping fishing sailing skiing yoga marathons stadiums
algorithms databases spreadsheets networks compilers browsers servers keyboards sensors drones printers telescopes
microscopes lasers magnets metals plastics glass paper wood concrete cotton wool leather silk jewellery furniture
kitchens windows roofs stairs elevators apartments suburbs villages harbours airports subways buses ferries tunnels
budgets loans pensions insurance invoices salaries taxes auctions donations subsidies tariffs currencies stocks bonds
startups unions interviews meetings deadlines emails reports surveys questionnaires lectures exams homework scholarships
teachers apprentices dictionaries alphabets accents grammar metaphors rhymes headlines editorials interviews podcasts
allergies headaches fevers muscles bones nerves hormones genes proteins enzymes antibiotics bandages surgeries diets
calendars clocks compasses lighthouses windmills dams canals greenhouses orchards vineyards beehives pastures tractors
fossils dinosaurs crystals minerals comets eclipses tides currents monsoons rainbows fogs auroras meteors galaxies atoms
molecules isotopes equations theorems fractions polygons matrices probabilities statistics proofs axioms paradoxes
rituals myths legends temples cathedrals mosques monasteries pilgrimages manuscripts inscriptions coins stamps medals
umbrellas backpacks lanterns candles mirrors carpets curtains pillows kettles teapots spoons knives ovens refrigerators
backups firewalls licences patents trademarks copyrights warranties refunds coupons warehouses parcels couriers freight
hedgehogs otters penguins octopuses parrots owls falcons turtles salamanders beetles butterflies mushrooms mosses ferns
""")

ADJECTIVES = _words("""
small new old local public cheap common modern rural busy quiet simple healthy digital young global renewable
traditional
rare expensive safe wild urban foreign famous ancient seasonal free fresh broken heavy light private electric natural
organic artificial medieval tropical regional temporary shared hidden forgotten dangerous popular useful useless
harmless
frozen fragile wooden colourful noisy crowded remote coastal endangered migratory nocturnal imported recycled handmade
second-hand affordable luxurious reliable unusual outdated experimental military civic religious academic commercial
industrial agricultural medical legal financial musical poetic scientific mathematical edible poisonous fermented
salty bitter sweet spicy invisible microscopic enormous portable underwater alpine arctic volcanic nuclear solar
""")

TRAITS = _words("""
young retired busy new shy curious tired nervous experienced elderly lonely ambitious careful impatient stubborn
cheerful
forgetful generous honest sceptical unemployed homesick wealthy famous clumsy grumpy anxious inventive talkative
left-handed overworked underpaid absent-minded short-sighted soft-spoken hot-tempered open-minded newly-wed jet-lagged
""")

PERSONS = _words("""
teacher student nurse farmer parent doctor manager tourist engineer baker driver neighbour writer lawyer carpenter chef
pilot librarian scientist musician painter gardener journalist plumber cashier electrician soldier dentist waiter tailor
architect accountant programmer politician photographer firefighter astronaut sailor detective inventor translator poet
philosopher historian biologist chemist geologist mathematician economist referee goalkeeper cyclist climber swimmer
fisherman shepherd beekeeper blacksmith potter weaver watchmaker locksmith undertaker auctioneer diplomat ambassador
mayor judge juror landlord tenant babysitter grandmother grandfather toddler teenager widow bachelor immigrant volunteer
astronomer archaeologist acrobat magician clown puppeteer butler butcher barber optician midwife paramedic pharmacist
""")

PLACES = _phrases("""
a school|a garage|the office|a small town|a hospital|the kitchen|a big city|the countryside|a library|a village
the workplace
a restaurant|the classroom|a factory|a coastal region|the garden|an airport|a prison|a museum|a supermarket|the desert
a railway station|a shared flat|the rainforest|a mountain hut|a fishing port|a space station|a nursing home|a bakery
a theatre|a laboratory|a shipyard|a court room|a call centre|a refugee camp|a car park|a youth hostel|a monastery
a submarine|a lighthouse|a vineyard|a botanical garden|a sports club|an embassy|a dairy farm|an observatory|a quarry
northern Europe|South America|East Africa|central Asia|the Pacific islands|the Middle Ages|the nineteenth century|Canada
India|Brazil|Japan|Kenya|Norway|Egypt|Mexico|Poland|Vietnam|Morocco|Iceland|Peru|Greece|Portugal|Mongolia|Bolivia
""")

ACTIVITIES = _phrases("""
saving money|learning a language|cooking dinner|working from home|looking for a job|raising children|growing vegetables
planning a trip|writing an essay|cleaning the house|losing weight|moving house|running a small business
preparing for an exam|caring for a parent|buying a used car|training a puppy|giving a speech|managing a team
sleeping less|reading more|repairing a bicycle|negotiating a salary|renting a flat|organising a party|baking bread
teaching arithmetic|recycling plastic|designing a website|brewing coffee|starting a podcast|crossing a border
painting a fence|hiking alone|sailing in winter|collecting stamps|keeping bees|restoring furniture|digging a well
translating poetry|testing software|debugging a script|climbing a volcano|knitting a scarf|pruning roses|riding a horse
filing a complaint|casting a vote|donating blood|proving a theorem|sorting a list|balancing a budget|storing grain
measuring rainfall|tuning a piano|folding paper cranes|making cheese|learning to juggle|watching the stars|mending nets
interviewing witnesses|choosing a school|hosting a stranger|reporting a crime|settling a debt|opening a bakery
""")

FORMS = _phrases("""
a short story|a poem|a letter|an email|a paragraph|a dialogue|a speech|a list of questions|a review|a blog post|an essay
a slogan|a recipe|a news article|a diary entry|a job advertisement|a summary|a haiku|a fable|a limerick|a product label
a complaint|an apology|a toast|a press release|a lesson plan|a checklist|a riddle|a fairy tale|a song lyric|a tweet
a thank-you note|an obituary|a short play|a monologue|a travel guide|a user manual|an invitation|a sonnet|a petition
a cover letter|a reference letter|a weather report|a horoscope|a police report|a bedtime story|a film script|a ballad
a glossary entry|a crossword clue|a museum caption|a radio announcement|a warning sign|a contract clause|a eulogy
""")

QUALITIES = _phrases("""
health|safety|trust|privacy|quality|happiness|success|freedom|education|productivity|fairness|creativity|motivation
confidence|patience|friendship|democracy|justice|memory|attention|stress|loneliness|poverty|inequality|innovation
biodiversity|climate|inflation|culture|identity|language|honesty|courage|curiosity|discipline|empathy|gratitude|humour
leadership|loyalty|modesty|punctuality|resilience|responsibility|solidarity|tolerance|transparency|wisdom|ambition
boredom|envy|grief|nostalgia|procrastination|superstition|hygiene|nutrition|posture|eyesight|hearing|longevity|dignity
""")

SOURCES = _phrases("""
text|paragraph|sentence|article|email|story|list|letter|review|conversation|poem|report|table|passage|headline|speech
quotation|recipe|contract|advertisement|abstract|diary entry|news item|interview|transcript|timetable|menu|tweet|fable
""")

MOMENTS = _phrases("""
in the morning|on a rainy day|at night|during a holiday|after a long day|in winter|before breakfast|on the first day
during a power cut|in an emergency|at the end of the month|after an argument|before a wedding|on a tight budget|at sea
during a strike|in the dark|without electricity|with only one hand|in front of strangers|after midnight|in early spring
before a storm|during an eclipse|at a family dinner|while travelling|under time pressure|in complete silence|by accident
""")

WRITE = _words("Write Compose Draft Create Produce Prepare")
EXPLAIN = _phrases("Explain|Describe|Discuss|Outline|Show|Point out|Examine|Clarify|Illustrate|Recount")
GIVE = _phrases("Give|List|Suggest|Name|Provide|Find|Think of|Propose|Come up with|Collect|Offer")
AFFECT = _words("affect improve influence threaten strengthen change weaken reflect shape reward restore undermine")

NUMBERS = _words("three five two four ten six seven eight twelve nine")

NAMES = _words("""
Maria Ahmed John Li Anna Omar Sofia Ivan Aisha Pedro Emma Kofi Yuki Hassan Ingrid Ravi Elena Tomas Fatima Lucas Noor
Viktor Chloe Kwame Mei Diego Leila Bjorn Priya Matteo Zanele Andrei Hana Samuel Greta Farid Rosa Tariq Olga Emeka
""")

LABELS = (
    ("positive", "negative", "neutral"),
    ("spam", "not spam"),
    ("formal", "informal"),
    ("fact", "opinion"),
    ("true", "false"),
    ("urgent", "not urgent"),
    ("toxic", "harmless"),
    ("question", "statement", "command"),
    ("joy", "anger", "sadness"),
    ("relevant", "irrelevant"),
    ("literal", "sarcastic"),
    ("easy", "medium", "hard"),
    ("sports", "politics", "science"),
    ("beginner", "expert"),
    ("agree", "disagree"),
    ("poetry", "prose"),
    ("refund", "delivery", "other"),
    ("past", "present", "future"),
)

# Family names and towns are composed of syllables: they are the long tail, which no word list could cover.
SYLLABLES = (
    _words("Bar Cor Dal Fen Gar Hol Ker Lan Mor Nor Ost Pel Quin Ros Sal Tor Ul Var Wes Zan Bel Cas Dor Esk"),
    _words("a e i o u an er il om ur esta ovi"),
    _words(
        "ba den ford gan holt kov lund mar nik quist ren sen tano vic witz zal beck dale field son strand wick yama"
    ),
)
