{{/*
A role: (dict "root" $ "role" NAME "args" LIST "ports" DICT ["env" TEXT] ["probes" DICT] ["services" LIST]).
Every role has the same shape; templates/ROLE.yaml says what is its own.
*/}}

{{- define "penstock.role" -}}
{{- $root := .root -}}
{{- $role := .role -}}
{{- $values := include "penstock.role.values" (dict "root" $root "role" $role) | fromJson -}}
{{- $names := dict "root" $root "component" $role -}}
{{- $isEdge := eq $role "edge" -}}
{{- $notice := ternary (int $root.Values.drainNoticeSeconds) 0 (has $role (list "edge" "gateway")) -}}
{{- $scaled := and $values.autoscaling.enabled (ne $root.Values.scaling.how "none") -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "penstock.metadata" $names | nindent 2 }}
spec:
  {{- if not $scaled }}
  replicas: {{ int $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  minReadySeconds: 5
  # More than a start may take.
  progressDeadlineSeconds: {{ add (mul (int $values.startup.periodSeconds) (int $values.startup.failureThreshold)) 600 }}
  strategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector:
    matchLabels:
      {{- include "penstock.selector" $names | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "penstock.labels" $names | nindent 8 }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ $role }}
        {{- if not $isEdge }}
        checksum/configuration: {{ include "penstock.configuration" $root | sha256sum }}
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "penstock.name" $root }}-{{ $role }}
      automountServiceAccountToken: false
      # Variables of Services begin with the release's name: PENSTOCK_… is a setting of ours.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ add (int $values.preStopSeconds) $notice (int $values.graceSeconds) 10 }}
      securityContext:
        {{- toYaml $root.Values.podSecurityContext | nindent 8 }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $values.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ $key }}
          whenUnsatisfiable: {{ $values.whenUnsatisfiable }}
          # Those of one rollout among themselves.
          matchLabelKeys: [pod-template-hash]
          labelSelector:
            matchLabels:
              {{- include "penstock.selector" $names | nindent 14 }}
        {{- end }}
      {{- if and (has $role (list "gateway" "worker")) (eq (include "penstock.migrations" $root) "init") }}
      initContainers:
        - name: migrations
          {{- include "penstock.migrate" $root | nindent 10 }}
          volumeMounts:
            - {name: configuration, mountPath: /etc/penstock, readOnly: true}
            - {name: secrets, mountPath: /run/secrets, readOnly: true}
            - {name: tmp, mountPath: /tmp}
      {{- end }}
      containers:
        - name: {{ $role }}
          image: {{ include "penstock.image" (dict "root" $root "image" (ternary "gateway" $role (eq $role "worker"))) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          {{- with concat .args $values.extraArgs }}
          args:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with concat (get . "env" | default "[]" | fromYamlArray) $values.extraEnv }}
          env:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            {{- range $name, $port := .ports }}
            - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
            {{- end }}
          {{- $scheme := ternary "HTTPS" "HTTP" (and $isEdge (ne $root.Values.edge.tlsSecret "")) }}
          {{- $port := ternary "http" "probes" $isEdge }}
          startupProbe:
            httpGet: {path: /readyz, port: {{ $port }}, scheme: {{ $scheme }}}
            timeoutSeconds: 5
            {{- toYaml $values.startup | nindent 12 }}
          readinessProbe:
            httpGet: {path: /readyz, port: {{ $port }}, scheme: {{ $scheme }}}
            {{- toYaml $values.readiness | nindent 12 }}
          livenessProbe:
            httpGet: {path: /healthz, port: {{ $port }}, scheme: {{ $scheme }}}
            {{- toYaml $values.liveness | nindent 12 }}
          {{- if $values.preStopSeconds }}
          lifecycle: {preStop: {sleep: {seconds: {{ int $values.preStopSeconds }}}}}
          {{- end }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            {{- toYaml $root.Values.securityContext | nindent 12 }}
          volumeMounts:
            - {name: secrets, mountPath: /run/secrets, readOnly: true}
            - {name: tls, mountPath: /run/tls, readOnly: true}
            {{- if not $isEdge }}
            - {name: configuration, mountPath: /etc/penstock, readOnly: true}
            {{- end }}
            {{- if get (get $root.Values $role | default dict) "tlsSecret" }}
            - {name: public-tls, mountPath: /run/public-tls, readOnly: true}
            {{- end }}
            {{- range $folder := keys $values.writable | sortAlpha }}
            - {name: {{ include "penstock.volume" $folder }}, mountPath: {{ $folder }}}
            {{- end }}
            {{- with $values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "penstock.role.volumes" (dict "root" $root "role" $role "values" $values) | nindent 8 }}
---
{{ include "penstock.role.companions" (dict "root" $root "role" $role "names" $names "services" (default list (get . "services"))) }}
{{- end -}}

{{/* /var/cache/penstock is the volume var-cache-penstock. */}}
{{- define "penstock.volume" -}}
{{- trimPrefix "/" . | replace "/" "-" -}}
{{- end -}}

{{- define "penstock.role.volumes" -}}
{{- $secrets := concat .values.secrets .values.extraSecrets -}}
{{- if and (eq .role "inference") .root.Values.triton.enabled }}{{ $secrets = append $secrets "triton-control-key" }}{{ end -}}
# What is its own of the Secret, as files that its user alone reads.
- name: secrets
  secret:
    secretName: {{ include "penstock.secret" .root }}
    defaultMode: 0440
    items:
      {{- range $secrets | uniq }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
- name: tls
  secret:
    secretName: {{ include "penstock.name" .root }}-tls-{{ .role }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: cert.pem}
      - {key: tls.key, path: key.pem}
      - {key: ca.crt, path: ca.pem}
{{- if ne .role "edge" }}
- name: configuration
  configMap: {name: {{ include "penstock.name" .root }}-configuration}
{{- end }}
{{- with get (get .root.Values .role | default dict) "tlsSecret" }}
- name: public-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- range $folder := keys .values.writable | sortAlpha }}
- name: {{ include "penstock.volume" $folder }}
  emptyDir: {sizeLimit: {{ get $.values.writable $folder }}}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Service account, disruption budget and Services of a role. */}}
{{- define "penstock.role.companions" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "penstock.metadata" .names | nindent 2 }}
automountServiceAccountToken: false
---
# One at a time, whatever their number: none is ever kept from a node that must go.
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "penstock.metadata" .names | nindent 2 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "penstock.selector" .names | nindent 6 }}
{{- range .services }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "penstock.metadata" (merge (dict "suffix" .name) $.names) | nindent 2 }}
  {{- with get . "annotations" }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if get . "type" }}
  type: {{ .type }}
  {{- else }}
  # Every address of the name: callers take turns, where one connection would stay with one pod.
  clusterIP: None
  {{- end }}
  selector:
    {{- include "penstock.selector" $.names | nindent 4 }}
  ports:
    {{- range .ports }}
    - {name: {{ .name }}, port: {{ int .port }}, targetPort: {{ .name }}, protocol: TCP, appProtocol: {{ .protocol }}}
    {{- end }}
{{- end }}
{{- end -}}

{{/* The words after `penstock`: (dict "root" $ "role" NAME), as JSON. */}}
{{- define "penstock.serve" -}}
{{- $values := include "penstock.role.values" . | fromJson -}}
{{- list "serve" .role "--json" "--grace" (printf "%ds" (int $values.graceSeconds)) | toJson -}}
{{- end -}}

{{/* A role that others of the suite alone call: (dict "root" $ "role" NAME "port" NUMBER). */}}
{{- define "penstock.internal" -}}
{{- $service := dict "name" .role "ports" (list (dict "name" "grpc" "port" .port "protocol" "grpc")) -}}
{{ include "penstock.role" (dict "root" .root "role" .role "args" (include "penstock.serve" (dict "root" .root "role" .role) | fromJsonArray)
     "ports" (dict "grpc" .port "metrics" 9464 "probes" 9465) "services" (list $service)) }}
{{- end -}}

{{/* What brings the schema to the newest version, as a container; several at once wait for each other. */}}
{{- define "penstock.migrate" -}}
image: {{ include "penstock.image" (dict "root" . "image" "gateway") }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [db, upgrade]
resources: {requests: {cpu: 250m, memory: 128Mi, ephemeral-storage: 64Mi}, limits: {memory: 256Mi, ephemeral-storage: 128Mi}}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- end -}}
