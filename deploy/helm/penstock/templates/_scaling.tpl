{{/*
What says how many there should be: one table for KEDA, for an HPA and for the rules of its adapter. As JSON, a list of
{name, query, target} for (dict "root" $ "role" NAME). A query yields one number, of all pods together: first their sum, then its
mean over time, as the mean of each pod counts what new ones took over from old ones twice (make bench-autoscaling).
*/}}
{{- define "penstock.demand" -}}
{{- $scaling := .root.Values.scaling -}}
{{- $scope := printf "namespace=%q" .root.Release.Namespace -}}
{{- $found := list -}}
{{- if eq .role "triton" -}}
{{- $triton := .root.Values.triton.autoscaling -}}
{{- $upstreams := printf "%s,upstream=~%q" $scope (join "|" $triton.upstreams) -}}
{{- $requests := printf "penstock_upstream_requests_inside{%s} + penstock_upstream_requests_waiting{%s}" $upstreams $upstreams -}}
{{- /* Of the inference service, which is there when no Triton is. */ -}}
{{- $found = append $found (dict "name" "requests" "target" $triton.requests
      "query" (printf "avg_over_time(sum(%s)[%s:15s])" $requests $scaling.window)) -}}
{{- $found = append $found (dict "name" "requests-now" "target" (mul 2 $triton.requests)
      "query" (printf "max_over_time(sum(%s)[%s:15s])" $requests $scaling.panicWindow)) -}}
{{- /* Of the gateways: whoever asks while there is none is refused at once, so that nothing waits. Any rate wakes one pod. */ -}}
{{- if $triton.publicModels -}}
{{- $found = append $found (dict "name" "wake-up" "target" 1000000
      "query" (printf "sum(rate(penstock_requests_total{%s,model=~%q}[%s])) or 0 * max(up{job=\"penstock\",role=\"gateway\",%s})" $scope (join "|" $triton.publicModels) $scaling.window $scope)) -}}
{{- end -}}
{{- /* Of the pods: where there are none, the demand above decides, and these say 0 as long as inference is seen. */ -}}
{{- $pods := printf "count(up{job=\"triton\",%s} == 1)" $scope -}}
{{- $none := printf "or 0 * max(up{job=\"penstock\",role=\"inference\",%s})" $scope -}}
{{- $found = append $found (dict "name" "waiting" "target" $triton.waiting
      "query" (printf "(sum(nv_inference_pending_request_count{%s}) + (sum(vllm:num_requests_waiting{%s}) or vector(0))) %s" $scope $scope $none)) -}}
{{- /* A share of each pod, so that all pods together are the number of pods times it. */ -}}
{{- $found = append $found (dict "name" "queue-per-compute" "target" $triton.queuePerCompute
      "query" (printf "(%s * sum(rate(nv_inference_queue_duration_us{%s}[%s])) / (sum(rate(nv_inference_compute_infer_duration_us{%s}[%s])) > 0)) %s" $pods $scope $scaling.window $scope $scaling.window $none)) -}}
{{- $found = append $found (dict "name" "kv-cache" "target" $triton.kvCacheUse
      "query" (printf "sum(vllm:kv_cache_usage_perc{%s}) %s" $scope $none)) -}}
{{- else if eq .role "gateway" -}}
{{- $found = append $found (dict "name" "in-flight" "target" $scaling.inFlight.gateway
      "query" (printf "avg_over_time(sum(penstock_requests_in_flight{%s,role=\"gateway\"})[%s:15s])" $scope $scaling.window)) -}}
{{- $found = append $found (dict "name" "in-flight-now" "target" (mul 2 $scaling.inFlight.gateway)
      "query" (printf "max_over_time(sum(penstock_requests_in_flight{%s,role=\"gateway\"})[%s:15s])" $scope $scaling.panicWindow)) -}}
{{- else if hasKey $scaling.inFlight .role -}}
{{- $target := get $scaling.inFlight .role -}}
{{- $found = append $found (dict "name" "in-flight" "target" $target
      "query" (printf "avg_over_time(sum(penstock_service_calls_in_flight{%s,service=%q})[%s:15s])" $scope .role $scaling.window)) -}}
{{- $found = append $found (dict "name" "in-flight-now" "target" (mul 2 $target)
      "query" (printf "max_over_time(sum(penstock_service_calls_in_flight{%s,service=%q})[%s:15s])" $scope .role $scaling.panicWindow)) -}}
{{- else if eq .role "worker" -}}
{{- /* max, not sum: each process tells of the whole queue. */ -}}
{{- $found = append $found (dict "name" "jobs-queued" "target" $scaling.worker.jobs
      "query" (printf "sum(max by (priority) (penstock_jobs_depth{state=\"queued\",%s}))" $scope)) -}}
{{- $found = append $found (dict "name" "jobs-oldest-wait" "target" $scaling.worker.waitSeconds
      "query" (printf "max(penstock_jobs_oldest_wait_seconds{%s})" $scope)) -}}
{{- end -}}
{{- /* The mean wait for the event loop, times the pods, so that it is one of each: near nothing until a loop is full. */ -}}
{{- if hasKey $scaling.inFlight .role -}}
{{- $pods := printf "count(up{job=\"penstock\",role=%q,%s} == 1)" .role $scope -}}
{{- $lag := printf "penstock_event_loop_lag_seconds" -}}
{{- $found = append $found (dict "name" "loop-lag" "target" $scaling.loopLagSeconds
      "query" (printf "%s * sum(rate(%s_sum{%s,role=%q}[%s])) / sum(rate(%s_count{%s,role=%q}[%s]))" $pods $lag $scope .role $scaling.window $lag $scope .role $scaling.window)) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Names of the adapter's metrics: one word, of the role and what is measured. */}}
{{- define "penstock.demand.metric" -}}
{{- printf "%s_%s_%s" (include "penstock.name" .root) .role .name | replace "-" "_" -}}
{{- end -}}

{{- define "penstock.behavior" -}}
{{- $up := .Values.scaling.up -}}
{{- $down := .Values.scaling.down -}}
scaleUp:
  stabilizationWindowSeconds: {{ int $up.windowSeconds }}
  selectPolicy: Max
  policies:
    - {type: Percent, value: {{ int $up.percent }}, periodSeconds: {{ int $up.periodSeconds }}}
    - {type: Pods, value: {{ int $up.pods }}, periodSeconds: {{ int $up.periodSeconds }}}
scaleDown:
  stabilizationWindowSeconds: {{ int $down.windowSeconds }}
  policies: [{type: Percent, value: {{ int $down.percent }}, periodSeconds: {{ int $down.periodSeconds }}}]
{{- end -}}

{{/* (dict "root" $ "role" NAME "bounds" DICT) */}}
{{- define "penstock.scaledobject" -}}
{{- $scaling := .root.Values.scaling -}}
{{- $name := include "penstock.name" .root -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "penstock.metadata" (dict "root" .root "component" .role) | nindent 2 }}
spec:
  scaleTargetRef: {name: {{ $name }}-{{ .role }}}
  minReplicaCount: {{ int .bounds.min }}
  maxReplicaCount: {{ int .bounds.max }}
  pollingInterval: {{ int $scaling.pollingSeconds }}
  cooldownPeriod: {{ int $scaling.cooldownSeconds }}
  {{- /* From none there is none: KEDA takes a fallback for work and would wake a GPU for a Prometheus that is away, or with
        0 replicas end what runs. Without one an error changes nothing. */}}
  {{- if and (ne .role "worker") (or (ne .role "triton") (gt (int .bounds.min) 0)) }}
  # Prometheus may be away: never fewer for that.
  fallback:
    failureThreshold: {{ int $scaling.fallback.failureThreshold }}
    replicas: {{ ternary (int .bounds.min) (int $scaling.fallback.replicas) (eq .role "triton") }}
    behavior: currentReplicasIfHigher
  {{- end }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "penstock.behavior" .root | nindent 8 }}
  triggers:
    {{- if eq .role "worker" }}
    # The database is asked, as nobody shows metrics while there are no workers.
    {{- $due := "state = 'queued' AND due_ms <= extract(epoch FROM now()) * 1000" }}
    {{- range list
          (list $scaling.worker.jobs (printf "SELECT count(*) FROM jobs WHERE state = 'running' OR (%s)" $due))
          (list $scaling.worker.waitSeconds (printf "SELECT coalesce(max(extract(epoch FROM now()) - due_ms / 1000.0), 0) FROM jobs WHERE %s" $due)) }}
    - type: postgresql
      metricType: AverageValue
      metadata:
        host: {{ include "penstock.host" (dict "root" $.root "engine" "postgres" "given" $.root.Values.postgres.host) | quote }}
        port: {{ $.root.Values.postgres.port | quote }}
        userName: {{ $.root.Values.postgres.user | quote }}
        dbName: {{ $.root.Values.postgres.database | quote }}
        sslmode: {{ regexFind "sslmode=[a-z-]+" $.root.Values.postgres.parameters | trimPrefix "sslmode=" | default "disable" }}
        targetQueryValue: {{ index . 0 | quote }}
        activationTargetQueryValue: '0'
        query: {{ index . 1 | quote }}
      authenticationRef: {name: {{ $name }}-worker}
    {{- end }}
    {{- else }}
    {{- range include "penstock.demand" (dict "root" .root "role" .role) | fromJsonArray }}
    - type: prometheus
      name: {{ .name }}
      metricType: AverageValue
      metadata:
        serverAddress: {{ $scaling.prometheus.serverAddress | quote }}
        query: {{ .query | quote }}
        threshold: {{ .target | quote }}
        activationThreshold: '0'
        # A question without an answer is no answer of 0: then it is the fallback's turn.
        ignoreNullValues: 'false'
      {{- with $scaling.prometheus.authenticationRef }}
      authenticationRef: {name: {{ . }}}
      {{- end }}
    {{- end }}
    {{- if ne .role "triton" }}
    - type: cpu
      metricType: Utilization
      metadata: {value: {{ $scaling.cpuPercent | quote }}}
    {{- end }}
    {{- end }}
{{- if eq .role "worker" }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "penstock.metadata" (dict "root" .root "component" .role) | nindent 2 }}
spec:
  secretTargetRef: [{parameter: password, name: {{ include "penstock.secret" .root }}, key: postgres-password}]
{{- end }}
{{- end -}}

{{- define "penstock.hpa" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "penstock.metadata" (dict "root" .root "component" .role) | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ include "penstock.name" .root }}-{{ .role }}}
  minReplicas: {{ int .bounds.min }}
  maxReplicas: {{ int .bounds.max }}
  behavior:
    {{- include "penstock.behavior" .root | nindent 4 }}
  metrics:
    {{- $role := .role }}
    {{- range include "penstock.demand" (dict "root" .root "role" .role) | fromJsonArray }}
    - type: External
      external:
        metric: {name: {{ include "penstock.demand.metric" (dict "root" $.root "role" $role "name" .name) }}}
        target: {type: AverageValue, averageValue: {{ .target | quote }}}
    {{- end }}
    {{- if not (has .role (list "triton" "worker")) }}
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: {{ int .root.Values.scaling.cpuPercent }}}}
    {{- end }}
{{- end -}}
