# %% [markdown]
# # LeNet-5 reads digits
#
# A convolutional net looks at an image through many small windows. This lesson builds that idea
# from a few numbers that you can check on paper, and ends with LeNet-5 (LeCun et al., 1998) reading
# handwriting that it has never seen.

# %%
import matplotlib.pyplot as plt
import numpy as np

import gradtape as gt
from gradtape import plot

gt.utils.set_random_seed(1)

# %% [markdown]
# ## Convolution by hand
#
# Slide a small *kernel* over the image; at each place multiply what lies on top of each other, and
# add up. (Mathematicians call this cross-correlation. Nets call it convolution.)

# %%
image = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]], float)
kernel = np.array([[0, 1], [2, 3]], float)


def convolve_by_hand(image, kernel):
    k_h, k_w = kernel.shape
    rows, columns = image.shape[0] - k_h + 1, image.shape[1] - k_w + 1
    out = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            out[i, j] = (image[i : i + k_h, j : j + k_w] * kernel).sum()
    return out


print(convolve_by_hand(image, kernel))
assert convolve_by_hand(image, kernel).tolist() == [[19, 25], [37, 43]]

# %% [markdown]
# `gt.ops.conv` does that for a batch of images of several channels, `(N, height, width, channels)`,
# with a kernel `(height, width, channels in, channels out)`. For one image of one channel:


# %%
def convolve(image, kernel, **settings):
    x = np.asarray(image, float)[None, ..., None]
    w = np.asarray(kernel, float)[..., None, None]
    return gt.ops.conv(x, w, **settings).numpy()[0, ..., 0]


assert np.array_equal(convolve(image, kernel), convolve_by_hand(image, kernel))

# %% [markdown]
# ## Padding and stride
#
# The result is smaller than the image: `n - k + 1` along each axis. A border of zeros (*padding*)
# makes up for it, and a *stride* s visits only each s-th place, so that the size becomes
# `floor((n - k + p + s) / s)`, with p zeros added in total.

# %%
padded = convolve(image, kernel, padding=((1, 1), (1, 1)))
print(padded)
assert padded.tolist() == [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]

strided = convolve(image, kernel, padding=((1, 1), (1, 1)), strides=(3, 2))
assert strided.tolist() == [[0, 8], [6, 8]]

# %% [markdown]
# The same in one dimension, as for sound: a signal of 6 samples.

# %%
signal = np.arange(6.0)
assert len(convolve(signal, np.ones(2))) == 5
assert len(convolve(signal, np.ones(2), strides=2)) == 3
assert len(convolve(signal, np.ones(3))) == 4

# %% [markdown]
# ## What a kernel can see
#
# This one compares neighbours, and answers where dark meets bright: a detector of vertical edges.

# %%
stripes = np.array([[1, 1, 0, 0, 0]] * 4)
edges = convolve(stripes, [[1, -1]])
print(edges)
assert edges.tolist() == [[0, 1, 0, 0]] * 4

# %% [markdown]
# This one sharpens: five times the pixel, less its four neighbours.

# %%
photo = [
    [105, 102, 100, 97, 96],
    [103, 99, 103, 101, 102],
    [101, 98, 104, 102, 100],
    [99, 101, 106, 104, 99],
    [104, 104, 104, 100, 98],
]
sharpened = convolve(photo, [[0, -1, 0], [-1, 5, -1], [0, -1, 0]], padding=((1, 1), (1, 1)))
print(sharpened)
assert sharpened[0, 0] == 320
assert sharpened[1, :3].tolist() == [210, 89, 111]

# %% [markdown]
# ## Channels
#
# A colour image has three channels, and a hidden layer as many as it likes. Each input channel has
# its own slice of the kernel, and the results are added:

# %%
two_channels = np.stack([image, image + 1], axis=-1)[None]
two_slices = np.stack([kernel, kernel + 1], axis=-1)[..., None]
out = gt.ops.conv(two_channels, two_slices).numpy()[0, ..., 0]
assert out.tolist() == [[56, 72], [104, 120]]

# %% [markdown]
# A kernel of a single pixel therefore mixes channels only: it is a dense layer, applied to every
# pixel alike.

# %%
rng = np.random.default_rng(0)
pixels, weights = rng.normal(size=(2, 4, 4, 3)), rng.normal(size=(3, 5))
np.testing.assert_allclose(gt.ops.conv(pixels, weights[None, None]).numpy(), pixels @ weights)

# %% [markdown]
# ## Why it suits images
#
# Move the digit, and the answer moves along (*equivariance*). What was learned in one corner is
# known in all of them. A dense layer would have to learn it everywhere anew.

# %%
scene = np.zeros((10, 10))
scene[3:6, 2:5] = rng.normal(size=(3, 3))
moved = np.roll(scene, (2, 3), axis=(0, 1))
assert np.array_equal(convolve(moved, kernel), np.roll(convolve(scene, kernel), (2, 3), (0, 1)))

# %% [markdown]
# ## Pooling
#
# Once a feature is found, where exactly matters less. *Max pooling* keeps the strongest answer of
# each window, *average pooling* their mean. Neither has anything to learn.


# %%
def pool(op, image, size, strides):
    x = np.asarray(image, float)[None, ..., None]
    return op(x, pool_size=size, strides=strides).numpy()[0, ..., 0].tolist()


answers = [[2, 3, 1, 9], [4, 7, 3, 5], [8, 2, 2, 2], [1, 3, 4, 5]]
assert pool(gt.ops.max_pool, answers, 2, 2) == [[7, 9], [8, 5]]
assert pool(gt.ops.average_pool, answers, 2, 2) == [[4, 4.5], [3.5, 3.25]]

answers = [[1, 3, 2, 1], [2, 9, 1, 1], [1, 4, 2, 3], [5, 6, 1, 2]]
assert pool(gt.ops.max_pool, answers, 2, 2) == [[9, 2], [6, 3]]
assert pool(gt.ops.average_pool, answers, 2, 2) == [[3.75, 1.25], [4, 2]]

# %% [markdown]
# Windows may overlap, when the stride is smaller than they are:

# %%
answers = [[1, 3, 2, 1, 3], [2, 9, 1, 1, 5], [1, 3, 2, 3, 2], [8, 3, 5, 1, 0], [5, 6, 1, 2, 9]]
assert pool(gt.ops.max_pool, answers, 3, 1) == [[9, 9, 5], [9, 9, 5], [8, 6, 9]]
assert pool(gt.ops.max_pool, image, 2, 1) == [[4, 5], [7, 8]]

# %% [markdown]
# A feature that moves by one pixel within its window changes nothing:

# %%
dot, neighbour = np.zeros((4, 4)), np.zeros((4, 4))
dot[0, 0] = neighbour[0, 1] = 1
assert pool(gt.ops.max_pool, dot, 2, 2) == pool(gt.ops.max_pool, neighbour, 2, 2)

# %% [markdown]
# ## LeNet-5
#
# Two rounds of convolution and pooling, then dense layers. 61,706 parameters; a single dense layer
# of 100 units on a photo of 36 million pixels would have 3.6 billion.

# %%
model = gt.models.build("lenet5")
model.summary()
assert model.count_params() == 61_706

# %% [markdown]
# The digits: 4,000 to learn from, 1,000 to be judged by. Images become numbers from 0 to 1, with an
# axis for their one channel.

# %%
(x_train, y_train), (x_test, y_test) = gt.datasets.load("mnist_sample")
x_train = x_train[..., None].astype("float32") / 255
x_test = x_test[..., None].astype("float32") / 255

assert x_train.shape == (4000, 28, 28, 1)
assert x_test.shape == (1000, 28, 28, 1)

# %% [markdown]
# An untrained net guesses: about one digit in ten is right.

# %%
model.compile(
    optimizer=gt.optimizers.Adam(1e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
_, before = model.evaluate(x_test, y_test, verbose=0)
print(f"right before training: {before:.1%}")
assert before < 0.3

# %% [markdown]
# `fit` does what the first lesson did by hand, batch after batch. Watch the held-out accuracy: what
# counts is how well it reads digits that it was not shown.

# %%
history = model.fit(
    x_train, y_train, epochs=3, batch_size=32, validation_data=(x_test, y_test), verbose=2
)
_, after = model.evaluate(x_test, y_test, verbose=0)
print(f"right after training: {after:.1%}")
assert after > 0.9

# %%
plot.learning_curves(history.history)

# %% [markdown]
# ## What it sees, and what it says
#
# The first layer has learned six little pictures of strokes and edges. What it looks for now is not
# what we told it, but what helped.

# %%
plot.filters(model.layers[0].get_weights()[0])

# %% [markdown]
# Its answers are probabilities of the ten digits, which add up to 1. A few, right and wrong:

# %%
probabilities = model.predict(x_test, verbose=0)
assert probabilities.shape == (1000, 10)
np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)

guesses = probabilities.argmax(axis=1)
assert np.isclose(np.mean(guesses == y_test), after)
plot.predictions(x_test[:21], y_test[:21], guesses[:21])

# %% [markdown]
# One digit's way through the net: the image shrinks from layer to layer while the number of
# features grows, until ten numbers are left.

# %%
signal = x_test[:1]
for layer in model.layers:
    signal = layer(signal)
    print(f"{layer.name:20} {signal.shape}")
np.testing.assert_allclose(signal.numpy()[0], probabilities[0], rtol=1e-4, atol=1e-6)

# %% [markdown]
# ## Where it looks
#
# What each map of the first convolution answers to this digit; the pixels that its answer depends
# on most (the gradient of the winning score with respect to the image: the same `backward` as in
# lesson 1); and the part of the image that one place of a deeper layer can see at all.

# %%
plot.feature_maps(model, x_test[0])

# %%
plot.saliency(model, x_test[0])

# %%
plot.receptive_field(model, image=x_test[0])

# %% [markdown]
# As a script, this opens the pictures in windows, where there are any:

# %%
plt.show()

# %% [markdown]
# Now let it train for longer, and keep the result: `gradtape train lenet5 --data mnist_sample`.
