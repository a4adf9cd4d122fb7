"""Measures what each part of a recipe contributes: trains its variants with several seeds, writes tables and a chart.

  python -m launch.ablate --config=configs/demo.py --study=modules --workdir=runs/studies
  python -m launch.ablate --config=configs/demo.py --study=localization --config.eval.holdout=0.25 --workdir=runs/chosen

The same command resumes an interrupted study. Studies of one recipe may share a workdir; then they share runs. With
config.eval.holdout, that share of the training videos is held out and scored too: select by it, report the test score.
"""

import shlex
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from tsc_jax import cli
from tsc_jax.commands import called_here
from tsc_jax.configs import studies

_CONFIG = config_flags.DEFINE_config_file("config", None, "The recipe to vary, one of configs/.", lock_config=True)
_STUDY = flags.DEFINE_string("study", None, "What to vary; configs/studies/METHOD.py lists studies and variants.")
_SEEDS = flags.DEFINE_integer(
    "seeds",
    8,
    "Number of runs per variant; the first has seed config.train.seed, the next ones count up.",
    lower_bound=1,
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for runs, metrics and tables.")
flags.mark_flags_as_required(["config", "study", "workdir"])


def main(argv: list[str]) -> None:
    """Runs the command."""
    from tsc_jax.ablation import summary
    from tsc_jax.ablation.grid import Variant, run_study
    from tsc_jax.data.dataset import open_dataset

    config, workdir, study = _CONFIG.value, Path(_WORKDIR.value), _STUDY.value
    evaluation_only = studies.evaluation_only_of(config.method)
    dataset = open_dataset(config.data.data_dir, config.data.name)
    grid = studies.variants_of(study, config, len(dataset.classes))
    variants = [Variant(name, changes) for name, changes in grid.items()]
    outcomes = []
    for outcome in run_study(config, workdir, study, variants, _SEEDS.value, evaluation_only):
        outcomes.append(outcome)
        print(summary.line(outcome, outcomes[0]), flush=True)
    command = called_here(shlex.join(["python", "-m", "launch.ablate", *sys.argv[1:]]))
    summary.write(workdir, study, outcomes, config, command)
    print(f"{workdir}: {study}.md, {study}.csv, {study}.png")


if __name__ == "__main__":
    cli.run(main)
