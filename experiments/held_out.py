"""Problems of the tasks that a model was taught with, none of which it was taught:

python -m experiments.held_out models/stepwise --count 400 > held-out.jsonl
python run.py evaluate --model models/stepwise --problems.source file --problems.path held-out.jsonl --num-problems 400
"""

import argparse
import sys
from pathlib import Path

from experiments.problem_sets import row_of, taught_with, unseen
from journeys.row_files import line
from settings import UserError


def main() -> int:
    parser = argparse.ArgumentParser(prog="experiments.held_out", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", help="a folder with a recipe.yaml that has `worked`")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=777)
    args = parser.parse_args()
    try:
        tasks, taught = taught_with(args.model)
        if not tasks:
            raise UserError(f"{Path(args.model) / 'recipe.yaml'}: has no `worked`: this model was taught by other rows")
        problems = unseen(tasks, "held out", args.count, args.seed, set(taught))
        sys.stdout.writelines(line(row_of(problem)) for problem in problems)
    except UserError as error:
        sys.stderr.write(f"held_out: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
