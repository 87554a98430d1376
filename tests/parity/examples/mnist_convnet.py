"""A small convolutional net for handwritten digits."""

import keras


def build():
    return keras.Sequential(
        [
            keras.Input(shape=(28, 28, 1)),
            keras.layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
            keras.layers.MaxPooling2D(pool_size=(2, 2)),
            keras.layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
            keras.layers.MaxPooling2D(pool_size=(2, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def train(model, images, labels):
    x = images[..., None].astype("float32") / 255
    y = keras.utils.to_categorical(labels, 10)
    model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    history = model.fit(
        x, y, batch_size=32, epochs=3, validation_split=0.1, shuffle=False, verbose=0
    )
    return {**history.history, "evaluated": model.evaluate(x, y, batch_size=50, verbose=0)}
