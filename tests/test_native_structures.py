"""Every convolution, pooling and rearranging layer as a native program, against float64."""

from __future__ import annotations

import numpy as np
import pytest
from native_nets import Layers, agrees_with_float64

import gradtape as gt

Array = np.ndarray
L = gt.layers

#: name: the layers, the shape of a sample, and the most products in a sum of one sample. A 1x1
#: convolution in front has the gradient for the input proved as well.
CASES: dict[str, tuple[Layers, tuple[int, ...], int]] = {
    "groups": (
        lambda d: [L.Conv2D(6, 1, **d), L.Conv2D(9, 3, padding="same", groups=3, **d)],
        (5, 6, 2), 300,
    ),
    "groups_strided": (
        lambda d: [
            L.Conv2D(8, 1, **d),
            L.Conv2D(6, (3, 2), strides=(2, 3), groups=2, activation="relu", **d),
        ],
        (7, 8, 2), 300,
    ),
    "groups_of_many": (
        lambda d: [L.Conv2D(66, 1, **d), L.Conv2D(70, 3, groups=2, padding=1, **d)],
        (3, 4, 2), 1500,
    ),
    "groups_dilated": (
        lambda d: [L.Conv2D(4, 1, **d), L.Conv2D(4, 2, groups=2, dilation_rate=2, **d)],
        (4, 5, 2), 100,
    ),
    "depthwise": (
        lambda d: [L.Conv2D(5, 1, **d), L.DepthwiseConv2D(3, padding="same", **d)], (5, 6, 2), 100,
    ),
    "depthwise_multiplied": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.DepthwiseConv2D(
                (2, 3), strides=2, depth_multiplier=3, padding="same", activation="relu", **d
            ),
        ],
        (5, 6, 2), 100,
    ),
    "depthwise_dilated": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.DepthwiseConv2D(3, dilation_rate=2, padding=((2, 0), (3, 4)), use_bias=False, **d),
        ],
        (6, 5, 2), 100,
    ),
    "depthwise_by_groups": (
        lambda d: [L.Conv2D(4, 1, **d), L.Conv2D(8, 3, strides=3, groups=4, padding=1, **d)],
        (6, 7, 2), 100,
    ),
    "separable": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.SeparableConv2D(7, 3, depth_multiplier=2, strides=2, activation="relu", **d),
        ],
        (6, 7, 2), 200,
    ),
    "conv_1d": (
        lambda d: [
            L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="tanh", **d),
            L.Conv1D(5, 4, strides=2, padding="same", **d),
        ],
        (11, 3), 200,
    ),
    "depthwise_1d": (
        lambda d: [
            L.Conv1D(3, 2, **d),
            L.DepthwiseConv1D(3, strides=2, depth_multiplier=2, **d),
            L.SeparableConv1D(4, 2, padding="same", **d),
        ],
        (10, 2), 300,
    ),
    "conv_3d": (
        lambda d: [
            L.Conv3D(3, (2, 1, 2), activation="relu", **d),
            L.Conv3D(4, 3, strides=(2, 1, 2), padding="same", **d),
        ],
        (4, 3, 4, 2), 400,
    ),
    "conv_3d_groups": (
        lambda d: [
            L.Conv3D(4, 1, **d),
            L.Conv3D(6, (3, 2, 2), padding=((3, 0), (1, 0), (0, 1)), groups=2, **d),
            L.Conv3D(2, (2, 1, 1), dilation_rate=(2, 1, 1), strides=(3, 1, 1), **d),
        ],
        (3, 3, 3, 2), 400,
    ),
    "transposed": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", **d),
        ],
        (4, 3, 2), 200,
    ),
    "transposed_plain": (
        lambda d: [L.Conv2D(3, 1, **d), L.Conv2DTranspose(5, (3, 2), **d)], (4, 3, 2), 200,
    ),
    "transposed_gaps": (
        lambda d: [L.Conv2D(3, 1, **d), L.Conv2DTranspose(2, 2, strides=3, **d)], (3, 4, 2), 200,
    ),
    "transposed_output_padding": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.Conv2DTranspose(2, 3, strides=(2, 3), padding="same", output_padding=1, **d),
        ],
        (3, 4, 2), 200,
    ),
    "transposed_many": (
        lambda d: [L.Conv2D(40, 1, **d), L.Conv2DTranspose(37, 3, dilation_rate=2, **d)],
        (2, 3, 2), 1000,
    ),
    "transposed_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.Conv1DTranspose(4, 4, strides=2, **d)], (5, 2), 100,
    ),
    "transposed_3d": (
        lambda d: [L.Conv3D(2, 1, **d), L.Conv3DTranspose(3, (3, 2, 2), strides=(2, 1, 2), **d)],
        (2, 2, 3, 2), 200,
    ),
    "pooling_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.MaxPooling1D(3, strides=2, padding="same", **d),
                   L.AveragePooling1D(2, **d)],
        (9, 2), 60,
    ),
    "pooling_3d": (
        lambda d: [
            L.Conv3D(3, 1, **d), L.AveragePooling3D((2, 3, 2), strides=1, padding="same", **d),
            L.MaxPooling3D((3, 2, 2), strides=(1, 2, 2), **d),
        ],
        (4, 4, 5, 2), 200,
    ),
    "global_1d": (lambda d: [L.Conv1D(3, 2, **d), L.GlobalAveragePooling1D(**d)], (7, 2), 60),
    "global_3d": (
        lambda d: [L.Conv3D(3, 2, **d), L.GlobalAveragePooling3D(keepdims=True, **d)],
        (3, 3, 4, 2), 200,
    ),
    "global_max": (
        lambda d: [L.Conv2D(3, 2, activation="relu", **d), L.GlobalMaxPooling2D(**d)],
        (4, 5, 2), 60,
    ),
    "padding_cropping_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.ZeroPadding1D((2, 1), **d), L.Cropping1D((1, 3), **d)],
        (5, 2), 30,
    ),
    "padding_cropping_2d": (
        lambda d: [
            L.Conv2D(3, 1, **d), L.ZeroPadding2D(((1, 2), (0, 3)), **d),
            L.Cropping2D(((2, 0), (1, 1)), **d),
        ],
        (4, 5, 2), 30,
    ),
    "padding_cropping_3d": (
        lambda d: [L.Conv3D(3, 1, **d), L.Cropping3D(((0, 1), (1, 0), (0, 2)), **d),
                   L.ZeroPadding3D(1, **d)],
        (3, 3, 4, 2), 30,
    ),
    "upsampling_1d": (lambda d: [L.Conv1D(3, 1, **d), L.UpSampling1D(3, **d)], (4, 2), 30),
    "upsampling_2d": (lambda d: [L.Conv2D(3, 1, **d), L.UpSampling2D((2, 3), **d)], (3, 4, 2), 60),
    "upsampling_3d": (
        lambda d: [L.Conv3D(2, 1, **d), L.UpSampling3D((2, 3, 2), **d)], (2, 3, 2, 2), 60,
    ),
    "upsampling_bilinear": (
        lambda d: [L.Conv2D(3, 1, **d), L.UpSampling2D((3, 2), interpolation="bilinear", **d)],
        (3, 4, 2), 60,
    ),
    "permute": (
        lambda d: [L.Conv2D(3, 1, **d), L.Permute((3, 1, 2), **d), L.Permute((2, 1, 3), **d)],
        (3, 4, 2), 30,
    ),
    "repeat_vector": (
        lambda d: [L.Dense(3, **d), L.RepeatVector(4, **d), L.Conv1D(2, 2, **d)], (5,), 60,
    ),
    "locally_connected": (
        lambda d: [
            L.Conv2D(3, 1, **d),
            L.LocallyConnected2D(4, (3, 2), strides=(1, 2), padding="same", activation="relu", **d),
        ],
        (4, 5, 2), 100,
    ),
    "locally_connected_1d": (
        lambda d: [L.Conv1D(3, 1, **d), L.LocallyConnected1D(4, 3, strides=2, **d)], (7, 2), 100,
    ),
    "rescaling": (
        lambda d: [L.Rescaling([0.5, 2.0], [0.1, -1.0], **d), L.Conv2D(3, 1, **d),
                   L.Rescaling(0.3, **d), L.Identity(**d)],
        (3, 4, 2), 30,
    ),
    "channels_first": (
        lambda d: [
            L.Conv2D(3, 2, data_format="channels_first", activation="relu", **d),
            L.MaxPooling2D(2, strides=1, data_format="channels_first", **d),
            L.DepthwiseConv2D(2, data_format="channels_first", **d),
            L.UpSampling2D(2, data_format="channels_first", **d),
            L.Conv2DTranspose(2, 2, data_format="channels_first", **d),
            L.Flatten(data_format="channels_first", **d),
        ],
        (2, 5, 6), 200,
    ),
    "channels_first_global": (
        lambda d: [
            L.Conv3D(3, 2, data_format="channels_first", **d),
            L.ZeroPadding3D(1, data_format="channels_first", **d),
            L.GlobalAveragePooling3D(data_format="channels_first", keepdims=True, **d),
        ],
        (2, 3, 4, 3), 200,
    ),
}  # fmt: skip


@pytest.mark.parametrize("batch", [1, 2, 15, 17, 33])
@pytest.mark.parametrize("case", CASES)
def test_layers_agree_with_float64_and_stay_in_their_buffers(case: str, batch: int) -> None:
    agrees_with_float64(*CASES[case], batch)
