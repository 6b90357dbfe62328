{{/* penstock.yaml: what the chart knows, and `configuration` over it. */}}

{{/* (dict "root" $ "engine" NAME "at" VALUES) */}}
{{- define "penstock.redis" -}}
{{- $host := include "penstock.host" (dict "root" .root "engine" .engine "given" .at.host) -}}
{{- printf "%s://:${file:/run/secrets/redis-password}@%s:%d/%d" (ternary "rediss" "redis" .at.tls) $host (int .at.port) (int .at.database) -}}
{{- end -}}

{{- define "penstock.sql" -}}
{{- $at := .Values.postgres -}}
{{- $host := include "penstock.host" (dict "root" . "engine" "postgres" "given" $at.host) -}}
{{- $parameters := ternary (printf "?%s" $at.parameters) "" (ne $at.parameters "") -}}
{{- printf "postgresql://%s:${file:/run/secrets/postgres-password}@%s:%d/%s%s" $at.user $host (int $at.port) $at.database $parameters -}}
{{- end -}}

{{- define "penstock.qdrant" -}}
{{- if .Values.engines.enabled }}http://{{ include "penstock.name" . }}-qdrant:6334{{ else }}{{ .Values.qdrant.url }}{{ end -}}
{{- end -}}

{{/* Names in certificates are names of Services; nobody else may call. */}}
{{- define "penstock.configuration.own" -}}
{{- $name := include "penstock.name" . -}}
{{- $stream := printf "%ds" (int .Values.longestStreamSeconds) -}}
listen:
  grpc: 0.0.0.0:8081
  tls: {{ if .Values.gateway.tlsSecret }}{cert_file: /run/public-tls/tls.crt, key_file: /run/public-tls/tls.key}{{ else }}{cert_file: /run/tls/cert.pem, key_file: /run/tls/key.pem}{{ end }}
services:
  gateway: {listen: '0.0.0.0:8082'}
  {{- range $role, $port := dict "router" 9002 "cache" 9003 "embedding" 9004 "inference" 9005 }}
  {{ $role }}: {target: 'dns:///{{ $name }}-{{ $role }}:{{ $port }}', listen: '0.0.0.0:{{ $port }}'}
  {{- end }}
  worker: {listen: '0.0.0.0:9006'}
  tls: {cert_file: /run/tls/cert.pem, key_file: /run/tls/key.pem, ca_file: /run/tls/ca.pem}
  peers:
    gateway: ['{{ $name }}-edge']
    {{- range $role := list "router" "cache" "inference" }}
    {{ $role }}: ['{{ $name }}-gateway', '{{ $name }}-worker']
    {{- end }}
    embedding: ['{{ $name }}-gateway', '{{ $name }}-worker', '{{ $name }}-cache']
  connection_grace: {{ $stream }}
  drain_notice: {{ int .Values.drainNoticeSeconds }}s
  probes_listen: 0.0.0.0:9465
gateway: {stream_timeout: {{ $stream }}}
jobs: {run_here: false}
redis:
  state: '{{ include "penstock.redis" (dict "root" . "engine" "redis-state" "at" .Values.redis.state) }}'
  cache: '{{ include "penstock.redis" (dict "root" . "engine" "redis-cache" "at" .Values.redis.cache) }}'
sql: '{{ include "penstock.sql" . }}'
{{- with include "penstock.qdrant" . }}
qdrant: {url: '{{ . }}', api_key: '${file:/run/secrets/qdrant-key}'}
{{- end }}
embedding: {cache_dir: /var/cache/penstock}
secrets:
  key_pepper_file: /run/secrets/key-pepper
  cache_key_file: /run/secrets/cache-key
  knowledge_key_file: /run/secrets/knowledge-key
  edge_token_file: /run/secrets/edge-token
telemetry:
  {{- with .Values.telemetry.otlp }}
  otlp: {{ . | quote }}
  {{- end }}
  sample_ratio: {{ .Values.telemetry.sampleRatio }}
  metrics_listen: 0.0.0.0:9464
{{- end -}}

{{- define "penstock.configuration" -}}
{{- $own := include "penstock.configuration.own" . | fromYaml -}}
{{- include "penstock.over" (list $own .Values.configuration) | fromJson | toYaml -}}
{{- end -}}
