"""Random small models: replay equals eager, and threads change no bit.

`make kernels` draws two hundred: GRADTAPE_RANDOM_MODELS says how many. They are the same ones in
every run, GRADTAPE_RANDOM_SEED gives others.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from random_models import Recipe, data_of, model_of, recipes

import gradtape as gt
from gradtape import program

COUNT = int(os.environ.get("GRADTAPE_RANDOM_MODELS", 40))
SEED = int(os.environ.get("GRADTAPE_RANDOM_SEED", 0))
#: The draws are cut into so many tests, so that processes can share them.
PARTS = 4
#: How far losses, weights and predictions may be apart after five steps.
CLOSE = {"rtol": 1e-4, "atol": 2e-5}
DRAWN = settings(
    max_examples=COUNT // PARTS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def _listed(outputs: Any) -> list[np.ndarray]:
    return outputs if isinstance(outputs, list) else [outputs]


def check_replay(recipe: Recipe) -> None:
    """Five steps are those of the eager path, to the rounding of float32."""
    a, b = model_of(recipe), model_of(recipe)
    b._native = False
    for number in range(5):
        x, y = data_of(recipe, number)
        np.testing.assert_allclose(
            *(m.train_on_batch(x, y if len(y) > 1 else y[0]) for m in (a, b)), **CLOSE
        )
    for v, w in zip(a.variables, b.variables, strict=True):
        np.testing.assert_allclose(v.data, w.data, **CLOSE, err_msg=v.path)
    for predicted, expected in zip(
        *(_listed(m.predict(x, verbose=0)) for m in (a, b)), strict=True
    ):
        np.testing.assert_allclose(predicted, expected, **CLOSE)
    odd, reason = any(kind == "odd" for kind, _, _ in recipe.steps), a._native.reason
    assert reason is None or (odd and "too little is native" in reason), reason


def check_threads(recipe: Recipe) -> None:
    """Any number of threads gives the same bits, and no kernel leaves its buffers."""
    model, inputs = model_of(recipe), recipe.inputs
    try:
        graph = program.graph_of(model, inputs if len(inputs) > 1 else inputs[0])
    except program.NotNative:  # too many layers without a lowering
        return
    reached = graph.behind(graph.results)
    variables = [v for v in model.trainable_variables if v in reached]
    optimizer = gt.optimizers.SGD(0.02)
    optimizer.build(variables)
    judged = [program.Judged(r.loss, r.factor) for r in model._scores.by_output(None, None)]
    regularized = [v for v in variables if v.regularizer is not None]
    start = [v.numpy().copy() for v in model.variables]
    results = []
    for workers in (1, 2, 3, 4):
        for variable, array in zip(model.variables, start, strict=True):
            variable.assign(array)
        update, floats = program.Update(optimizer, variables), [np.float32] * len(inputs)
        step = program.Step(graph, recipe.batch, floats, judged, update, workers, 16, regularized)
        found: list[np.ndarray] = []
        for number in range(2):
            x, y = data_of(recipe, number)
            outcome = step.outcome(x, y, [None] * len(y))
            found += [np.asarray(outcome.loss), *_listed(outcome.outputs)]
            step.program.check_canaries()
        results.append([a.tobytes() for a in [*found, *(v.data for v in model.variables)]])
    assert all(bits == results[0] for bits in results)


@pytest.mark.filterwarnings("ignore:The loss does not depend on")
@pytest.mark.parametrize("part", range(PARTS))
def test_random_models_replay_as_they_run(part: int) -> None:
    @given(recipes())
    @DRAWN
    def check(recipe: Recipe) -> None:
        check_replay(recipe)
        check_threads(recipe)

    seed(SEED + part)(check)()
