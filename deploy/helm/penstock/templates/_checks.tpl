{{/* What no schema can say: values that are right by themselves and wrong together. */}}
{{- define "penstock.checks" -}}
{{- range $section := list "listen" "redis" "sql" "secrets" -}}
{{- if hasKey $.Values.configuration $section -}}
{{- fail (printf "configuration.%s: the chart writes this section itself; the values redis, postgres, gateway.tlsSecret and secrets say what it needs" $section) -}}
{{- end -}}
{{- end -}}
{{- if not .Values.engines.enabled -}}
{{- range $key, $host := dict "redis.state.host" .Values.redis.state.host "redis.cache.host" .Values.redis.cache.host "postgres.host" .Values.postgres.host -}}
{{- if not $host -}}
{{- fail (printf "%s: say where it is, or set engines.enabled to try things with the chart's own" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.secrets.external.enabled (not .Values.secrets.external.store.name) -}}
{{- fail "secrets.external.store.name: say which store External Secrets reads" -}}
{{- end -}}
{{- if and .Values.certificates.certManager.enabled (not .Values.certificates.certManager.issuer.name) -}}
{{- fail "certificates.certManager.issuer.name: say who signs" -}}
{{- end -}}
{{- if and (eq .Values.migrations.how "job") (or .Values.engines.enabled .Values.secrets.external.enabled) -}}
{{- fail "migrations.how: a hook before the installation would wait for a database or a secret that comes with it; leave it at auto" -}}
{{- end -}}
{{- range $role, $_ := .Values.roles -}}
{{- $values := include "penstock.role.values" (dict "root" $ "role" $role) | fromJson -}}
{{- if gt (int $values.autoscaling.min) (int $values.autoscaling.max) -}}
{{- fail (printf "roles.%s.autoscaling: min is more than max" $role) -}}
{{- end -}}
{{- if and (has $role (list "edge" "gateway" "inference")) (lt (int $values.graceSeconds) (int $.Values.longestStreamSeconds)) -}}
{{- fail (printf "roles.%s.graceSeconds: it would cut streams, which last up to longestStreamSeconds" $role) -}}
{{- end -}}
{{- if and (eq $role "worker") (eq $.Values.scaling.how "hpa") (eq (int $values.autoscaling.min) 0) -}}
{{- fail "roles.worker.autoscaling.min: an HPA keeps one at least; 0 is for KEDA" -}}
{{- end -}}
{{- if and (ne $role "worker") (eq (int $values.autoscaling.min) 0) -}}
{{- fail (printf "roles.%s.autoscaling.min: requests need one at least" $role) -}}
{{- end -}}
{{- end -}}
{{- if gt (int (.Values.certificates.certManager.renewBefore | trimSuffix "h")) (int (.Values.certificates.certManager.duration | trimSuffix "h")) -}}
{{- fail "certificates.certManager.renewBefore: is longer than duration" -}}
{{- end -}}
{{- with .Values.triton -}}
{{- if .enabled -}}
{{- if not .models -}}{{- fail "triton.models: name the models of the repository, which readiness asks for" -}}{{- end -}}
{{- if eq (empty .repository.claim) (empty .repository.url) -}}{{- fail "triton.repository: say a claim or an url, one of them" -}}{{- end -}}
{{- if gt (int .autoscaling.min) (int .autoscaling.max) -}}{{- fail "triton.autoscaling: min is more than max" -}}{{- end -}}
{{- if and .autoscaling.enabled (not .autoscaling.upstreams) -}}{{- fail "triton.autoscaling.upstreams: say which upstreams of configuration these pods are; demand is what waits for them" -}}{{- end -}}
{{- range $name := .autoscaling.upstreams -}}
{{- $has := false -}}
{{- range $.Values.configuration.upstreams -}}{{- if and (eq .name $name) (hasKey . "limits") -}}{{- $has = true -}}{{- end -}}{{- end -}}
{{- if and $.Values.triton.autoscaling.enabled (not $has) -}}
{{- fail (printf "triton.autoscaling.upstreams: configuration.upstreams needs '%s' with limits, such as {adaptive: true}: requests are counted where they are limited" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .autoscaling.enabled (eq (int .autoscaling.min) 0) (not .autoscaling.publicModels) -}}{{- fail "triton.autoscaling.publicModels: say what callers ask for, so that their requests wake the first pod" -}}{{- end -}}
{{- if and .autoscaling.enabled (eq (int .autoscaling.min) 0) (ne $.Values.scaling.how "keda") -}}{{- fail "triton.autoscaling.min: 0 is for KEDA, which can wake the first pod" -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
