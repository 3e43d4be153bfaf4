"""What an experiment asks, in words: written before there were figures."""

from experiments.settings import ExperimentSettings

_ASKED = """\
Does a model learn more from whole journeys, wrong turns and repairs included, than from their shortcuts, the path that
stood in the end? O1 Journey reports 8.4 and 8.0 points on MATH for it (one base model, one seed, no control for
length). Here the same question is put to a very small model, with that control, several seeds and paired intervals.

## What could make it real, and what could fake it
"""

_SLIPS = """\
**Real.** The policy's own lines are sometimes wrong. A shortcut shows only lines that stood, so a model that learnt
from shortcuts has no way back from a false line: whatever follows rests on it. A journey shows the false line, the
doubt and the line that took its place. A model that has learnt to doubt *the right* lines can gain at every false one.
Whether it can tell is the crux: it wrote the line because it thought it likely. When lines are sampled, many false ones
are accidents against the model's own better knowledge and can be noticed. When they are its first choice (greedy),
noticing takes a second way of knowing, which a model of this size hardly has. So a gain should show up sampled before
it shows up greedy; and the table of calculations below has to show mended lines, or the gain is something else.

**Harm.** The loss falls on the whole thought, wrong lines included, as O1 Journey has it: the model is also taught to
write them, and may learn that a thought begins with a mistake. The share of calculations that are false when first
stated shows it; an arm "from the last doubt on", where there is one, has the same rows without that loss. And a doubt
behind a true line can talk the model out of it.
"""

_DEAD_ENDS = """\
**Real.** Whoever puts numbers together to make a target mostly misses, and a miss can be seen: the last result stands
there, the target stands in the question, and they differ. A shortcut shows the try that hit and nothing else; a model
that learnt from shortcuts has one guess and keeps it. A journey shows tries that missed, each with the doubt that says
so and another try. A model that has learnt *when* to doubt has several guesses, and seeing costs it one look. So the
gain should be there greedy and sampled; and the table of dead ends has to show misses that were left and hits that were
kept, or the gain is something else.

**Harm.** The loss falls on the whole thought, misses included, as O1 Journey has it: the model is also taught to write
tries that miss. The share of first tries that hit shows it; an arm "without its wrong steps", where there is one, has
the same rows without that loss. And a doubt behind a hit throws it away.

**Cost.** Several tries are more tokens when the model is asked. That is what search is, so it is told beside each
accuracy and not taken out. Whoever has a program that checks such answers may draw several shortcuts instead; the
question is what the model sees by itself.
"""

_FAKES = """\
**Fakes**, and what stands against each:

| what could look like a gain | what stands against it |
|---|---|
| other problems, easier ones | both arms learn from the same journeys, row for row |
| more optimiser steps | the same number of steps and of rows in a step |
| more tokens to learn from: journeys are longer | a second shortcut arm learns from as many tokens |
| the answer's format | all start from one base that knows it; no-answer rate beside every accuracy |
| a lucky seed | {seeds} |
| lucky problems | paired intervals over problems, Holm's adjustment for the comparisons of a setting |
| questions seen before | none is in the data{dpo} or in the base's own lessons (asserted) |
| choosing what looks best | arms and rules were fixed beforehand; only the plugged-in model is chosen, by validation |
"""


def question(settings: ExperimentSettings) -> str:
    """The page's section on what is asked, and on what stands against false answers."""
    why = _SLIPS if settings.errors == "slips" else _DEAD_ENDS
    seeds = f'{len(settings.seeds)} seeds an arm; a difference is "shown" only where all of them agree on its sign'
    if len(settings.seeds) == 1:
        seeds = "nothing: there is one seed an arm"
    dpo = ", in DPO's questions" if settings.dpo_arms else ""
    return "\n".join((_ASKED, why, _FAKES.replace("{seeds}", seeds).replace("{dpo}", dpo)))
