"""Self-training as a `Method`: a stage that labels the training videos with its base and teaches a student."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tsc_jax import methods
from tsc_jax import settings as rules
from tsc_jax.data.dataset import Split
from tsc_jax.inference import Look, OfVideo
from tsc_jax.localization import steps
from tsc_jax.localization.segments import concatenate
from tsc_jax.method import Method, Sizes, class_probabilities
from tsc_jax.methods.self_train import labels, regression, snippet
from tsc_jax.methods.self_train.together import averaged
from tsc_jax.optimizer import check_optimizer

KINDS = {"snippet": snippet.make, "regression": regression.make}
STUDENT_RULES = {
    "kind": rules.one_of(*KINDS),
    "dtype": rules.DTYPE,
    "channels": rules.COUNT,
    "blocks": rules.COUNT_OR_0,
    "input_dropout": rules.BELOW_1,
    "dropout": rules.BELOW_1,
    "average": rules.BELOW_1,
    "round_steps": rules.COUNT,
}
OPTIMIZER_RULES = {"warmup": rules.NOT_NEGATIVE, "last_factor": rules.SHARE, "clip": rules.POSITIVE}


def make(config, sizes: Sizes, axis: str | None = None, mapped: bool = False) -> Method:
    """Builds the stage with the student of `config.student`; see `methods.make`.

    params holds the student. carried holds the moving "average" of params, which is what is used in the end; "mean" and
    "scale" [D], by which features are standardized; and the student's targets for all S training snippets, among them
    the pseudo "labels" int32 [S]. Where the snippet student answers together with its base (`config.student.weight`),
    the variables of the "base", the first of several, are carried too. All but params are filled in by the refresh at
    step 0; the refresh of each further round renews the targets with what the method itself says by then, and begins
    with a new student.
    """
    del axis  # nothing but the sums of the loss crosses devices
    check(config)
    student = KINDS[config.student.kind](config, sizes.classes, mapped)
    no_targets = student.targets(concatenate([]), [sizes.snippets])

    def init(key):
        params = student.network.init(key, jnp.zeros((1, 1, sizes.width)), jnp.ones((1, 1), bool))["params"]
        standard = {"mean": jnp.zeros(sizes.width), "scale": jnp.ones(sizes.width)}
        return params, {"average": params} | standard | jax.tree.map(jnp.asarray, no_targets)

    def loss(params, carried, batch, key, step):
        x = standardized(batch["features"], carried)
        answer = student.network.apply({"params": params}, x, batch["mask"], batch["order"], rngs={"dropout": key})
        targets = {name: carried[name][batch["snippets"]] for name in no_targets}
        # Less at the beginning, when the average is of few steps.
        decay = jnp.minimum(config.student.average, (1 + step) / (10 + step))
        average = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, carried["average"], params)
        return student.loss(answer, targets, batch["mask"]), carried | {"average": average}

    def variables(params, carried):
        del params
        return {"params": carried["average"], "mean": carried["mean"], "scale": carried["scale"]}

    def forward(variables, features, mask):
        x = standardized(features, variables)
        return student.outputs(student.network.apply({"params": variables["params"]}, x, mask), mask)

    def refresh(params, carried, look, step):
        if step == 0:
            outputs, scores = vote([say(*teacher_of(run), look) for run in look.bases])
            mean, scale = moments(look.split)
            carried = carried | {"mean": mean, "scale": scale}
            if "base" in carried:
                carried["base"] = look.bases[0].variables
        else:
            outputs, scores = say(method, method.variables(params, carried), look)
            params, _ = init(jax.random.fold_in(jax.random.key(look.seed), step))
        videos = look.split.videos
        if config.labels.source == "annotations":
            segments = labels.annotated_segments(videos)
        else:
            shown = np.stack([video.labels for video in videos])
            segments = labels.pseudo_segments(outputs, scores, shown, config.labels)
        lengths = [video.num_snippets for video in videos]
        known = sum(lengths)
        targets = student.targets(segments, [*lengths, sizes.snippets - known])
        share = float(np.mean(targets["labels"][:known] < sizes.classes))
        facts = {"segments": len(segments), "share_of_snippets": share}
        return params, carried | {"average": params} | targets, {f"pseudo_labels_{step}": facts}

    method = Method(
        init=init,
        loss=loss,
        optimizer=make_optimizer(config),
        learning_rate=learning_rate(config),
        variables=variables,
        forward=forward,
        localize=student.localize,
        class_scores=student.class_scores,
        refresh_at=tuple(range(0, config.train.steps, config.student.round_steps)),
        refresh=refresh,
        probabilities=student.probabilities,
    )
    if config.student.kind == "snippet" and config.student.weight < 1:
        base = methods.make_base(config, sizes, mapped)
        method = averaged(method, base, config.student.weight, config.proposals)
    return method


def teacher_of(run) -> tuple[Method, object]:
    """The method of a `Trained` run and its variables."""
    return methods.make(run.config, run.sizes), run.variables


def say(teacher: Method, variables, look: Look) -> tuple[list[OfVideo], np.ndarray]:
    """What a teacher says of the training videos: class probabilities as "cas", "attention"; class scores [V, C]."""

    def forward(variables, features, mask):
        outputs = teacher.forward(variables, features, mask)
        return outputs.replace(snippets=outputs.snippets | {"probabilities": class_probabilities(teacher, outputs)})

    outputs = look.run(forward, variables)
    tracks = [{"cas": output["probabilities"], "attention": output["attention"]} for output in outputs]
    return tracks, np.asarray(teacher.class_scores(outputs), np.float32)


def vote(said: Sequence[tuple[list[OfVideo], np.ndarray]]) -> tuple[list[OfVideo], np.ndarray]:
    """The mean of what several teachers say."""
    tracks = [
        {name: np.mean([each[name] for each in of_video], axis=0) for name in ("cas", "attention")}
        for of_video in zip(*(tracks for tracks, _ in said), strict=True)
    ]
    return tracks, np.mean([scores for _, scores in said], axis=0)


def standardized(features: jax.Array, moments) -> jax.Array:
    """Features [B, T, D] with the mean 0 and the variance 1 in the training split."""
    return (features - moments["mean"][None, None]) * moments["scale"][None, None]


def moments(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 1 / standard deviation of the features over all snippets of a split: float32 [D] each."""
    count = sum(video.num_snippets for video in split.videos)
    sums = squares = 0.0
    for index in range(len(split.videos)):
        features = split.features(index).astype(np.float64)
        sums, squares = sums + features.sum(axis=0), squares + np.square(features).sum(axis=0)
    mean = sums / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
    # A feature that never changes says nothing; it stays at 0.
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
    return mean.astype(np.float32), scale.astype(np.float32)


def make_optimizer(config) -> optax.GradientTransformation:
    """AdamW with clipped gradients."""
    settings = config.optimizer
    return optax.chain(
        optax.clip_by_global_norm(settings.clip),
        optax.adamw(
            learning_rate(config),
            settings.beta1,
            settings.beta2,
            settings.epsilon,
            weight_decay=settings.weight_decay,
        ),
    )


def check(config) -> None:
    """Raises InputError for settings that self-training cannot use."""
    rules.check("student", config.student, STUDENT_RULES | snippet.RULES)
    rules.check("student.regression", config.student.regression, regression.RULES)
    rules.check("optimizer", config.optimizer, OPTIMIZER_RULES)
    check_optimizer(config.optimizer)
    labels.check(config.labels)
    steps.check("proposals", config.proposals)


def learning_rate(config) -> optax.Schedule:
    """In each round the learning rate warms up and falls along a cosine."""
    settings, length = config.optimizer, config.student.round_steps
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, settings.learning_rate, settings.warmup, max(length, settings.warmup + 1),
        settings.last_factor * settings.learning_rate,
    )  # fmt: skip
    return lambda step: schedule(step % length)
