"""Sentence templates of the simulator; the most frequent comes first in each list.

`{slot}` names a table of `word_tables`. `{tail}` is empty or one more short sentence.
"""

TAILS = """
Keep it short.
Mention {noun}.
Use simple words.
Give an example with {noun}.
Explain your answer.
Set it in {place}.
Answer in {number} sentences.
Write it for {trait} {person}.
Give {number} reasons.
Use a friendly tone.
Do not mention {noun} or {noun}.
Think of {quality}.
Mention one disadvantage of {activity}.
Avoid jargon.
Limit the answer to {number} lines.
Finish with a question about {noun}.
Assume that {name} will read it {moment}.
Put the result in a list.
Begin with {adjective} {noun}.
Write in the first person.
Take the point of view of {trait} {person}.
Compare it with {activity}.
Start with a surprising fact about {quality}.
Include {form} as well.
Name {number} sources.
Say what {name} from {place} would object.
Add a title with the word {noun}.
Use the past tense.
Do not forget {quality} and {quality}.
Make it rhyme.
Imagine that it is read aloud in {place}.
Rank them by {quality}.
Leave room for {adjective} ideas.
Show the calculation.
Describe the smell of {adjective} {noun}.
Warn about {activity} {moment}.
Use formal language.
End on a hopeful note about {noun}.
Say what could go wrong {moment}.
Address {name} directly.
"""

GENERATION = """
{write} {form} about {adjective} {noun} for {trait} {person}.{tail}
{explain} how {noun} and {adjective} {noun} {affect} {quality} in {place}.{tail}
{give} {number} reasons why {trait} {person} should care about {noun}.{tail}
What distinguishes {adjective} {noun} from {adjective} {noun} in {place}?{tail}
{give} {number} ways of {activity} {moment} without losing {quality}.{tail}
How can {trait} {person} {affect} {quality} while {activity}?{tail}
{explain} {trait} {person} who is {activity} {moment}.{tail}
Summarise the following {source} about {noun} in {number} sentences.{tail}
Rewrite the given {source} so that {trait} {person} understands why {noun} matter for {quality}.{tail}
{give} {number} {adjective} {noun} that can be found in {place} {moment}.{tail}
{write} {form} in which {name}, {trait} {person}, talks about {noun}.{tail}
{write} {form} that teaches {quality} by means of {adjective} {noun}.{tail}
Why do {noun} in {place} depend on {adjective} {noun}?{tail}
Compare {activity} with {activity} in terms of {quality} and cost.{tail}
Imagine {trait} {person} in {place} who knows nothing about {noun} or {activity}.{tail}
{give} {number} questions that {trait} {person} could ask about {adjective} {noun}.{tail}
Tell me what happens when {noun} meet {adjective} {noun} {moment}.{tail}
Correct the mistakes in {trait} {person}'s {source} on {adjective} {noun}.{tail}
{give} advice to {trait} {person} who is tired of {activity}.{tail}
Plan a day in {place} for somebody who loves {noun} and {activity}.{tail}
{explain} {quality} to {trait} {person} with the help of {noun}.{tail}
Which {adjective} {noun} are best suited to {activity} in {place}?{tail}
Turn the {source} below into {form} about {noun}.{tail}
Predict how {adjective} {noun} will {affect} {quality} within {number} years.{tail}
{give} {number} {noun} whose history is connected with {quality} or {place}.{tail}
Argue that {adjective} {noun} {affect} {quality} in {place} less than {activity}.{tail}
{write} {form} from {name} to {trait} {person} concerning {noun}.{tail}
Invent a slogan for {adjective} {noun} sold in {place} to {trait} {person}.{tail}
{explain} the steps of {activity} for {trait} {person} with little {quality}.{tail}
If {noun} disappeared from {place}, would {trait} {person} still enjoy {activity}?{tail}
Use a metaphor involving {noun} to describe {quality} {moment}.{tail}
Pick the odd one out among {noun}, {noun}, {adjective} {noun} and {noun}.{tail}
Answer the question that {name} asks in this {source} about {activity}.{tail}
Convert the {source} on {noun} into {number} bullet points for {trait} {person}.{tail}
Share a memory of {activity} {moment} from the view of {trait} {person}.{tail}
{explain} whether {quality} matters more than {quality} when {activity}.{tail}
Estimate how many {adjective} {noun} {trait} {person} sees in {place} {moment}.{tail}
Define {quality} in words that {trait} {person} from {place} would know.{tail}
Recommend {adjective} {noun} to {name}, who enjoys {activity} {moment}.{tail}
Continue the {source} in which {trait} {person} loses {number} {noun}.{tail}
What would a world without {adjective} {noun} look like to {trait} {person}?{tail}
Make a timetable for {activity} and {activity} over {number} weeks.{tail}
Extract every mention of {noun} and {quality} from the {source} by {name}.{tail}
{write} {number} sentences, each of which mentions {noun} and {quality}.{tail}
{give} an experiment with {noun} that {trait} {person} can do in {place}.{tail}
Translate the {source} about {activity} into plain language for {trait} {person}.{tail}
Settle the argument between {name} and {name} over {adjective} {noun}.{tail}
Retell the history of {noun} as {form} set in {place}.{tail}
Complete the sentence "{name} did not expect {noun} in {place} {moment} because".{tail}
Identify the cause of the trouble with {noun} that {name} describes in the {source}.{tail}
{write} a conversation between {trait} {person} and {trait} {person} {moment}.{tail}
How much {quality} does {trait} {person} need for {activity} in {place}?{tail}
Arrange {noun}, {noun}, {adjective} {noun} and {noun} by {quality} or by age.{tail}
{write} a rule for {place} that protects {noun} and encourages {quality}.{tail}
Choose between {adjective} {noun} and {activity} for {trait} {person} and defend the choice.{tail}
Interpret a dream in which {name} sees {adjective} {noun} {moment}.{tail}
Warn {trait} {person} about three dangers of {activity} near {noun}.{tail}
{give} an analogy between {activity} and {quality} that {name} would like.{tail}
How are {adjective} {noun} in {place} similar to {noun} in {place}?{tail}
Shorten this {source} by {name} without dropping its remarks on {quality}.{tail}
"""

CLASSIFICATION = """
Classify the {source} about {adjective} {noun} as {labels}.{tail}
Decide whether the {source} by {trait} {person} on {noun} is {labels}.{tail}
Is the following {source} about {noun} in {place} {labels}?{tail}
Label each {source} on {activity} as {labels} for {trait} {person}.{tail}
Read the {source} from {name} about {adjective} {noun} and choose one category: {labels}.{tail}
Determine if the attitude towards {noun} in the {source} is {labels}.{tail}
Which category fits a {source} on {quality} in {place} best: {labels}?{tail}
Given a {source} by {name} on {noun}, classify its stance on {quality} as {labels}.{tail}
Identify whether what {trait} {person} says about {activity} is {labels}.{tail}
Select the label that suits the {source} on {noun} and {quality}: {labels}.{tail}
Tell whether the mention of {adjective} {noun} {moment} sounds {labels}.{tail}
Assign one of the labels {labels} to the remark about {noun} made in {place}.{tail}
"""

BLOCKED = """
Draw a map of {place} that shows where {adjective} {noun} are.
Describe the image of {adjective} {noun} that hangs in {place}.
Plot a graph of {quality} against {noun} for {trait} {person}.
Look at the picture of {trait} {person} and say what is odd.
Open the file named after {name} and count its {noun}.
Go to {place} and take pictures of {adjective} {noun}.
Find {number} images in which {noun} appear {moment}.
"""

SHORT = """
Explain {noun}.
Define {quality}.
Describe {adjective} {noun}.
Why {noun}?
"""

SENTENCES = """
The {adjective} {noun} are often found in {place}.
{name} has spent {number} years {activity}, mostly {moment}.
In {place}, {noun} matter more than {quality}.
A {person} can improve {quality} by {activity}.
Most people think of {noun} first, yet {adjective} {noun} count for more.
It helps to begin with {noun} and leave {activity} for later.
{name} and {name} disagree about {quality}, but both like {noun}.
There are {number} kinds of {noun}, and the {adjective} ones last longest.
Without {quality}, {activity} becomes harder {moment}.
Nobody in {place} had seen so many {noun} before.
The answer depends on {quality} and on the {noun} at hand.
{noun}, {noun} and {adjective} {noun}
Above all, {quality} needs {quality}, and {noun} need care.
{number} {adjective} {noun} and a little {quality} are enough.
Try {activity} {moment}; the {noun} will follow.
"""
