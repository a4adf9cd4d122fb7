"""A method in thirty lines: attention-weighted logistic regression, and a mean feature that a refresh measures."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tsc_jax.localization.runs import runs_above
from tsc_jax.localization.segments import concatenate, make_segments
from tsc_jax.method import Method, Outputs, Sizes, Term


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds the method.

    `config.toy.refresh_at` holds the steps of its refreshes. The loss of the step after `nan_at` is NaN where the
    learning rate is above `nan_above`.
    """

    def init(key):
        params = {
            "kernel": 0.1 * jax.random.normal(key, (sizes.width, sizes.classes + 1)),
            "gate": jnp.zeros(sizes.width),
        }
        return params, {
            "mean": jnp.zeros(sizes.width),
            "seen": jnp.zeros(sizes.classes),
            "labels": jnp.zeros(sizes.snippets),
        }

    def curves(variables, features, mask):
        features = jnp.where(mask[..., None], features, 0) - variables["mean"][None, None]
        cas = jnp.einsum("btd,dc->btc", features, variables["kernel"], precision="highest")
        return cas, jax.nn.sigmoid(jnp.einsum("btd,d->bt", features, variables["gate"], precision="highest"))

    def loss(params, carried, batch, key, step):
        cas, attention = curves(params | {"mean": carried["mean"]}, batch["features"], batch["mask"])
        weights = jnp.where(batch["mask"], attention * jax.random.uniform(key, (), minval=0.9), 0)
        pooled = jnp.einsum("bt,btc->bc", weights, cas[..., :-1]) / jnp.maximum(weights.sum(1), 1e-6)[:, None]
        exists = batch["video"] >= 0
        entropy = optax.sigmoid_binary_cross_entropy(pooled, batch["labels"].astype(jnp.float32)).sum(axis=1)
        pull = jnp.sum(jnp.square(attention - carried["labels"][batch["snippets"]]), where=batch["mask"])
        bad = (step == config.toy.nan_at) & (config.optimizer.learning_rate > config.toy.nan_above)
        entropy = entropy * jnp.where(bad, jnp.nan, 1)
        seen = jnp.sum(batch["labels"], axis=0, dtype=jnp.float32)
        seen = carried["seen"] + (seen if axis is None else jax.lax.psum(seen, axis))
        terms = {
            "class": Term(jnp.sum(entropy, where=exists), jnp.sum(exists, dtype=jnp.float32)),
            "pull": Term(pull, None, 1e-3),
        }
        return terms, carried | {"seen": seen}

    def forward(variables, features, mask):
        cas, attention = curves(variables, features, mask)
        return Outputs(
            {"cas": cas, "attention": attention}, {"top": jnp.max(jnp.where(mask[..., None], cas, -jnp.inf), axis=1)}
        )

    def localize(outputs):
        parts = []
        for video, each in enumerate(outputs):
            start, end = runs_above(each["attention"], np.array([each["attention"].mean()]))
            parts.append(make_segments(video, int(each["top"][:-1].argmax()), start, end, end - start))
        return concatenate(parts)

    def class_scores(outputs):
        return np.array([each["top"][:-1] for each in outputs], np.float32)

    def refresh(params, carried, look, step):
        outputs = look.run(lambda variables, features, mask: Outputs({"x": features}), {})
        mean = (
            np.concatenate([each["x"] for each in outputs]).mean(axis=0) if step == 0 else np.asarray(carried["mean"])
        )
        labels = np.zeros(sizes.snippets, np.float32)
        labels[: sum(len(each["x"]) for each in outputs)] = np.concatenate([each["x"][:, 0] > 1 for each in outputs])
        return (
            params,
            carried | {"mean": jnp.asarray(mean), "labels": jnp.asarray(labels)},
            {f"refreshed_{step}": look.seed},
        )

    return Method(
        init=init,
        loss=loss,
        optimizer=optax.adam(config.optimizer.learning_rate),
        variables=lambda params, carried: params | {"mean": carried["mean"]},
        forward=forward,
        localize=localize,
        class_scores=class_scores,
        refresh_at=tuple(config.toy.refresh_at),
        refresh=refresh,
    )
