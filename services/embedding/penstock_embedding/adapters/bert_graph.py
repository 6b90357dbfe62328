"""Builds the ONNX graph of a BERT sentence encoder, with int8 weights, from its safetensors.

Input: token ids and attention mask, both int64 ``[texts, tokens]``. Output:
``embedding``, float32 ``[texts, hidden]``, the L2-normalised mean over tokens, or
the first token's states.

Weights are int8 with one scale per output, activations uint8 with one scale
per token, computed as the model runs. ``onnxruntime.quantization`` knows one
scale per tensor only: a text's vector would depend on its neighbours in the
batch (cosine to itself alone 0.983 at the worst, measured on MiniLM).

Four things keep the vectors near float32's (1000 texts of sixteen scripts, code
and signs; cosine at the worst, 5 % quantile: 0.992, 0.996):

- A few values of BERT's states are far larger than the others. What is large
  is divided, and its weights multiplied, by the root of the ratio between the
  two extents (SmoothQuant, arXiv:2211.10438, alpha 0.5).
- GELU is never below -0.17, so nearly all of its levels lie above zero.
- Embedding tables have a scale per word.
- Rounding the weights shifts each output by what it does to the mean input;
  the bias takes that back. (Without: 0.982, 0.993.)

Weights and states do not use all of their 8 bits: x86 without VNNI adds
products of uint8 and int8 in pairs into 16 bits, and 2 x 90 x 180 just fits.
So vectors do not depend on the CPU. (With 63 x 255: 0.988, 0.994.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from penstock_embedding.adapters.bert_extents import States
from penstock_embedding.adapters.model_files import BertConfig, Pooling

OUTPUT = "embedding"
TOKEN_IDS = "input_ids"  # noqa: S105 - a tensor's name
ATTENTION_MASK = "attention_mask"

_OPSET = 20
_IR_VERSION = 9
_MICROSOFT = "com.microsoft"
_WEIGHT_LEVELS = 90
_TABLE_LEVELS = 127
_LEVELS_EACH_SIDE = 89
_MIDDLE_LEVEL = 90
_TOP_LEVEL = 180
# GELU's minimum is -0.16997, at -0.7518.
_GELU_MINIMUM = -0.17
_GELU_ZERO_LEVEL = 14
_SMALLEST = 1e-12
_MASKED_SCORE = -10000.0

Array = npt.NDArray[Any]
Weights = dict[str, Array]


def build_graph(
    weights: Weights, config: BertConfig, states: dict[str, States], pooling: Pooling = "mean"
) -> onnx.ModelProto:
    """Return the model.

    ``weights`` are named as transformers names those of BertModel; ``states``
    are what ``bert_extents.measure`` returns.
    """
    return _BertGraph(weights, config, states).build(pooling)


class _Dense(NamedTuple):
    """A linear layer; ``weight`` is ``[inputs, outputs]``."""

    weight: Array
    bias: Array


class _Scale(NamedTuple):
    """Names of the scales per token and of the zero point, and that one's value."""

    name: str
    zero: str
    zero_level: int


class _Levels(NamedTuple):
    """Names of quantised states, their scales per token, and their zero point."""

    values: str
    scales: str
    zero: str


class _Writer:
    """Collects nodes and constants; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Any, dtype: npt.DTypeLike) -> str:
        array = np.ascontiguousarray(np.asarray(value, dtype))
        # ascontiguousarray makes a scalar a vector; some operators want the scalar.
        self.constants.append(numpy_helper.from_array(array.reshape(np.shape(value)), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], name, domain=domain, **attributes))
        return name


class _BertGraph(_Writer):
    def __init__(self, weights: Weights, config: BertConfig, states: dict[str, States]) -> None:
        super().__init__()
        self._weights = weights
        self._seen = states
        self._config = config
        self._hidden = config.hidden_size
        self._head = config.hidden_size // config.num_attention_heads

    def build(self, pooling: Pooling) -> onnx.ModelProto:
        self._constants()
        states = self._embeddings()
        for number in range(self._config.num_hidden_layers):
            states = self._layer(states, number)
        self._pool(states, pooling)
        shape = ["texts", "tokens"]
        graph = helper.make_graph(
            self.nodes,
            "bert",
            [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in (TOKEN_IDS, ATTENTION_MASK)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["texts", self._hidden])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)

    def _constants(self) -> None:
        heads = self._config.num_attention_heads
        self.constant("first", [0], np.int64)
        self.constant("token_axis", [1], np.int64)
        self.constant("last_axis", [-1], np.int64)
        self.constant("head_axes", [1, 2], np.int64)
        self.constant("one", 1.0, np.float32)
        self.constant("middle", _MIDDLE_LEVEL, np.uint8)
        self.constant("per_level", 1.0 / _LEVELS_EACH_SIDE, np.float32)
        self.constant("smallest", _SMALLEST, np.float32)
        self.constant("gelu_zero", _GELU_ZERO_LEVEL, np.uint8)
        self.constant("gelu_per_level", 1.0 / (_TOP_LEVEL - _GELU_ZERO_LEVEL), np.float32)
        self.constant("gelu_least_scale", -_GELU_MINIMUM / _GELU_ZERO_LEVEL, np.float32)
        self.constant("masked_score", _MASKED_SCORE, np.float32)
        self.constant("by_head", [0, 0, heads, self._head], np.int64)
        self.constant("joined", [0, 0, self._hidden], np.int64)
        self.constant("thirds", [self._hidden] * 3, np.int64)

    def _embeddings(self) -> str:
        """Add word, position and type embeddings; a text alone is all of type 0."""
        words = self._weights["embeddings.word_embeddings.weight"]
        scales = np.abs(words).max(axis=1, keepdims=True) / _TABLE_LEVELS
        self.constant("words", np.round(words / np.maximum(scales, _SMALLEST)), np.int8)
        self.constant("word_scales", scales, np.float32)
        types = self._weights["embeddings.token_type_embeddings.weight"]
        self.constant("positions", self._weights["embeddings.position_embeddings.weight"] + types[0], np.float32)
        picked = self.node(
            "Cast", [self.node("Gather", ["words", TOKEN_IDS], "word_levels")], "word_floats", to=TensorProto.FLOAT
        )
        scaled = self.node("Mul", [picked, self.node("Gather", ["word_scales", TOKEN_IDS], "word_scale")], "word")
        tokens = self.node("Shape", [TOKEN_IDS], "tokens", start=1, end=2)
        position = self.node("Slice", ["positions", "first", tokens], "position")
        # A token that is padding gets the lowest score everywhere.
        mask = self.node("Cast", [ATTENTION_MASK], "mask", to=TensorProto.FLOAT)
        absent = self.node("Mul", [self.node("Sub", ["one", mask], "absent"), "masked_score"], "absent_scores")
        self.node("Unsqueeze", [absent, "head_axes"], "mask_scores")
        return self._layer_norm(self.node("Add", [scaled, position], "embedded"), "embeddings.LayerNorm", "states")

    def _layer(self, states: str, number: int) -> str:
        source, name = f"encoder.layer.{number}.", f"layer{number}_"
        mixed = self._levels(self._attention(states, source, name), self._hidden, name + "mixed")
        mean = self._seen[name + "mixed_joined"].mean
        attended = self._product(mixed, self._read(source + "attention.output.dense"), mean, name + "attention_out")
        attended = self.node("Add", [attended, states], name + "attention_sum")
        attended = self._layer_norm(attended, source + "attention.output.LayerNorm", name + "attended")
        wide = self._smoothed_product(attended, self._read(source + "intermediate.dense"), name + "wide")
        gelu = self._levels_of_gelu(
            self.node("Gelu", [wide], name + "gelu"), self._config.intermediate_size, name + "g"
        )
        mean = self._seen[name + "gelu"].mean
        narrow = self._product(gelu, self._read(source + "output.dense"), mean, name + "narrow")
        narrow = self.node("Add", [narrow, attended], name + "sum")
        return self._layer_norm(narrow, source + "output.LayerNorm", name + "states")

    def _attention(self, states: str, source: str, name: str) -> str:
        parts = self._queries_keys_values(states, source, name)
        by_head = [self.node("Reshape", [part, "by_head"], part + "_by_head") for part in parts]
        query, value = (self.node("Transpose", [by_head[i]], f"{name}t{i}", perm=[0, 2, 1, 3]) for i in (0, 2))
        key = self.node("Transpose", [by_head[1]], name + "t1", perm=[0, 2, 3, 1])
        scores = self.node("Add", [self.node("MatMul", [query, key], name + "dots"), "mask_scores"], name + "scores")
        shares = self.node("Softmax", [scores], name + "shares", axis=-1)
        mixed = self.node("MatMul", [shares, value], name + "mixed")
        mixed = self.node("Transpose", [mixed], name + "mixed_by_token", perm=[0, 2, 1, 3])
        return self.node("Reshape", [mixed, "joined"], name + "mixed_joined")

    def _queries_keys_values(self, states: str, source: str, name: str) -> list[str]:
        """Return the names of the three projections, made by one product; the scale of the scores is in the first."""
        kinds = [("query", self._head**-0.5), ("key", 1.0), ("value", 1.0)]
        read = [(self._read(f"{source}attention.self.{kind}"), by) for kind, by in kinds]
        weight = np.concatenate([dense.weight * by for dense, by in read], axis=1)
        bias = np.concatenate([dense.bias * by for dense, by in read])
        joined = self._smoothed_product(states, _Dense(weight, bias), name + "qkv")
        parts = [f"{name}{kind}" for kind, _ in kinds]
        self.nodes.append(helper.make_node("Split", [joined, "thirds"], parts, name + "split", axis=-1))
        return parts

    def _read(self, source: str) -> _Dense:
        return _Dense(self._weights[source + ".weight"].T, self._weights[source + ".bias"])

    def _smoothed_product(self, states: str, dense: _Dense, name: str) -> str:
        """Multiply; the extent of large states is shared with their weights, which leaves the product the same."""
        weight, extent = dense.weight, self._seen[states].extent
        divisors = np.sqrt(np.maximum(extent, _SMALLEST) / np.maximum(np.abs(weight).max(axis=1), _SMALLEST))
        # On a grid, so that another machine's rounding finds the same.
        divisors = np.exp2(np.round(np.log2(divisors) * 4) / 4)
        self.constant(name + "_smoothing", 1 / divisors, np.float32)
        smoothed = self.node("Mul", [states, name + "_smoothing"], name + "_smoothed")
        levels = self._levels(smoothed, self._hidden, name)
        mean = self._seen[states].mean / divisors
        return self._product(levels, _Dense(weight * divisors[:, None], dense.bias), mean, name)

    def _product(self, levels: _Levels, dense: _Dense, mean: Array, name: str) -> str:
        """Multiply in int8; ``mean`` is that of the inputs, by which rounding the weights would shift the outputs."""
        scales = np.maximum(np.abs(dense.weight).max(axis=0), _SMALLEST) / _WEIGHT_LEVELS
        rounded = np.round(dense.weight / scales)
        self.constant(name + "_w", rounded, np.int8)
        self.constant(name + "_ws", scales, np.float32)
        shift = np.einsum("i,io->o", mean, rounded * scales - dense.weight)
        self.constant(name + "_b", dense.bias - shift, np.float32)
        inputs = [levels.values, name + "_w", "one", name + "_ws", levels.zero]
        # The runtime's own fusion of MatMulInteger, Cast and Mul: one pass instead of three.
        product = self.node("MatMulIntegerToFloat", inputs, name + "_i", _MICROSOFT)
        product = self.node("Mul", [product, levels.scales], name + "_s")
        return self.node("Add", [product, name + "_b"], name)

    def _levels(self, states: str, width: int, name: str) -> _Levels:
        """Quantise states on both sides of zero; ``width`` is how many values a token has."""
        extent = self.node("ReduceMax", [self.node("Abs", [states], name + "_abs"), "last_axis"], name + "_max")
        scales = self.node(
            "Max", [self.node("Mul", [extent, "per_level"], name + "_per_level"), "smallest"], name + "_sc"
        )
        return self._quantised(states, width, _Scale(scales, "middle", _MIDDLE_LEVEL), name)

    def _levels_of_gelu(self, states: str, width: int, name: str) -> _Levels:
        """Quantise values of which none is below GELU's minimum."""
        extent = self.node("ReduceMax", [states, "last_axis"], name + "_max")
        per_level = self.node("Mul", [extent, "gelu_per_level"], name + "_per_level")
        scales = self.node("Max", [per_level, "gelu_least_scale"], name + "_sc")
        return self._quantised(states, width, _Scale(scales, "gelu_zero", _GELU_ZERO_LEVEL), name)

    def _quantised(self, states: str, width: int, scale: _Scale, name: str) -> _Levels:
        # QuantizeLinear knows a scale per row, of a matrix.
        rows = self.constant(name + "_rows", [-1, width], np.int64)
        flat = self.node("Reshape", [states, rows], name + "_flat")
        flat_scales = self.node("Reshape", [scale.name, "last_axis"], name + "_flat_scales")
        zero = helper.make_tensor(name + "_zero", TensorProto.UINT8, [1], [scale.zero_level])
        count = self.node("Shape", [flat_scales], name + "_count")
        zeros = self.node("ConstantOfShape", [count], name + "_zeros", value=zero)
        levels = self.node("QuantizeLinear", [flat, flat_scales, zeros], name + "_flat_levels", axis=0)
        shape = self.node("Shape", [states], name + "_shape")
        return _Levels(self.node("Reshape", [levels, shape], name + "_levels"), scale.name, scale.zero)

    def _layer_norm(self, states: str, source: str, name: str) -> str:
        gain = self.constant(name + "_gain", self._weights[source + ".weight"], np.float32)
        bias = self.constant(name + "_bias", self._weights[source + ".bias"], np.float32)
        epsilon = self._config.layer_norm_eps
        return self.node("LayerNormalization", [states, gain, bias], name, axis=-1, epsilon=epsilon)

    def _pool(self, states: str, pooling: Pooling) -> None:
        if pooling == "cls":
            first = self.node("Gather", [states, self.constant("first_token", 0, np.int64)], "first_states", axis=1)
            self.node("LpNormalization", [first], OUTPUT, axis=-1, p=2)
            return
        mask = self.node("Unsqueeze", ["mask", "last_axis"], "mask_by_token")
        total = self.node("ReduceSum", [self.node("Mul", [states, mask], "present"), "token_axis"], "sum", keepdims=0)
        count = self.node("ReduceSum", ["mask", "token_axis"], "count", keepdims=1)
        self.node("LpNormalization", [self.node("Div", [total, count], "mean")], OUTPUT, axis=-1, p=2)
