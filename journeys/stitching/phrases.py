"""The words the template narrator has: tables of openers, doubts and bridges, one person thinking aloud."""

from collections.abc import Callable

Pick = Callable[[tuple[str, ...]], str]
"""Chooses a phrase from a table."""

FIRST = ("First, ", "To start, ", "Start simple: ", "Okay, ", "")
"""Before the first step."""

ONWARD = ("Then ", "Next, ", "Now ", "After that, ", "And then ")
"""Before a later step; used for fewer than half of them."""

ONWARD_FROM = ("So ", "From there, ", "Then ", "Now ", "Next, ", "And ")
"""The same where the step calculates on with the last result."""
ONWARD_PROSE = ("Then ", "Now ", "Next, ")

LAST = ("Finally, ", "Last of all, ", "That leaves one thing: ")
"""Before the last step, where the thought is long enough for that to be worth saying."""

BY_OPERATOR: dict[str, tuple[str, ...]] = {
    "+": ("Adding: ", "Adding the next: ", "Adding on: "),
    "-": ("Subtracting: ", "Taking away: "),
    "*": ("Multiplying: ", "Multiplying out: "),
    "/": ("Dividing: ", "Splitting that up: "),
}
"""Before a step that is nothing but one operation."""

DOUBT = ("Wait, ", "Hmm, ", "Hold on, ", "No, ", "Hang on, ", "Wait, no, ", "Hmm, wait, ", "Oh, ")
"""Opens a doubt that is stated."""

ASK = ("Wait, ", "Hmm, ", "Hold on. ", "Hang on. ", "Let me ask myself: ")
"""Opens a doubt that is asked."""

PAUSE = (
    "Let me stop for a moment. ",
    "Before I go on: ",
    "Let me pause here. ",
    "Hmm, ",
    "One moment. ",
    "Let me think about that. ",
)
"""Opens a reflection."""

FALSE_EQUATION = ("{left} isn't {right}", "{left} doesn't make {right}", "{left} can't be {right}")
FALSE_CHAIN = ("{quote} doesn't hold", "{quote} can't be right", "{quote} isn't true")
DOUBTFUL_QUOTE = ('"{quote}" doesn\'t hold up', 'I don\'t trust "{quote}"', 'the part where I said "{quote}" is off')
CHAIN = (
    "that chain doesn't hold",
    "not every equals sign in that line is true",
    "that line doesn't hold together",
    "those can't all be equal",
)
"""A row of equations of which one in the middle is false."""
AGAIN = (
    "that's the same thing I had before, and it didn't work then",
    "I've just written what I already threw out",
    "I'm going round in a circle, that's the very step I gave up on before",
)
STANDS = ("I already have that", "that's just what I had, it gets me nowhere", "I've said that already")
"""A step that says what is said already."""
FAILED = "that code doesn't run"
"""Where what the interpreter said cannot be told as a thought."""
CONTRADICTION = (
    "that doesn't fit with what I already have",
    "that contradicts something I found earlier",
    "that can't be, it clashes with what I had before",
)
EMPTY = ("I'm stuck here", "this isn't going anywhere")
REFUSED = (
    "that answer doesn't hold up",
    "I don't believe that answer",
    "that can't be the answer",
)
VAGUE = (
    "something is off there",
    "that doesn't look right",
    "I don't think that's right",
    "that can't be right",
    "that went wrong somewhere",
)
"""Reasons where nothing better is known."""

NO_BETTER = (
    "Not {value} either.",
    "{value} is no better.",
    "Then {value}? No.",
    "It isn't {value} either.",
    "{value} doesn't work either.",
    "{value} is wrong too.",
)
"""A further failed try, by its result alone; each says that it failed."""

GOT_AGAIN = (
    "I get {value} again.",
    "Once more, and it comes out as {value} again.",
    "{value} again, so that's no help.",
    "Back at {value} again.",
    "I try again and it's the same {value}.",
)
KEPT_GETTING = (
    "I get {value} again, and then again.",
    "However I try, I keep getting {value}, which I know is wrong.",
    "I go round in a circle and keep getting {value}.",
)
"""The same where more than one try gave it in a row."""

KNOWN = (
    "Then {value} again, but I already have that.",
    "I've just written {value} again, which I already have.",
)
"""A step given up because it says what stands already."""

ONCE_MORE = ("Once more: ", "Another try: ", "Trying again: ", "Let me take it slowly: ", "All right, carefully now: ")
"""Before a step that is told at length after failed tries that were not."""

REDO = ("Let me redo that.", "I'll do that part again.", "Once more, carefully.", "Let me try that step again.")
"""Goes on after one step was dropped."""

OTHERWISE = ("Let me try something else.", "Another way, then.", "There must be another way.", "Let me try again.")
"""Goes on after a try that came to nothing, though its every line is true."""

OVER = (
    "Let me start over.",
    "I'll begin again from the problem itself.",
    "Back to the beginning, then.",
    "Let me set all of that aside and start fresh.",
)
"""Goes on where nothing was kept."""

BACK_TO = (
    "I'll go back to {kept} and continue from there.",
    "So back to {kept}.",
    "What still stands is {kept}, so I'll pick it up from there.",
    "That undoes everything after {kept}, so that's where I'll start again.",
)
"""Goes on from a named step where several were dropped."""

BACK = (
    "I'll drop the last {count} steps and go back to what I trust.",
    "The last {count} steps rest on that, so they go too.",
)
"""The same where the kept step cannot be named in a few words."""

CHECK = (
    "Is that really right? Let me check it.",
    "Am I sure about that? Let me look at it again.",
    "Let me double-check that before building on it.",
    "I want to be sure of that before I go on.",
)
"""A reflection without a reason of its own."""

CHECK_EQUATION = (
    "Is {quote} really right?",
    "Am I sure that {quote}?",
    "Let me double-check {quote} before building on it.",
)

RECAP = (
    "Going over it once more: {chain}.",
    "Putting it together: {chain}.",
    "So, from the top: {chain}.",
)
"""Closes a repaired path by saying what now stands."""

ANSWER = (
    "So the answer is {answer}.",
    "The answer is {answer}.",
    "So my answer is {answer}.",
    "That makes the answer {answer}.",
)
ANSWER_ALONE = ("The answer is {answer}.", "My answer is {answer}.")
"""The same where the last calculation came to something else."""
TENTATIVE = "That would make the answer {answer}."
"""An answer that the journey did not end with."""

OPENING_EXPRESSION = ("I need to work out {what}.", "So I have {what} to work out.", "Let me work out {what}.")
OPENING_QUESTION = ("So, {what}", "Okay, {what}", "The question: {what}")
OPENING_TASK = ("I need to {what}.", "Okay, I have to {what}.", "So I'm asked to {what}.")
OPENING_PLAIN = (
    "Let me go through this one piece at a time.",
    "Okay, let me think this through.",
    "Let me see what I have here.",
)
