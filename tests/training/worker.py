"""One process of a run over several; arguments: PORT PROCESSES PROCESS DEVICES DATA_DIR WORKDIR METHOD [STEPS].

Without STEPS it trains. With them it only takes so many steps, and writes the losses, a checksum of the state on each
of its devices, and numbers that all processes told each other to WORKDIR/PROCESS.json.
"""

import hashlib
import json
import sys
from pathlib import Path

import jax
import numpy as np

from tests.training.small import RECIPES
from tsc_jax import methods, processes
from tsc_jax.data.batches import batch_maker, training_batches
from tsc_jax.data.dataset import open_dataset
from tsc_jax.inference import Look
from tsc_jax.method import AXIS, first_state
from tsc_jax.training.loop import local_devices, train
from tsc_jax.training.parallel import make_train_step, on_devices
from tsc_jax.training.runs import sizes_of


def take_steps(config, workdir: Path) -> None:
    dataset = open_dataset(config.data.data_dir, config.data.name)
    method = methods.make(config, sizes_of(config, dataset, dataset.train), axis=AXIS)
    state = first_state(method, 0)
    look = Look(dataset.train, 0, config.eval.batch_snippets)
    params, carried, _ = method.refresh(state.params, state.carried, look, 0)
    state = on_devices([state.replace(params=params, carried=carried)])
    train_step, devices = make_train_step(method), jax.device_count()
    maker = batch_maker(dataset.train, config.train, 0, devices, local_devices(devices))
    losses = []
    for batch in training_batches([maker], 0, config.train.steps):
        state, values = train_step(state, batch)
        losses.append(float(values["total"]))
    digests = {}
    for device in jax.local_devices():
        sums = hashlib.sha256()
        for leaf in jax.tree.leaves(state):
            (shard,) = (shard.data for shard in leaf.addressable_shards if shard.device == device)
            sums.update(np.asarray(shard).tobytes())
        digests[str(device.id)] = sums.hexdigest()
    workdir.mkdir(parents=True, exist_ok=True)
    told = processes.of_each(np.array([jax.process_index() + 1 / 3])).ravel().tolist()
    shared = processes.gather({jax.process_index(): {"x": np.arange(jax.process_index())}})
    told_lengths = [len(shared[process]["x"]) for process in range(jax.process_count())]
    report = {"losses": losses, "digests": digests, "told": told, "told_lengths": told_lengths}
    (workdir / f"{jax.process_index()}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    port, number, process, devices = map(int, sys.argv[1:5])
    jax.config.update("jax_num_cpu_devices", devices)
    if number > 1:
        processes.join(f"localhost:{port}", process, number)
    data_dir, workdir, name, *steps = sys.argv[5:]
    if steps:
        rule = {"bank.update_rule": "ema", "optimizer.learning_rate": 5e-5} if name == "tscnet" else {}
        changes = rule | {"train.pairs": 8, "train.steps": int(steps[0])}
        take_steps(RECIPES[name](data_dir, **changes), Path(workdir))
    else:
        with processes.ends_with_its_peers():
            changes = {"toy.refresh_at": (0, 3)} if name == "toy" else {}
            train(RECIPES[name](data_dir, **changes, **{"train.pairs": 4}), Path(workdir))
