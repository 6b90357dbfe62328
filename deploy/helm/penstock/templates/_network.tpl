{{/* Who talks to whom. As JSON, so that the policies of both ends come from one table. */}}

{{/* Of the suite: caller, callee and its ports. */}}
{{- define "penstock.calls" -}}
{{- $calls := list (dict "from" "edge" "to" "gateway" "ports" (list 8081 8082)) -}}
{{- range $caller := list "gateway" "worker" -}}
{{- range $callee, $port := dict "router" 9002 "cache" 9003 "embedding" 9004 "inference" 9005 -}}
{{- $calls = append $calls (dict "from" $caller "to" $callee "ports" (list $port)) -}}
{{- end -}}
{{- end -}}
{{- $calls = append $calls (dict "from" "cache" "to" "embedding" "ports" (list 9004)) -}}
{{- if .Values.triton.enabled -}}
{{- $calls = append $calls (dict "from" "inference" "to" "triton" "ports" (list 8001)) -}}
{{- end -}}
{{- toJson $calls -}}
{{- end -}}

{{/* Engines that each role reaches. */}}
{{- define "penstock.engines.of" -}}
{{- dict
      "gateway" (list "redis-state" "redis-cache" "postgres")
      "worker" (list "redis-state" "redis-cache" "postgres")
      "router" (list "redis-state")
      "cache" (list "redis-state" "redis-cache" "qdrant")
      "embedding" (list "qdrant" "postgres")
      "inference" (list "redis-state") | toJson -}}
{{- end -}}

{{- define "penstock.egress.dns" -}}
- to:
    {{- toYaml .Values.networkPolicies.dns | nindent 4 }}
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end -}}

{{/* (dict "root" $ "engine" NAME): to the chart's own, or to the port of the given one. */}}
{{- define "penstock.egress.engine" -}}
{{- $values := .root.Values -}}
{{- $peers := dict "redis-state" $values.networkPolicies.redis "redis-cache" $values.networkPolicies.redis
      "postgres" $values.networkPolicies.postgres "qdrant" $values.networkPolicies.qdrant -}}
{{- $ports := dict "redis-state" $values.redis.state.port "redis-cache" $values.redis.cache.port "postgres" $values.postgres.port
      "qdrant" (regexFind "[0-9]+$" (default "http://qdrant:6334" $values.qdrant.url) | default "6334") -}}
- ports: [{port: {{ int (get $ports .engine) }}, protocol: TCP}]
  {{- if $values.engines.enabled }}
  to:
    - podSelector:
        matchLabels:
          {{- include "penstock.selector" (dict "root" .root "component" .engine) | nindent 10 }}
  {{- else }}
  {{- with get $peers .engine }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}
