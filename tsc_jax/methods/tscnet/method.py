"""TSC-Net as a `Method`: how its network, its losses and its bank work together."""

import jax
import jax.numpy as jnp

from tsc_jax import settings as rules
from tsc_jax.method import Method, Sizes
from tsc_jax.method import Outputs as MethodOutputs
from tsc_jax.methods.tscnet.bank.fit import check_bank, fit_bank, number_of_rows
from tsc_jax.methods.tscnet.bank.state import new_bank
from tsc_jax.methods.tscnet.bank.update import by_mean, evidence
from tsc_jax.methods.tscnet.localize import check_proposals, class_scores, localize
from tsc_jax.methods.tscnet.losses import check_loss, loss_terms
from tsc_jax.methods.tscnet.network import Outputs, apply, fuse, fuse_features, make_network
from tsc_jax.optimizer import check_optimizer, make_optimizer


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds TSC-Net; see `methods.make`.

    params holds "network", and under the rule "gradient" the bank's rows as "bank". carried holds "batch_stats" and
    the `Bank`. The bank is fitted by the refresh at step 0; until then its rows are 0.
    """
    check(config, sizes)
    network = make_network(config.model, sizes.classes, sizes.width, axis, mapped)
    rule, weight = config.bank.update_rule, config.model.fusion_weight

    def init(key):
        blank = jnp.zeros((number_of_rows(config.bank, sizes.classes), sizes.width))
        features, mask = jnp.zeros((1, 1, sizes.width)), jnp.ones((1, 1), bool)
        new = jax.jit(network.init)(key, features, blank, mask)
        return with_bank(new["params"], new.get("batch_stats", {}), blank)

    def with_bank(network_params, batch_stats, rows):
        params = {"network": network_params} | ({"bank": jnp.asarray(rows)} if rule == "gradient" else {})
        return params, {"batch_stats": batch_stats, "bank": new_bank(rows, rule)}

    def loss(params, carried, batch, key, step):
        del step
        outputs, new = network.apply(
            {"params": params["network"], "batch_stats": carried["batch_stats"]},
            batch["features"],
            rows_of(params, carried),
            batch["mask"],
            train=True,
            order=batch["order"],
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        terms = loss_terms(outputs, batch["labels"], batch["mask"], batch["paired"], config.loss)
        return terms, {"batch_stats": new.get("batch_stats", {}), "bank": moved(carried["bank"], outputs, batch)}

    def moved(bank, outputs: Outputs, batch):
        if rule != "ema":
            return bank
        shown = evidence(fuse_features(outputs, weight), fuse(outputs, weight)[1], batch["labels"], batch["mask"])
        return by_mean(bank, *(shown if axis is None else jax.lax.psum(shown, axis)), config.bank.momentum)

    def variables(params, carried):
        return {
            "params": params["network"],
            "batch_stats": carried["batch_stats"],
            "bank": carried["bank"].replace(rows=rows_of(params, carried)),
        }

    def forward(variables, features, mask):
        cas, attention = fuse(apply(network, variables, features, variables["bank"].rows, mask), weight)
        return MethodOutputs({"cas": cas, "attention": attention})

    def refresh(params, carried, look, step):
        del step
        rows, facts = fit_bank(config.bank, look.split, sizes.classes, look.seed)
        return *with_bank(params["network"], carried["batch_stats"], rows), {"bank": facts}

    return Method(
        init=init,
        loss=loss,
        optimizer=make_optimizer(config.optimizer),
        variables=variables,
        forward=forward,
        localize=lambda outputs: localize(outputs, config.proposals),
        class_scores=lambda outputs: class_scores(outputs, config.proposals),
        refresh_at=(0,),
        refresh=refresh,
    )


def is_odd(value: object) -> bool:
    """Whether a value is an odd number above 0."""
    return rules.COUNT.holds(value) and value % 2 == 1


MODEL_RULES = dict.fromkeys(
    ("dsa_bank_dropout", "dsa_dropout", "classifier_dropout", "attention_dropout"), rules.BELOW_1
) | {
    "dtype": rules.DTYPE,
    "slope": rules.NOT_NEGATIVE,
    "pyramid_kernels": rules.Rule(lambda value: len(value) > 0 and all(map(is_odd, value)), "odd numbers of snippets"),
    "pyramid_fuse_kernel": rules.Rule(is_odd, "an odd number of snippets"),
    "dsa_heads": rules.COUNT,
    "dsa_head_width": rules.COUNT,
    "attention_channels": rules.PART,
    "norm_momentum": rules.SHARE,
    "norm_epsilon": rules.POSITIVE,
    "fusion_weight": rules.SHARE,
}


def rows_of(params, carried) -> jax.Array:
    """The rows of the bank [K, D], wherever the update rule keeps them."""
    return params["bank"] if "bank" in params else carried["bank"].rows


def check(config, sizes: Sizes) -> None:
    """Raises InputError for settings that TSC-Net cannot use."""
    check_model(config.model, sizes.width)
    check_bank(config.bank, sizes.classes)
    check_loss(config.loss)
    check_optimizer(config.optimizer)
    check_proposals(config.proposals)


def check_model(model, width: int) -> None:
    """Raises InputError for values of `config.model` that make no network for features of width D."""
    divisor = rules.Rule(
        lambda value: rules.COUNT.holds(value) and width % value == 0, f"a divisor of the feature width {width}"
    )
    rules.check("model", model, MODEL_RULES | {"tce_heads": divisor})
