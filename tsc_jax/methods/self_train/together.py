"""The student together with its base: the mean of what both say of a snippet, which is better than either of them."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from tsc_jax.localization import steps
from tsc_jax.method import Method, Outputs, class_probabilities, prefixed, without_prefix


def averaged(student: Method, base: Method, weight: float, settings) -> Method:
    """The method whose outputs are the mean of those of the student, which has `weight`, and of those of its base.

    The class probabilities, the attention and the class scores are averaged; the segments are read from these as
    `settings` (`config.proposals`) says. The outputs of the two are there as well, as "student/NAME" and "base/NAME".
    What is carried has the variables of the "base" besides; the refresh at step 0 has to fill them in.
    """

    def init(key):
        params, carried = student.init(key)
        return params, carried | {"base": base.variables(*base.init(key))}

    def forward(variables, features, mask):
        of_student = student.forward(variables, features, mask)
        return mean_outputs((student, of_student), (base, base.forward(variables["base"], features, mask)), weight)

    def class_scores(outputs: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
        ours = student.class_scores([without_prefix(output, "student") for output in outputs])
        return weight * ours + (1 - weight) * base.class_scores([without_prefix(output, "base") for output in outputs])

    return dataclasses.replace(
        student,
        init=init,
        variables=lambda params, carried: student.variables(params, carried) | {"base": carried["base"]},
        forward=forward,
        localize=lambda outputs: steps.localize(outputs, class_scores(outputs), settings, probabilities=True),
        class_scores=class_scores,
        probabilities=True,
    )


def mean_outputs(student: tuple[Method, Outputs], base: tuple[Method, Outputs], weight: float) -> Outputs:
    """The mean of what two methods say, the first with `weight`, and the outputs of both."""

    def mean(of_student: jax.Array, of_base: jax.Array) -> jax.Array:
        return weight * of_student + (1 - weight) * of_base

    snippets = {
        "cas": mean(class_probabilities(*student), class_probabilities(*base)),
        "attention": mean(student[1].snippets["attention"], base[1].snippets["attention"]),
    }
    own, others = prefixed(student[1], "student"), prefixed(base[1], "base")
    return Outputs(snippets | own.snippets | others.snippets, own.videos | others.videos)
