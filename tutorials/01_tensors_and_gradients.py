# %% [markdown]
# # Tensors and gradients
#
# Training a net means following a gradient downhill. This lesson shows where gradients come from:
# a *tensor* is an array that remembers how it was computed, and walking that memory backwards is
# the chain rule. Every claim below is followed by an `assert`: if this file runs, it is true.

# %%
import matplotlib.pyplot as plt
import numpy as np

import gradtape as gt
from gradtape.samples import unary

# %% [markdown]
# ## A tensor is an array with a memory
#
# Operators and `gt.ops` work as in NumPy. Ask for a gradient with `requires_grad=True`.

# %%
x = gt.tensor([1.0, 2.0, 3.0], requires_grad=True)
y = (x * x).sum()

print(y)
assert y.item() == 1 + 4 + 9

# %% [markdown]
# `y` knows that it is a sum, of a product, of `x` with itself: the *tape*. `backward` walks it
# from the end to the beginning and leaves dy/dx in `x.grad`. The derivative of x² is 2x:

# %%
y.backward()

print(x.grad)
assert x.grad.tolist() == [2.0, 4.0, 6.0]

# %% [markdown]
# Gradients *accumulate*: a second backward pass adds to the first. That is the sum rule, and it
# lets a large batch be done in parts. `zero_grad` starts over.

# %%
(3 * x).sum().backward()
assert x.grad.tolist() == [5.0, 7.0, 9.0]

x.zero_grad()
assert x.grad is None

# %% [markdown]
# Inside `gt.no_grad()` nothing is remembered. Prediction needs no tape.

# %%
with gt.no_grad():
    forgotten = (x * x).sum()
assert not forgotten.requires_grad

# %% [markdown]
# ## Where the gradient of a shape goes
#
# Shapes that differ are *broadcast*, as in NumPy: here one bias row is used by all four rows. What
# was copied on the way forward is summed on the way back, so the bias receives four ones per
# column.

# %%
rows = gt.tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
bias = gt.tensor([10.0, 20.0, 30.0], requires_grad=True)
(rows + bias).sum().backward()

print(bias.grad)
assert rows.grad.shape == (4, 3)
assert bias.grad.tolist() == [4.0, 4.0, 4.0]

# %% [markdown]
# A gradient of a vector needs a *cotangent*: how much the rest of the computation cares about each
# of its elements. For a scalar it is simply 1. `backward` with a cotangent u computes uᵀJ, without
# ever building the Jacobian J.

# %%
x = gt.tensor([0.5, 1.0, 2.0], requires_grad=True)
u = np.array([1.0, 10.0, 100.0], np.float32)
gt.ops.exp(x).backward(u)
np.testing.assert_allclose(x.grad.numpy(), u * np.exp(x.numpy()), rtol=1e-6)

# %% [markdown]
# ## Trust, but check
#
# A derivative is a limit of differences. `gt.gradcheck` compares the two in float64 and returns
# the largest relative error; by default it checks second derivatives too.

# %%
rng = np.random.default_rng(0)


def swish(x):
    return x * gt.ops.sigmoid(x)


error = gt.gradcheck(swish, rng.normal(size=5))
print(f"largest relative error: {error:.1e}")
assert error < 1e-6

# %% [markdown]
# ## Gradients of gradients
#
# Gradient rules are written in ops themselves. With `create_graph=True` the backward pass is taped
# like any other computation, so it can be differentiated again, as often as you like. Here are x⁴,
# 4x³, 12x² and 24x at x = 2:

# %%
x = gt.tensor(2.0, requires_grad=True)
value = x**4
derivatives = [value.item()]
for _ in range(3):
    x.zero_grad()
    value.backward(create_graph=True)
    value = x.grad
    derivatives.append(value.item())

print(derivatives)
assert derivatives == [16.0, 32.0, 48.0, 48.0]

# %% [markdown]
# ## Learning a line by hand
#
# Noisy points on y = 3x - 1. A model, a loss, a gradient and a small step against it, repeated:
# this is all that `fit` does later, with more parameters.

# %%
inputs = rng.uniform(-1, 1, size=(100, 1)).astype(np.float32)
targets = 3 * inputs - 1 + 0.1 * rng.normal(size=inputs.shape).astype(np.float32)

weight = gt.tensor([[0.0]], requires_grad=True)
offset = gt.tensor([0.0], requires_grad=True)
losses, path = [], []
for _ in range(200):
    error = inputs @ weight + offset - targets
    loss = (error * error).mean()
    losses.append(loss.item())
    path.append((weight.item(), offset.item()))

    weight.zero_grad()
    offset.zero_grad()
    loss.backward()
    for parameter in (weight, offset):
        parameter.assign(parameter.numpy() - 0.1 * parameter.grad.numpy())

print(f"y = {weight.item():.2f} x {offset.item():+.2f}, loss {losses[0]:.2f} -> {losses[-1]:.4f}")
assert abs(weight.item() - 3) < 0.1
assert abs(offset.item() + 1) < 0.1
assert losses[-1] < 0.02  # what remains is the noise: 0.1² = 0.01

# %% [markdown]
# Least squares has a solution in closed form, and gradient descent found it:

# %%
design = np.hstack([inputs, np.ones_like(inputs)])
exact = np.linalg.lstsq(design, targets, rcond=None)[0].ravel()
np.testing.assert_allclose([weight.item(), offset.item()], exact, atol=1e-3)

# %% [markdown]
# What the steps looked like: the loss as a landscape over the two parameters, and the path that
# the gradients led down. It starts straight across the contour lines, as a gradient does, and then
# follows the valley; the steps shrink with the slope. On the right, lines of the model on its way.

# %%
w, b = np.meshgrid(np.linspace(-0.5, 4, 91), np.linspace(-1.6, 1, 53))
landscape = np.mean((w[..., None] * inputs.ravel() + b[..., None] - targets.ravel()) ** 2, axis=-1)
steps = np.array([*path, (weight.item(), offset.item())])
measured = [
    landscape[np.abs(b[:, 0] - y).argmin(), np.abs(w[0] - x).argmin()] for x, y in steps[:5]
]
np.testing.assert_allclose(measured, losses[:5], atol=0.1)  # the path lies on this landscape

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
lines = left.contour(w, b, landscape, levels=[0.02, 0.1, 0.3, 0.7, 1.3, 2.1, 3.1], cmap="viridis")
left.clabel(lines, fontsize=8)
left.plot(*steps.T, "o-", color="#D55E00", markersize=3)
left.plot(3, -1, "*", color="black", markersize=14)
left.set(xlabel="weight", ylabel="offset", title="Gradient descent on the loss")
right.plot(inputs, targets, ".", color="#8A8A8A", label="data")
ends = np.array([-1.0, 1.0])
for count, shade in ((0, 0.2), (3, 0.4), (10, 0.6), (200, 1.0)):
    line = steps[count, 0] * ends + steps[count, 1]
    right.plot(ends, line, color="#0072B2", alpha=shade, label=f"after {count} steps")
right.set(xlabel="x", ylabel="y", title="The line that is learned")
right.legend(frameon=False)
plt.show()

# %% [markdown]
# ## An op of your own
#
# An op is three things side by side: the forward computation on plain arrays, one gradient rule
# per array (how the cotangent `g` of the output becomes that of the input, written in ops), and
# samples: inputs on which the rule is to be checked. Positional-only parameters (before the `/`)
# are arrays, the others are settings.


# %%
@gt.op(
    gradients=(lambda g, out, x, sharpness: g * sharpness * out * (1 - out),),
    samples=unary(sharpness=[1.0, 3.0]),
)
def steep_sigmoid(x, /, sharpness=1.0):
    """1 / (1 + e^(-sharpness x))."""
    return 1 / (1 + np.exp(-sharpness * x))


error = gt.gradcheck(lambda x: steep_sigmoid(x, sharpness=3.0), rng.normal(size=4))
print(f"largest relative error: {error:.1e}")
assert error < 1e-6

# %% [markdown]
# A wrong rule does not get through. This one forgot the inner derivative:


# %%
@gt.op(gradients=(lambda g, out, x: g * out * (1 - out),), samples=unary())
def wrong_sigmoid(x, /):
    """A sigmoid of 2x whose rule lacks the factor 2."""
    return 1 / (1 + np.exp(-2 * x))


try:
    gt.gradcheck(wrong_sigmoid, rng.normal(size=4))
except AssertionError as refusal:
    print(refusal)
    found = True
assert found

# %% [markdown]
# Next: `02_lenet_on_digits.py` builds convolution from the same pieces and reads handwriting.
