"""The phrases of made-up instructions with an open answer, and of plain sentences."""

from tests.fakes.chat.words import table

# An instruction consists of a verb, a topic, an audience, and a manner. Or it is a whole sentence: there are more forms
# of sentences, and fewer variants of each.
VERBS = table(
    """Explain | Describe | Outline | Summarize | Analyse | Discuss | Review | Examine | Illustrate | Recount |
    Clarify | Evaluate | Write a short memo on | Prepare a talk on | Give an honest account of | Investigate |
    Teach a lesson on | Draft an editorial on | Make a checklist for | Compile a glossary for | Retell | Criticise |
    Praise | Simplify | Start a debate on | Compose a column about | Speculate about | Offer an opinion on |
    Create a quiz about | Unpack | Sum up | Write the opening lines of a story about | Make fun of |
    Improvise a speech about | Defend | Question"""
)
SUBJECTS = table(
    """the history of {topic} since {year} | how {thing} survives a hard winter | why {topic} still divides experts |
    the link between {topic} and {topic} | the true cost of owning {thing} | the idea that {claim} |
    what {topic} smells like | the day {name} lost {thing} {place} | a quarrel between {person} and {person} |
    the saying "{saying}" | the {number} laws of {topic} | everything that can go wrong with {thing} |
    the {doc} that {person} left {place} | the first {n} minutes of a lesson in {topic} | a world without {topic} |
    the etiquette of {topic} {place} | the way {person} cleans {thing} | {number} myths about {topic} |
    the invention of {thing} in {year} | a trip of {decimal} km with {thing} | the ethics of lending {person} {thing} |
    the trade in {noun} spares | the {doc} of {name} from {year} | the moral of a fable on {noun} makers |
    rules for sharing {thing} {moment} | the role of {topic} in the {doc} | a typical {day} for {person} {who} |
    the quiet charm of {topic} | the theft of {thing} (valued at {n} pounds) |
    the arguments for banning {topic} {place} | {topic}, {topic} and luck"""
)
AUDIENCES = table(
    """for {person} | with {person} in mind | so that {person} can follow | as {person} would see it |
    for readers of a {doc} | to {person} {who} | as {name} might, {place} | to be read aloud {moment} |
    for use {place} | for a newsletter {moment} | to win over {person} | for anyone {who} |
    as if speaking to {person} | on behalf of {person}"""
)

OPEN = (
    "Explain {topic} to {person} {who}, {limit}.",
    "Compose {form} about {thing} {place}, {limit}.",
    "How would {person} repair {thing} {place} {moment}?",
    "Suggest {number} birthday gifts for {person} {who}; {extra}.",
    "Rewrite the {doc} so that {person} can follow it, and {extra}.",
    "Given the {doc} of {person}, extract all dates and sort them {limit}.",
    "Why did {topic} matter so much to traders in {year}, and what changed afterwards?",
    "Translate the {doc} into Portuguese, keep the names as they are, and {extra}.",
    "Estimate how many litres of paint {thing} needs if one coat covers {decimal} square metres.",
    "Consider this claim: {claim}. Defend it {place} before {person}.",
    'Paraphrase the saying "{saying}" for {person} {who}.',
    "Plan a weekend {place} for {person} with {n} euros (travel included).",
    "Invent a holiday that celebrates {topic}, then describe how {person} would spend it {moment}.",
    "What are the main differences between {topic} and {topic}, {limit}?",
    "Imagine {person} meets {person} {place}; what do they argue about?",
    "Correct the spelling in the {doc} from {year}, but leave the old-fashioned expressions untouched.",
    "Compute the fare for {n} passengers at {decimal} euros each, and show every intermediate step.",
    "Devise a mnemonic that helps {person} remember the basics of {topic}.",
    "Shorten the {doc} about {thing} to {number} lines, {limit}.",
    "List {number} questions that {person} should ask before buying {thing} {place}.",
    "Summarize what historians of {year} got wrong about {topic}, {limit}.",
    "Turn this {doc} into {form}; {extra}.",
    "If {thing} could talk to {person}, which {number} secrets would come out first?",
    "Propose a fair timetable for {person} and {person} sharing {thing} {moment}.",
    'Use the words "{noun}", "{noun}" and "{noun}" in {form} set {place}.',
    "Describe the smell of {thing} {place} to {person} {who}.",
    "Find the hidden assumption in the {doc}, then state it {limit}.",
    "Draft interview questions on {topic} for a podcast hosted by {person} {moment}.",
    "Could {thing} have existed in {year}, judging by what people knew about {topic}?",
    "Convert the quantities of the {doc} to metric units; assume one cup holds {decimal} decilitres.",
    "Create a quiz of {number} items about {topic} for {person} {place}.",
    "Outline the chapters of a novel where {name} inherits {thing} {place}.",
    "Write a Python function that totals the prices of {number} baskets, skipping anything above {decimal} euros.",
    "Recommend a slow hobby to {person} {who}, and weigh its cost against {topic}.",
    "Tell the story of {name} and {thing} {limit}.",
    "Who benefits when {topic} becomes a school subject: teachers, parents, or someone else entirely?",
    "Add punctuation to the {doc} that {name} dictated {place} {moment}, and {extra}.",
    "Brainstorm names for a shop {place} that sells nothing but {noun} parts and {noun} polish.",
    "Predict what {name} will say about {topic} {moment}, {limit}.",
    "Order the events of the {doc} by date, starting in {year}; {extra}.",
    "Please help {person} phrase a text message that cancels {thing} {moment}, {limit}.",
    "Sketch in words the perfect {noun} for {person} {who}.",
)

SENTENCES = (
    "{person} found {thing} {place} {moment}.",
    "Nobody expected {topic} to be discussed {place}, least of all {person}.",
    "In {year} {name} sold {thing} for {n} crowns and regretted it.",
    'As {name} likes to say, "{saying}".',
    "Most of the trouble with {topic} began {moment}, long before {name} arrived.",
    "{thing} weighs {decimal} kg (without its lid); {person} carried it anyway.",
    "It takes {number} days, {name}'s patience and {thing}.",
    "For {person}, {topic} is a matter of practice rather than talent.",
    "{name} keeps {thing} {place} because {claim}.",
    "The {doc} blames {topic}, yet {person} disagrees.",
    "There were {number} reasons for it: cost, habit and {topic}, among others.",
    "Why {person} bought {thing} {moment}, we never learned.",
    "You'd need about {n} metres of rope and {thing} for that.",
    "{claim}, or so {person} claimed {place}.",
)

SHORT = (
    "{n}",
    "{decimal}",
    "{year}",
    "{noun}",
    "{name}",
    "{number} {noun}s",
    "{decimal} kg",
    "{topic}",
    "on {day}",
)
