"""One process of a run over several; arguments: PORT PROCESSES PROCESS DEVICES DATA_DIR WORKDIR [STEPS].

Without STEPS it trains. With them it only takes so many steps, under the rule "ema", and writes the losses, a checksum
of the state on each of its devices, and numbers that all processes told each other to WORKDIR/PROCESS.json.
"""

import hashlib
import json
import sys
from pathlib import Path

import jax
import numpy as np

from tests.training.test_run import small_run
from tsc_jax import processes
from tsc_jax.data.batches import batch_maker, training_batches
from tsc_jax.data.dataset import open_dataset
from tsc_jax.methods.tscnet.train_step import make_train_step, on_devices
from tsc_jax.training.initial import first_state
from tsc_jax.training.loop import local_devices, train


def take_steps(config, workdir: Path) -> None:
    dataset = open_dataset(config.data.data_dir, config.data.name)
    sizes = (len(dataset.classes), dataset.width)
    state = on_devices([first_state(config, dataset, dataset.train)])
    train_step, devices = make_train_step(config, *sizes), jax.device_count()
    maker = batch_maker(dataset.train, config.train, 0, devices, local_devices(devices))
    losses = []
    for batch in training_batches([maker], 0, config.train.steps):
        state, means = train_step(state, batch)
        losses.append(float(means["total"]))
    digests = {}
    for device in jax.local_devices():
        sums = hashlib.sha256()
        for leaf in jax.tree.leaves(state):
            (shard,) = (shard.data for shard in leaf.addressable_shards if shard.device == device)
            sums.update(np.asarray(shard).tobytes())
        digests[str(device.id)] = sums.hexdigest()
    workdir.mkdir(parents=True, exist_ok=True)
    told = processes.of_each(np.array([jax.process_index() + 1 / 3])).ravel().tolist()
    report = {"losses": losses, "digests": digests, "told": told}
    (workdir / f"{jax.process_index()}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    port, number, process, devices = map(int, sys.argv[1:5])
    jax.config.update("jax_num_cpu_devices", devices)
    if number > 1:
        processes.join(f"localhost:{port}", process, number)
    if len(sys.argv) > 7:
        config = small_run(sys.argv[5], **{"train.pairs": 8, "train.steps": int(sys.argv[7])})
        config.optimizer.learning_rate, config.bank.update_rule = 5e-5, "ema"
        take_steps(config, Path(sys.argv[6]))
    else:
        with processes.ends_with_its_peers():
            train(small_run(sys.argv[5], **{"train.pairs": 4}), Path(sys.argv[6]))
