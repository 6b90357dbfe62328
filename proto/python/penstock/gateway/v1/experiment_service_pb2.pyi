from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListExperimentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListExperimentsResponse(_message.Message):
    __slots__ = ("experiments",)
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    experiments: _containers.RepeatedCompositeFieldContainer[Experiment]
    def __init__(self, experiments: _Optional[_Iterable[_Union[Experiment, _Mapping]]] = ...) -> None: ...

class GetExperimentRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetExperimentResponse(_message.Message):
    __slots__ = ("experiment", "results", "mismatch_probability", "has_mismatch", "stop_reason")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    MISMATCH_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    HAS_MISMATCH_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    results: _containers.RepeatedCompositeFieldContainer[ExperimentResult]
    mismatch_probability: float
    has_mismatch: bool
    stop_reason: str
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ..., results: _Optional[_Iterable[_Union[ExperimentResult, _Mapping]]] = ..., mismatch_probability: _Optional[float] = ..., has_mismatch: bool = ..., stop_reason: _Optional[str] = ...) -> None: ...

class StopExperimentRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class StopExperimentResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ...) -> None: ...

class StartExperimentRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class StartExperimentResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ...) -> None: ...

class PromoteVariantRequest(_message.Message):
    __slots__ = ("name", "variant")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    name: str
    variant: str
    def __init__(self, name: _Optional[str] = ..., variant: _Optional[str] = ...) -> None: ...

class PromoteVariantResponse(_message.Message):
    __slots__ = ("experiment",)
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    experiment: Experiment
    def __init__(self, experiment: _Optional[_Union[Experiment, _Mapping]] = ...) -> None: ...

class Experiment(_message.Message):
    __slots__ = ("name", "models", "unit", "variants", "is_shadow", "is_adaptive", "state", "is_running", "promoted_variant", "reason", "changed_at", "starts_at", "ends_at", "minimum_samples", "prompt")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Experiment.State]
        STATE_RUNNING: _ClassVar[Experiment.State]
        STATE_STOPPED: _ClassVar[Experiment.State]
        STATE_PROMOTED: _ClassVar[Experiment.State]
    STATE_UNSPECIFIED: Experiment.State
    STATE_RUNNING: Experiment.State
    STATE_STOPPED: Experiment.State
    STATE_PROMOTED: Experiment.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    IS_SHADOW_FIELD_NUMBER: _ClassVar[int]
    IS_ADAPTIVE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    PROMOTED_VARIANT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTS_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    name: str
    models: _containers.RepeatedScalarFieldContainer[str]
    unit: str
    variants: _containers.RepeatedCompositeFieldContainer[ExperimentVariant]
    is_shadow: bool
    is_adaptive: bool
    state: Experiment.State
    is_running: bool
    promoted_variant: str
    reason: str
    changed_at: _timestamp_pb2.Timestamp
    starts_at: _timestamp_pb2.Timestamp
    ends_at: _timestamp_pb2.Timestamp
    minimum_samples: int
    prompt: str
    def __init__(self, name: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., unit: _Optional[str] = ..., variants: _Optional[_Iterable[_Union[ExperimentVariant, _Mapping]]] = ..., is_shadow: bool = ..., is_adaptive: bool = ..., state: _Optional[_Union[Experiment.State, str]] = ..., is_running: bool = ..., promoted_variant: _Optional[str] = ..., reason: _Optional[str] = ..., changed_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., starts_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., ends_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., minimum_samples: _Optional[int] = ..., prompt: _Optional[str] = ...) -> None: ...

class ExperimentVariant(_message.Message):
    __slots__ = ("name", "share", "model", "units", "prompt")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    name: str
    share: float
    model: str
    units: int
    prompt: str
    def __init__(self, name: _Optional[str] = ..., share: _Optional[float] = ..., model: _Optional[str] = ..., units: _Optional[int] = ..., prompt: _Optional[str] = ...) -> None: ...

class ExperimentResult(_message.Message):
    __slots__ = ("variant", "verdict", "words", "comparisons")
    class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VERDICT_UNSPECIFIED: _ClassVar[ExperimentResult.Verdict]
        VERDICT_TOO_FEW: _ClassVar[ExperimentResult.Verdict]
        VERDICT_UNDECIDED: _ClassVar[ExperimentResult.Verdict]
        VERDICT_BETTER: _ClassVar[ExperimentResult.Verdict]
        VERDICT_WORSE: _ClassVar[ExperimentResult.Verdict]
        VERDICT_AS_GOOD: _ClassVar[ExperimentResult.Verdict]
        VERDICT_HARMS: _ClassVar[ExperimentResult.Verdict]
    VERDICT_UNSPECIFIED: ExperimentResult.Verdict
    VERDICT_TOO_FEW: ExperimentResult.Verdict
    VERDICT_UNDECIDED: ExperimentResult.Verdict
    VERDICT_BETTER: ExperimentResult.Verdict
    VERDICT_WORSE: ExperimentResult.Verdict
    VERDICT_AS_GOOD: ExperimentResult.Verdict
    VERDICT_HARMS: ExperimentResult.Verdict
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    COMPARISONS_FIELD_NUMBER: _ClassVar[int]
    variant: str
    verdict: ExperimentResult.Verdict
    words: str
    comparisons: _containers.RepeatedCompositeFieldContainer[MetricComparison]
    def __init__(self, variant: _Optional[str] = ..., verdict: _Optional[_Union[ExperimentResult.Verdict, str]] = ..., words: _Optional[str] = ..., comparisons: _Optional[_Iterable[_Union[MetricComparison, _Mapping]]] = ...) -> None: ...

class MetricComparison(_message.Message):
    __slots__ = ("metric", "more_is_better", "control_count", "variant_count", "control_mean", "variant_mean", "difference", "relative", "guardrail", "is_harmful")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    MORE_IS_BETTER_FIELD_NUMBER: _ClassVar[int]
    CONTROL_COUNT_FIELD_NUMBER: _ClassVar[int]
    VARIANT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONTROL_MEAN_FIELD_NUMBER: _ClassVar[int]
    VARIANT_MEAN_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_FIELD_NUMBER: _ClassVar[int]
    GUARDRAIL_FIELD_NUMBER: _ClassVar[int]
    IS_HARMFUL_FIELD_NUMBER: _ClassVar[int]
    metric: str
    more_is_better: bool
    control_count: int
    variant_count: int
    control_mean: float
    variant_mean: float
    difference: ConfidenceInterval
    relative: ConfidenceInterval
    guardrail: float
    is_harmful: bool
    def __init__(self, metric: _Optional[str] = ..., more_is_better: bool = ..., control_count: _Optional[int] = ..., variant_count: _Optional[int] = ..., control_mean: _Optional[float] = ..., variant_mean: _Optional[float] = ..., difference: _Optional[_Union[ConfidenceInterval, _Mapping]] = ..., relative: _Optional[_Union[ConfidenceInterval, _Mapping]] = ..., guardrail: _Optional[float] = ..., is_harmful: bool = ...) -> None: ...

class ConfidenceInterval(_message.Message):
    __slots__ = ("estimate", "low", "high")
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    estimate: float
    low: float
    high: float
    def __init__(self, estimate: _Optional[float] = ..., low: _Optional[float] = ..., high: _Optional[float] = ...) -> None: ...
