"""The kinds of ops. A new one starts here; every table over kinds then asks for its row."""

from __future__ import annotations

from enum import StrEnum


class OpKind(StrEnum):
    """What an op computes."""

    CONV_2D = "conv_2d"
    DEPTHWISE_CONV_2D = "depthwise_conv_2d"
    FULLY_CONNECTED = "fully_connected"
    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    PAD = "pad"
    MEAN = "mean"
    AVERAGE_POOL_2D = "average_pool_2d"
    MAX_POOL_2D = "max_pool_2d"
    RESHAPE = "reshape"
    CONCATENATION = "concatenation"
    TRANSPOSE = "transpose"
    QUANTIZE = "quantize"
    DEQUANTIZE = "dequantize"
    RELU = "relu"
    RELU6 = "relu6"
    LEAKY_RELU = "leaky_relu"
    HARD_SWISH = "hard_swish"
    LOGISTIC = "logistic"
    TANH = "tanh"
    SOFTMAX = "softmax"
    RESIZE_NEAREST_NEIGHBOR = "resize_nearest_neighbor"
    RESIZE_BILINEAR = "resize_bilinear"
    ARG_MAX = "arg_max"
