"""Measures what each part of a recipe is worth: variants of it, many seeds each, as a table and a picture.

  python -m launch.ablate --config=configs/demo.py --study=modules --workdir=runs/studies
  python -m launch.ablate --config=configs/demo.py --study=localization --config.eval.holdout=0.25 --workdir=runs/chosen

The same command again goes on where it stopped; studies of one recipe may share a workdir, and then their runs.
With config.eval.holdout the share of training videos held out is scored too: choose by that, report the test.
"""

import shlex
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from configs import studies
from tsc_jax import cli
from tsc_jax.errors import InputError

_CONFIG = config_flags.DEFINE_config_file("config", None, "The recipe to vary, one of configs/.", lock_config=True)
_STUDY = flags.DEFINE_enum("study", None, studies.STUDIES, "What is varied; configs/studies.py lists the variants.")
_SEEDS = flags.DEFINE_integer(
    "seeds", 8, "Runs of each variant: of config.train.seed and the seeds that follow it.", lower_bound=1
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for runs, metrics and tables.")
flags.mark_flags_as_required(["config", "study", "workdir"])


def main(argv: list[str]) -> None:
    """The command."""
    from tsc_jax.ablation import summary
    from tsc_jax.ablation.grid import Variant, run_study
    from tsc_jax.data.dataset import open_dataset

    config, workdir, study = _CONFIG.value, Path(_WORKDIR.value), _STUDY.value
    dataset = open_dataset(config.data.data_dir, config.data.name)
    if config.method != "tscnet":
        raise InputError(f"config.method is {config.method!r}, but the studies are of tscnet")
    grid = studies.variants_of(study, config, len(dataset.classes))
    variants = [Variant(name, changes) for name, changes in grid.items()]
    outcomes = []
    for outcome in run_study(config, workdir, study, variants, _SEEDS.value, studies.evaluation_only):
        outcomes.append(outcome)
        print(summary.line(outcome, outcomes[0]), flush=True)
    command = shlex.join(["python", "-m", "launch.ablate", *sys.argv[1:]])
    summary.write(workdir, study, outcomes, config, command)
    print(f"{workdir}: {study}.md, {study}.csv, {study}.png")


if __name__ == "__main__":
    cli.run(main)
