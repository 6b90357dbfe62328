"""Who may call what. A method without a line here is denied: to everybody, whatever the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from penstock_common.errors import ScopeMissing
from penstock_gateway.domain.access.identity import KeyScope


@dataclass(frozen=True, slots=True)
class Policy:
    """What a method asks of a key: one of these scopes, the narrowest first."""

    narrowest: KeyScope
    sufficient: frozenset[KeyScope]
    takes_idempotency_key: bool = False
    """Whether the header `idempotency-key` counts: all but what looks, and may be repeated anyway."""

    @classmethod
    def any_of(cls, *scopes: KeyScope) -> Policy:
        """Return a policy that each of ``scopes`` satisfies."""
        return cls(scopes[0], frozenset(scopes))

    def require(self, scopes: frozenset[KeyScope]) -> None:
        """Check what a key may.

        Raises:
            ScopeMissing: if none of its scopes is enough.
        """
        if self.sufficient.isdisjoint(scopes):
            raise self.refusal(scopes)

    def refusal(self, scopes: frozenset[KeyScope]) -> ScopeMissing:
        """Return what a key with none of the sufficient scopes is refused with."""
        return ScopeMissing(_lacking(self.narrowest, scopes), scope=self.narrowest)


def _lacking(scope: KeyScope, scopes: frozenset[KeyScope]) -> str:
    lacks = f"The API key lacks the scope '{scope}'"
    if scope is KeyScope.INFERENCE and scopes & {KeyScope.ADMIN, KeyScope.OPERATOR}:
        return f"{lacks}: it is an administrative key, and asks no model. Make another with 'penstock keys create'."
    if scope is not KeyScope.INFERENCE and scopes == frozenset({KeyScope.INFERENCE}):
        return f"{lacks}: it asks models, and administers nothing."
    return f"{lacks}."


_FIND = Policy.any_of(KeyScope.INFERENCE, KeyScope.OPERATOR)
INFERENCE = Policy.any_of(KeyScope.INFERENCE)
_PASS = Policy.any_of(KeyScope.PASSTHROUGH)
_GIVE = Policy.any_of(KeyScope.INFERENCE, KeyScope.ADMIN, KeyScope.OPERATOR)
_SUBMIT = Policy.any_of(KeyScope.INFERENCE, KeyScope.ADMIN)
# Who asks models alone sees, and ends, what it has submitted itself.
_SEE_JOBS = Policy.any_of(KeyScope.READ, KeyScope.INFERENCE, KeyScope.ADMIN, KeyScope.OPERATOR)
_END_JOBS = Policy.any_of(KeyScope.ADMIN, KeyScope.INFERENCE, KeyScope.OPERATOR)
_LOOK = Policy.any_of(KeyScope.READ, KeyScope.ADMIN, KeyScope.OPERATOR)
_CHANGE = Policy.any_of(KeyScope.ADMIN, KeyScope.OPERATOR)
_OPERATE = Policy.any_of(KeyScope.OPERATOR)
_SEE_REVIEWS = Policy.any_of(KeyScope.READ, KeyScope.REVIEW, KeyScope.ADMIN, KeyScope.OPERATOR)
_HEAR_OF_REVIEWS = Policy.any_of(KeyScope.INFERENCE, KeyScope.READ, KeyScope.REVIEW, KeyScope.ADMIN, KeyScope.OPERATOR)
_REVIEW = Policy.any_of(KeyScope.REVIEW, KeyScope.OPERATOR)
# The wire formats know tenants alone: an operator's key has none.
_SEARCH_STORES = Policy.any_of(KeyScope.INFERENCE, KeyScope.ADMIN)
_LOOK_INTO_STORES = Policy.any_of(KeyScope.READ, KeyScope.ADMIN)
_CHANGE_STORES = Policy.any_of(KeyScope.ADMIN)
_LOOK_AT_KEPT = Policy.any_of(KeyScope.INFERENCE, KeyScope.READ, KeyScope.ADMIN)
_CHANGE_KEPT = Policy.any_of(KeyScope.INFERENCE, KeyScope.ADMIN)


# What RPCs begin with that look, and change nothing.
_LOOKS = ("Get", "List", "Diff", "Render", "Query", "Summarize", "Explain", "Watch")
_REPEATABLE = ("GET ", *_LOOKS)


def _rpcs(service: str, **policies: Policy) -> dict[str, Policy]:
    return {f"/penstock.gateway.v1.{service}/{method}": policy for method, policy in _with_keys(policies).items()}


def _with_keys(policies: Mapping[str, Policy]) -> dict[str, Policy]:
    """Return the policies, all of which take an idempotency key but those of what looks."""
    return {
        name: policy if name.startswith(_REPEATABLE) else replace(policy, takes_idempotency_key=True)
        for name, policy in policies.items()
    }


# RPCs by their path, routes of the wire formats by method and path. Health and reflection ask for no key.
POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        **_rpcs("ChatService", Chat=INFERENCE, StreamChat=INFERENCE),
        **_rpcs("ModelService", ListModels=INFERENCE, GetModel=INFERENCE, ExplainRoute=INFERENCE),
        **_rpcs("EmbeddingService", Embed=INFERENCE),
        **_rpcs("RerankService", Rerank=INFERENCE),
        **_rpcs("ModerationService", Moderate=INFERENCE),
        **_rpcs(
            "AdminService",
            CreateTenant=_OPERATE,
            GetTenant=_LOOK,
            ListTenants=_LOOK,
            UpdateTenant=_OPERATE,
            DisableTenant=_OPERATE,
            EnableTenant=_OPERATE,
            CreateKey=_CHANGE,
            ListKeys=_LOOK,
            RotateKey=_CHANGE,
            RevokeKey=_CHANGE,
            CreateTeam=_CHANGE,
            ListTeams=_LOOK,
            ArchiveTeam=_CHANGE,
            RestoreTeam=_CHANGE,
            CreateUser=_CHANGE,
            ListUsers=_LOOK,
            UpdateUser=_CHANGE,
            DisableUser=_CHANGE,
            EnableUser=_CHANGE,
            RevokeSubject=_CHANGE,
            ListRevokedSubjects=_LOOK,
            RestoreSubject=_CHANGE,
            ListAuditEntries=_LOOK,
            ClearCache=_CHANGE,
            GetCacheStats=_OPERATE,
            ListCacheEntries=_CHANGE,
            GetCacheEntry=_CHANGE,
            DeleteCacheEntries=_CHANGE,
            DisputeCacheEntry=_CHANGE,
            ImportCacheEntries=_CHANGE,
            ExplainCache=_CHANGE,
            ShredCacheTenant=_CHANGE,
            RotateCacheKeys=_CHANGE,
            ListUpstreams=_OPERATE,
            ProbeUpstream=_OPERATE,
            EjectUpstream=_OPERATE,
            RestoreUpstream=_OPERATE,
        ),
        **_rpcs(
            "PromptService",
            CreatePromptVersion=_CHANGE,
            GetPrompt=_LOOK,
            GetPromptVersion=_LOOK,
            ListPrompts=_LOOK,
            ListPromptVersions=_LOOK,
            DiffPromptVersions=_LOOK,
            RenderPrompt=_LOOK,
            SetPromptLabel=_CHANGE,
            RollBackPromptLabel=_CHANGE,
            ArchivePrompt=_CHANGE,
        ),
        **_rpcs(
            "FeedbackService",
            GiveFeedback=_GIVE,
            ListFeedback=_LOOK,
            SummarizeFeedback=_LOOK,
            DeleteFeedback=_CHANGE,
        ),
        **_rpcs(
            "WebhookService",
            CreateWebhook=_CHANGE,
            GetWebhook=_LOOK,
            ListWebhooks=_LOOK,
            UpdateWebhook=_CHANGE,
            DeleteWebhook=_CHANGE,
            RotateWebhookSecret=_CHANGE,
            TestWebhook=_CHANGE,
            ListWebhookDeliveries=_LOOK,
            RedeliverWebhook=_CHANGE,
        ),
        **_rpcs(
            "JobService",
            SubmitJob=_SUBMIT,
            GetJob=_SEE_JOBS,
            ListJobs=_SEE_JOBS,
            WatchJob=_SEE_JOBS,
            GetJobResult=_SEE_JOBS,
            CancelJob=_END_JOBS,
            DeleteJob=_END_JOBS,
            RedriveJobs=_CHANGE,
            GetJobDepths=_SEE_JOBS,
            PauseJobs=_CHANGE,
            ResumeJobs=_CHANGE,
            ListJobPauses=_SEE_JOBS,
        ),
        **_rpcs("BatchService", GetBatch=_SEE_JOBS, ListBatches=_SEE_JOBS, CancelBatch=_END_JOBS),
        **_rpcs(
            "ReviewService",
            OpenReview=_GIVE,
            ListReviews=_SEE_REVIEWS,
            GetReview=_SEE_REVIEWS,
            GetReviewOutcome=_HEAR_OF_REVIEWS,
            ClaimReview=_REVIEW,
            ClaimNextReview=_REVIEW,
            DecideReview=_REVIEW,
            ReleaseReview=_REVIEW,
            EscalateReview=_REVIEW,
            ExportReviews=_REVIEW,
        ),
        **_rpcs("UsageService", QueryUsage=_LOOK, ListRequests=_LOOK),
        **_rpcs(
            "KnowledgeService",
            CreateKnowledgeBase=_CHANGE,
            UpdateKnowledgeBase=_CHANGE,
            GetKnowledgeBase=_LOOK,
            ListKnowledgeBases=_LOOK,
            DeleteKnowledgeBase=_CHANGE,
            PutDocument=_CHANGE,
            UpdateDocument=_CHANGE,
            GetDocument=_LOOK,
            ListDocuments=_LOOK,
            ListChunks=_LOOK,
            GetOriginal=_LOOK,
            DeleteDocument=_CHANGE,
            WatchIngest=_LOOK,
            ChunkDocument=_LOOK,
            Search=_FIND,
            BuildIndex=_CHANGE,
            ListIndexes=_LOOK,
            SwitchIndex=_CHANGE,
            DropIndex=_CHANGE,
            PutEvaluation=_CHANGE,
        ),
        **_rpcs("StatusService", GetStatus=_OPERATE),
        **_rpcs(
            "BudgetService",
            CreateBudget=_CHANGE,
            GetBudget=_LOOK,
            ListBudgets=_LOOK,
            UpdateBudget=_CHANGE,
            DeleteBudget=_CHANGE,
            GrantGrace=_CHANGE,
            GetStanding=_LOOK,
            ExplainLimits=_LOOK,
        ),
        **_rpcs(
            "ExperimentService",
            ListExperiments=_OPERATE,
            GetExperiment=_OPERATE,
            StopExperiment=_OPERATE,
            StartExperiment=_OPERATE,
            PromoteVariant=_OPERATE,
        ),
        **_rpcs(
            "LedgerService",
            CorrectEntry=_OPERATE,
            ListDrift=_OPERATE,
            RebuildCounters=_OPERATE,
            ListPriceRevisions=_OPERATE,
        ),
        **_with_keys(
            {
                "POST /v1/chat/completions": INFERENCE,
                "POST /v1/responses": INFERENCE,
                "POST /v1/responses/input_tokens": INFERENCE,
                "POST /v1/responses/compact": INFERENCE,
                "GET /v1/responses/{response}": _LOOK_AT_KEPT,
                "DELETE /v1/responses/{response}": _CHANGE_KEPT,
                "POST /v1/responses/{response}/cancel": _CHANGE_KEPT,
                "GET /v1/responses/{response}/input_items": _LOOK_AT_KEPT,
                "POST /v1/messages": INFERENCE,
                "POST /v1/messages/count_tokens": INFERENCE,
                "POST /v1/messages/batches": INFERENCE,
                "GET /v1/messages/batches": _LOOK_AT_KEPT,
                "GET /v1/messages/batches/{batch}": _LOOK_AT_KEPT,
                "DELETE /v1/messages/batches/{batch}": _CHANGE_KEPT,
                "POST /v1/messages/batches/{batch}/cancel": _CHANGE_KEPT,
                "GET /v1/messages/batches/{batch}/results": _LOOK_AT_KEPT,
                "POST /v1/completions": INFERENCE,
                "POST /v1/embeddings": INFERENCE,
                "POST /v1/rerank": INFERENCE,
                "POST /v2/rerank": INFERENCE,
                "POST /v1/moderations": INFERENCE,
                "GET /v1/models": INFERENCE,
                "GET /v1/models/{id}": INFERENCE,
                "GET /v1/organization/usage/completions": _LOOK,
                "GET /v1/organization/usage/embeddings": _LOOK,
                "GET /v1/organization/costs": _LOOK,
                "GET /v1/files": _LOOK_AT_KEPT,
                "GET /v1/files/{file}": _LOOK_AT_KEPT,
                "DELETE /v1/files/{file}": _CHANGE_KEPT,
                "GET /v1/files/{file}/content": _LOOK_AT_KEPT,
                "POST /v1/batches": INFERENCE,
                "GET /v1/batches": _LOOK_AT_KEPT,
                "GET /v1/batches/{batch}": _LOOK_AT_KEPT,
                "POST /v1/batches/{batch}/cancel": _CHANGE_KEPT,
                "POST /v1/vector_stores": _CHANGE_STORES,
                "GET /v1/vector_stores": _LOOK_INTO_STORES,
                "GET /v1/vector_stores/{store}": _LOOK_INTO_STORES,
                "POST /v1/vector_stores/{store}": _CHANGE_STORES,
                "DELETE /v1/vector_stores/{store}": _CHANGE_STORES,
                "POST /v1/vector_stores/{store}/search": _SEARCH_STORES,
                "POST /v1/vector_stores/{store}/files": _CHANGE_STORES,
                "GET /v1/vector_stores/{store}/files": _LOOK_INTO_STORES,
                "GET /v1/vector_stores/{store}/files/{file}": _LOOK_INTO_STORES,
                "POST /v1/vector_stores/{store}/files/{file}": _CHANGE_STORES,
                "DELETE /v1/vector_stores/{store}/files/{file}": _CHANGE_STORES,
                "GET /v1/vector_stores/{store}/files/{file}/content": _LOOK_INTO_STORES,
                "POST /v1/vector_stores/{store}/file_batches": _CHANGE_STORES,
                "GET /v1/vector_stores/{store}/file_batches/{batch}": _LOOK_INTO_STORES,
                "POST /v1/vector_stores/{store}/file_batches/{batch}/cancel": _CHANGE_STORES,
                "GET /v1/vector_stores/{store}/file_batches/{batch}/files": _LOOK_INTO_STORES,
            }
        ),
        # What of them is for vector stores asks for ADMIN. An upload passes by in pieces, and is not compared to another.
        "POST /v1/files": _CHANGE_KEPT,
        # What passes as it is is not read, and so compared to nothing.
        **{f"{method} /passthrough/{{id}}": _PASS for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")},
    }
)


def policy_of(method: str) -> Policy:
    """Return what ``method`` asks for.

    Raises:
        ScopeMissing: if it has no line, so that nobody may call it.
    """
    policy = POLICIES.get(method)
    if policy is None:
        raise ScopeMissing("Nobody may call this method: it has no policy.")
    return policy
