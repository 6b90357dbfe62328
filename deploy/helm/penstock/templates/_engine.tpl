{{/*
One pod of an engine, to try things: (dict "root" $ "engine" NAME "image" IMAGE "user" ID "port" NUMBER "at" FOLDER
"secrets" LIST "memory" SIZE ["storage" SIZE] ["command" LIST] ["env" DICT] ["probe" LIST] ["writable" LIST]).
*/}}
{{- define "penstock.engine" -}}
{{- $names := dict "root" .root "component" .engine -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "penstock.metadata" $names | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata:
  {{- include "penstock.metadata" $names | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "penstock.selector" $names | nindent 4 }}
  ports: [{name: engine, port: {{ .port }}, targetPort: engine, protocol: TCP}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "penstock.metadata" $names | nindent 2 }}
spec:
  serviceName: {{ include "penstock.name" .root }}-{{ .engine }}
  replicas: 1
  selector:
    matchLabels:
      {{- include "penstock.selector" $names | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "penstock.labels" $names | nindent 8 }}
    spec:
      serviceAccountName: {{ include "penstock.name" .root }}-{{ .engine }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext:
        {{- toYaml (merge (dict "runAsUser" .user "runAsGroup" .user "fsGroup" .user) .root.Values.podSecurityContext) | nindent 8 }}
      containers:
        - name: {{ .engine }}
          image: {{ .image }}
          imagePullPolicy: IfNotPresent
          {{- with get . "command" }}
          command:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with get . "env" }}
          env:
            {{- range $name, $value := . }}
            - {name: {{ $name }}, value: {{ $value | quote }}}
            {{- end }}
          {{- end }}
          ports: [{name: engine, containerPort: {{ .port }}, protocol: TCP}]
          {{- $probe := dict "tcpSocket" (dict "port" "engine") }}
          {{- with get . "probe" }}{{ $probe = dict "exec" (dict "command" .) }}{{ end }}
          startupProbe:
            {{- toYaml (merge (dict "periodSeconds" 2 "timeoutSeconds" 5 "failureThreshold" 60) $probe) | nindent 12 }}
          readinessProbe:
            {{- toYaml (merge (dict "periodSeconds" 10 "timeoutSeconds" 5) $probe) | nindent 12 }}
          livenessProbe:
            tcpSocket: {port: engine}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          resources: {requests: {cpu: 100m, memory: {{ .memory }}, ephemeral-storage: 64Mi}, limits: {memory: {{ .memory }}, ephemeral-storage: 256Mi}}
          securityContext:
            {{- toYaml .root.Values.securityContext | nindent 12 }}
          volumeMounts:
            - {name: secrets, mountPath: /run/secrets, readOnly: true}
            - {name: data, mountPath: {{ .at }}}
            {{- range (get . "writable" | default list) }}
            - {name: {{ include "penstock.volume" . }}, mountPath: {{ . }}}
            {{- end }}
      volumes:
        - name: secrets
          secret:
            secretName: {{ include "penstock.secret" .root }}
            defaultMode: 0440
            items:
              {{- range .secrets }}
              - {key: {{ . }}, path: {{ . }}}
              {{- end }}
        {{- range (get . "writable" | default list) }}
        - name: {{ include "penstock.volume" . }}
          emptyDir: {sizeLimit: 64Mi}
        {{- end }}
        {{- if not (get . "storage") }}
        - name: data
          emptyDir: {sizeLimit: 16Mi}
        {{- end }}
  {{- if get . "storage" }}
  # Kept when the release goes.
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .root.Values.engines.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .storage }}}}
  {{- end }}
{{- end -}}
