{{/* Names, labels and images. */}}

{{/* 40 characters at most, so that NAME-embedding and the hash of a pod have room in 63. */}}
{{- define "penstock.name" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride -}}
{{- if gt (len $full) 40 -}}
{{- /* Cut, two long names would be one: the digest keeps them apart. */ -}}
{{- printf "%s-%s" (trunc 31 $full | trimSuffix "-") (sha256sum $full | trunc 8) -}}
{{- else -}}
{{- $full -}}
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "component" NAME): what a Deployment selects by; nothing that may ever change. */}}
{{- define "penstock.selector" -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "penstock.labels" -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: penstock
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "component" NAME ["suffix" WORD]): name, namespace and labels of an object. */}}
{{- define "penstock.metadata" -}}
name: {{ include "penstock.name" .root }}-{{ default .component (get . "suffix") }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "penstock.labels" . | nindent 2 }}
{{- end -}}

{{/* (dict "root" $ "image" NAME) */}}
{{- define "penstock.image" -}}
{{- $image := .root.Values.image -}}
{{- $name := printf "%s/%s" (trimSuffix "/" $image.registry) .image -}}
{{- with get $image.digests .image -}}
{{- printf "%s@%s" $name . -}}
{{- else -}}
{{- printf "%s:%s" $name (default $.root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* (list BASE OVER), as JSON: what OVER says counts, also where it says 0, false or nothing, which `mergeOverwrite` passes over. */}}
{{- define "penstock.over" -}}
{{- $base := index . 0 -}}
{{- range $key, $value := index . 1 -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $base $key)) -}}
{{- $_ := set $base $key (include "penstock.over" (list (get $base $key) $value) | fromJson) -}}
{{- else -}}
{{- $_ := set $base $key $value -}}
{{- end -}}
{{- end -}}
{{- toJson $base -}}
{{- end -}}

{{/* (dict "root" $ "role" NAME): the defaults with what the role says, as JSON. */}}
{{- define "penstock.role.values" -}}
{{- $own := get .root.Values.roles .role -}}
{{- $merged := include "penstock.over" (list (deepCopy .root.Values.defaults) $own) | fromJson -}}
{{- /* Folders are said together, not one by one. */ -}}
{{- if hasKey $own "writable" }}{{ $_ := set $merged "writable" $own.writable }}{{ end -}}
{{- if not $merged.graceSeconds }}{{ $_ := set $merged "graceSeconds" .root.Values.longestStreamSeconds }}{{ end -}}
{{- toJson $merged -}}
{{- end -}}

{{- define "penstock.secret" -}}
{{- ternary (printf "%s-secrets" (include "penstock.name" .)) .Values.secrets.existing .Values.secrets.external.enabled -}}
{{- end -}}

{{- define "penstock.migrations" -}}
{{- $with := or .Values.engines.enabled .Values.secrets.external.enabled -}}
{{- if eq .Values.migrations.how "auto" }}{{ ternary "init" "job" $with }}{{ else }}{{ .Values.migrations.how }}{{ end -}}
{{- end -}}

{{/* Hosts of the engines: given, or the chart's own. */}}
{{- define "penstock.host" -}}
{{- if .root.Values.engines.enabled }}{{ include "penstock.name" .root }}-{{ .engine }}{{ else }}{{ .given }}{{ end -}}
{{- end -}}
