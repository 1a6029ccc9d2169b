"""The phrases of made-up classification tasks: the subject, the labels, and the request for a label."""

from dataclasses import dataclass

from tests.fakes.chat.words import table


@dataclass(frozen=True)
class Labels:
    """The labels of a task, and the subject that they classify."""

    field: str
    names: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The names as they appear in a sentence."""
        return f"{', '.join(self.names[:-1])} or {self.names[-1]}"


def _labels(line: str) -> Labels:
    field, *names = table(line)
    return Labels(field, tuple(names))


_SETS = """
Review|praise|criticism|neutral
Ticket|urgent|routine
Sentence|statement|question|command
Email|spam|genuine
Headline|sport|politics|science|culture
Animal|mammal|bird|reptile
Comment|polite|rude
Claim|true|false
Number|prime|composite
Poem|cheerful|mournful|angry
Trail|easy|moderate|hard
Transaction|ordinary|suspicious
Message|formal|informal
Word|noun|verb|adjective
Statement|fact|opinion
Dish|vegan|vegetarian|neither
Question|yes|no
Era|ancient|medieval|modern
Invoice|paid|overdue
Story|comedy|tragedy|thriller
Applicant|hire|reject|interview
Excuse|plausible|far-fetched
Metal|precious|base
Song|ballad|march|waltz
Symptom|mild|serious|critical
Argument|sound|circular
Joke|harmless|offensive
Postcode|valid|invalid
Accent|northern|southern
Forecast|green|amber|red
"""
LABELS = tuple(map(_labels, _SETS.split()))

# Each phrase explicitly asks for a label, and no open instruction contains one of them.
ASKS = table(
    """Decide whether {material} is {labels} | Classify {material} as {labels} | Label {material} {labels} |
    Tell whether {material} counts as {labels} | Sort {material} into the categories {labels} |
    Assign {material} one label out of {labels} | Say whether {material} is best called {labels} |
    Judge whether {material} deserves the mark {labels} | Categorise {material} as {labels} |
    Predict whether experts would find {material} {labels} | Choose the right label ({labels}) for {material} |
    Looking at {material}, determine whether it is {labels} | Give {material} a single label: {labels}"""
)
QUESTIONS = table(
    """Is {material} {labels} | Which of these labels suits {material} best: {labels} |
    Which label fits {material}, {labels} | Would you label {material} {labels}"""
)
MATERIALS = table(
    """the {field} from {person} | a {field} about {topic} | {name}'s {field} on {thing} |
    this {field}, found {place} | each {field} that {person} collected {moment} | the {field} dated {year} |
    every {field} in a {doc} on {topic} | the {field} {name} recited {place} | the {field} number {n} |
    a {field} (translated by {person}) | the last {field} of the {doc} | {person}'s favourite {field} of {year} |
    the {field} involving {thing} | a {field} that mentions {topic} or {topic} |
    the {field} which made {person} laugh | the anonymous {field} left {place}"""
)
MANNERS = table(
    """and give no reason | with {topic} as the context | by the standards of {year} | as {person} would |
    with one word | without a second thought | assuming it was written {place} | and be strict about {topic} |
    for the archive of {person} | before it goes into the {doc} | the way {name} taught it {moment} |
    on behalf of {person} | from its wording alone"""
)
LABEL_WORDS = (
    r"\bwhether\b",
    r"\bclassif(?:y|ies)\b",
    r"\blabel(?:s|led)?\b",
    r"\bcategor(?:y|ies|ise|ize)\b",
    r"\b(?:yes|true|valid|pass|right) or (?:no|false|invalid|fail|wrong)\b",
    r"^(?:is|are|does|do) .+ or .+\?$",
)
