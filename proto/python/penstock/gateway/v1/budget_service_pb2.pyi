from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BudgetScopeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_SCOPE_KIND_UNSPECIFIED: _ClassVar[BudgetScopeKind]
    BUDGET_SCOPE_KIND_TENANT: _ClassVar[BudgetScopeKind]
    BUDGET_SCOPE_KIND_TEAM: _ClassVar[BudgetScopeKind]
    BUDGET_SCOPE_KIND_USER: _ClassVar[BudgetScopeKind]
    BUDGET_SCOPE_KIND_KEY: _ClassVar[BudgetScopeKind]
    BUDGET_SCOPE_KIND_MODEL: _ClassVar[BudgetScopeKind]
    BUDGET_SCOPE_KIND_FEATURE: _ClassVar[BudgetScopeKind]

class BudgetPeriod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_PERIOD_UNSPECIFIED: _ClassVar[BudgetPeriod]
    BUDGET_PERIOD_DAY: _ClassVar[BudgetPeriod]
    BUDGET_PERIOD_WEEK: _ClassVar[BudgetPeriod]
    BUDGET_PERIOD_MONTH: _ClassVar[BudgetPeriod]
    BUDGET_PERIOD_TOTAL: _ClassVar[BudgetPeriod]

class BudgetKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BUDGET_KIND_UNSPECIFIED: _ClassVar[BudgetKind]
    BUDGET_KIND_HARD: _ClassVar[BudgetKind]
    BUDGET_KIND_SOFT: _ClassVar[BudgetKind]
BUDGET_SCOPE_KIND_UNSPECIFIED: BudgetScopeKind
BUDGET_SCOPE_KIND_TENANT: BudgetScopeKind
BUDGET_SCOPE_KIND_TEAM: BudgetScopeKind
BUDGET_SCOPE_KIND_USER: BudgetScopeKind
BUDGET_SCOPE_KIND_KEY: BudgetScopeKind
BUDGET_SCOPE_KIND_MODEL: BudgetScopeKind
BUDGET_SCOPE_KIND_FEATURE: BudgetScopeKind
BUDGET_PERIOD_UNSPECIFIED: BudgetPeriod
BUDGET_PERIOD_DAY: BudgetPeriod
BUDGET_PERIOD_WEEK: BudgetPeriod
BUDGET_PERIOD_MONTH: BudgetPeriod
BUDGET_PERIOD_TOTAL: BudgetPeriod
BUDGET_KIND_UNSPECIFIED: BudgetKind
BUDGET_KIND_HARD: BudgetKind
BUDGET_KIND_SOFT: BudgetKind

class Grace(_message.Message):
    __slots__ = ("amount_nano_usd", "until", "reason", "granted_by", "granted_at")
    AMOUNT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    GRANTED_BY_FIELD_NUMBER: _ClassVar[int]
    GRANTED_AT_FIELD_NUMBER: _ClassVar[int]
    amount_nano_usd: int
    until: _timestamp_pb2.Timestamp
    reason: str
    granted_by: str
    granted_at: _timestamp_pb2.Timestamp
    def __init__(self, amount_nano_usd: _Optional[int] = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., granted_by: _Optional[str] = ..., granted_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("id", "tenant", "name", "scope_kind", "scope_name", "amount_nano_usd", "period", "kind", "alert_percents", "alerts_projected", "webhook", "graces", "is_configured", "is_operators", "time_zone", "created_at", "created_by")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SCOPE_KIND_FIELD_NUMBER: _ClassVar[int]
    SCOPE_NAME_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ALERT_PERCENTS_FIELD_NUMBER: _ClassVar[int]
    ALERTS_PROJECTED_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    GRACES_FIELD_NUMBER: _ClassVar[int]
    IS_CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    IS_OPERATORS_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant: str
    name: str
    scope_kind: BudgetScopeKind
    scope_name: str
    amount_nano_usd: int
    period: BudgetPeriod
    kind: BudgetKind
    alert_percents: _containers.RepeatedScalarFieldContainer[int]
    alerts_projected: bool
    webhook: str
    graces: _containers.RepeatedCompositeFieldContainer[Grace]
    is_configured: bool
    is_operators: bool
    time_zone: str
    created_at: _timestamp_pb2.Timestamp
    created_by: str
    def __init__(self, id: _Optional[str] = ..., tenant: _Optional[str] = ..., name: _Optional[str] = ..., scope_kind: _Optional[_Union[BudgetScopeKind, str]] = ..., scope_name: _Optional[str] = ..., amount_nano_usd: _Optional[int] = ..., period: _Optional[_Union[BudgetPeriod, str]] = ..., kind: _Optional[_Union[BudgetKind, str]] = ..., alert_percents: _Optional[_Iterable[int]] = ..., alerts_projected: bool = ..., webhook: _Optional[str] = ..., graces: _Optional[_Iterable[_Union[Grace, _Mapping]]] = ..., is_configured: bool = ..., is_operators: bool = ..., time_zone: _Optional[str] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., created_by: _Optional[str] = ...) -> None: ...

class BudgetStanding(_message.Message):
    __slots__ = ("period_start", "resets_at", "limit_nano_usd", "spent_nano_usd", "reserved_nano_usd", "remaining_nano_usd", "projected_nano_usd")
    PERIOD_START_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    SPENT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    RESERVED_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    REMAINING_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    PROJECTED_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    period_start: _timestamp_pb2.Timestamp
    resets_at: _timestamp_pb2.Timestamp
    limit_nano_usd: int
    spent_nano_usd: int
    reserved_nano_usd: int
    remaining_nano_usd: int
    projected_nano_usd: int
    def __init__(self, period_start: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., resets_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., limit_nano_usd: _Optional[int] = ..., spent_nano_usd: _Optional[int] = ..., reserved_nano_usd: _Optional[int] = ..., remaining_nano_usd: _Optional[int] = ..., projected_nano_usd: _Optional[int] = ...) -> None: ...

class BudgetLine(_message.Message):
    __slots__ = ("budget", "standing")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    standing: BudgetStanding
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ..., standing: _Optional[_Union[BudgetStanding, _Mapping]] = ...) -> None: ...

class CreateBudgetRequest(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ...) -> None: ...

class CreateBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ...) -> None: ...

class GetBudgetRequest(_message.Message):
    __slots__ = ("name", "tenant")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: str
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class GetBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ...) -> None: ...

class ListBudgetsRequest(_message.Message):
    __slots__ = ("tenant", "over_percent", "page_size", "page_token")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    OVER_PERCENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    over_percent: int
    page_size: int
    page_token: str
    def __init__(self, tenant: _Optional[str] = ..., over_percent: _Optional[int] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBudgetsResponse(_message.Message):
    __slots__ = ("budgets", "next_page_token")
    BUDGETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    budgets: _containers.RepeatedCompositeFieldContainer[BudgetLine]
    next_page_token: str
    def __init__(self, budgets: _Optional[_Iterable[_Union[BudgetLine, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateBudgetRequest(_message.Message):
    __slots__ = ("budget", "update_mask")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateBudgetResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ...) -> None: ...

class DeleteBudgetRequest(_message.Message):
    __slots__ = ("name", "tenant")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: str
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class DeleteBudgetResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GrantGraceRequest(_message.Message):
    __slots__ = ("name", "tenant", "amount_nano_usd", "until", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_NANO_USD_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: str
    amount_nano_usd: int
    until: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[str] = ..., amount_nano_usd: _Optional[int] = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class GrantGraceResponse(_message.Message):
    __slots__ = ("budget",)
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ...) -> None: ...

class GetStandingRequest(_message.Message):
    __slots__ = ("name", "tenant")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: str
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[str] = ...) -> None: ...

class GetStandingResponse(_message.Message):
    __slots__ = ("budget", "standing")
    BUDGET_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    budget: Budget
    standing: BudgetStanding
    def __init__(self, budget: _Optional[_Union[Budget, _Mapping]] = ..., standing: _Optional[_Union[BudgetStanding, _Mapping]] = ...) -> None: ...

class ExplainLimitsRequest(_message.Message):
    __slots__ = ("key_id", "tenant", "team", "user_id", "model", "feature")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    tenant: str
    team: str
    user_id: str
    model: str
    feature: str
    def __init__(self, key_id: _Optional[str] = ..., tenant: _Optional[str] = ..., team: _Optional[str] = ..., user_id: _Optional[str] = ..., model: _Optional[str] = ..., feature: _Optional[str] = ...) -> None: ...

class BindingLimit(_message.Message):
    __slots__ = ("name", "source", "scope", "allowance", "measure", "amount", "used", "reserved", "remaining", "resets_at", "is_shadow", "binds_first")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ALLOWANCE_FIELD_NUMBER: _ClassVar[int]
    MEASURE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    RESETS_AT_FIELD_NUMBER: _ClassVar[int]
    IS_SHADOW_FIELD_NUMBER: _ClassVar[int]
    BINDS_FIRST_FIELD_NUMBER: _ClassVar[int]
    name: str
    source: str
    scope: str
    allowance: str
    measure: str
    amount: int
    used: int
    reserved: int
    remaining: int
    resets_at: _timestamp_pb2.Timestamp
    is_shadow: bool
    binds_first: bool
    def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ..., scope: _Optional[str] = ..., allowance: _Optional[str] = ..., measure: _Optional[str] = ..., amount: _Optional[int] = ..., used: _Optional[int] = ..., reserved: _Optional[int] = ..., remaining: _Optional[int] = ..., resets_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., is_shadow: bool = ..., binds_first: bool = ...) -> None: ...

class ExplainLimitsResponse(_message.Message):
    __slots__ = ("limits", "tenant", "team", "user_id", "key_id")
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TEAM_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    limits: _containers.RepeatedCompositeFieldContainer[BindingLimit]
    tenant: str
    team: str
    user_id: str
    key_id: str
    def __init__(self, limits: _Optional[_Iterable[_Union[BindingLimit, _Mapping]]] = ..., tenant: _Optional[str] = ..., team: _Optional[str] = ..., user_id: _Optional[str] = ..., key_id: _Optional[str] = ...) -> None: ...
