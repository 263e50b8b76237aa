{{/* Names, labels, and what several templates must agree on. */}}

{{- define "plimsoll.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 50 characters: the names of roles append to it. */}}
{{- define "plimsoll.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "plimsoll.selector" -}}
app.kubernetes.io/name: {{ include "plimsoll.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "plimsoll.labels" -}}
{{ include "plimsoll.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: autoscaler
app.kubernetes.io/part-of: plimsoll
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `metadata` of an object; called with (dict "root" $ "name" NAME), and "annotations" and "labels" of its own. */}}
{{- define "plimsoll.metadata" -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ default .root.Release.Namespace .namespace }}
{{- end }}
labels:
  {{- include "plimsoll.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "plimsoll.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "plimsoll.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "plimsoll.image" -}}
{{- $repository := required "image.repository is required: the name that your image was pushed under, without tag" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "plimsoll.identifier" -}}
{{- required "config.cluster.identifier is required: a name for this Plimsoll, such as the name of the cluster" (trim (default "" .Values.config.cluster.identifier)) -}}
{{- end -}}

{{/* The objects that the program writes in its own namespace; host/controller/src/settings.rs names them alike. */}}
{{- define "plimsoll.leaseName" -}}
plimsoll-{{ include "plimsoll.identifier" . }}
{{- end -}}
{{- define "plimsoll.statusName" -}}
plimsoll-{{ include "plimsoll.identifier" . }}-status
{{- end -}}
{{- define "plimsoll.launchesName" -}}
plimsoll-{{ include "plimsoll.identifier" . }}-launches
{{- end -}}

{{/* The configuration with the identifier trimmed, and with the paths of what the chart mounts. */}}
{{- define "plimsoll.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config.cluster "identifier" (include "plimsoll.identifier" .) -}}
{{- if .Values.extraCa.configMap -}}
{{- $apiServer := default (dict) $config.apiServer -}}
{{- $_ := set $config "apiServer" (merge $apiServer (dict "caFile" (printf "/etc/plimsoll-ca/%s" .Values.extraCa.key))) -}}
{{- end -}}
{{- if .Values.providerCredentials.secretName -}}
{{- $provider := default (dict) $config.provider -}}
{{- $folder := "/etc/plimsoll-provider" -}}
{{- $paths := dict -}}
{{- if eq (default "" $provider.kind) "externalGrpc" -}}
{{- $paths = dict "cacert" (printf "%s/ca.crt" $folder) "cert" (printf "%s/tls.crt" $folder) "key" (printf "%s/tls.key" $folder) -}}
{{- else if eq (default "" $provider.kind) "clusterApi" -}}
{{- $paths = dict "kubeconfig" (printf "%s/kubeconfig" $folder) -}}
{{- else -}}
{{- fail "providerCredentials.secretName is for config.provider.kind externalGrpc or clusterApi" -}}
{{- end -}}
{{- $_ := set $config "provider" (merge $provider $paths) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* "true" if the configuration lets Plimsoll change the cluster. */}}
{{- define "plimsoll.acts" -}}
{{- if ne (default "act" .Values.config.mode) "observe" -}}true{{- end -}}
{{- end -}}

{{- define "plimsoll.providerKind" -}}
{{- with .Values.config.provider -}}{{- default "" .kind -}}{{- end -}}
{{- end -}}

{{/* "true" if a permission block is granted; called with (dict "root" $ "block" NAME). */}}
{{- define "plimsoll.granted" -}}
{{- $values := .root.Values -}}
{{- $value := index $values.rbac .block -}}
{{- $acts := include "plimsoll.acts" .root -}}
{{- $kind := include "plimsoll.providerKind" .root -}}
{{- if $values.rbac.create -}}
{{- if kindIs "bool" $value -}}
{{- if $value -}}true{{- end -}}
{{- else if has .block (list "drain" "warmUp") -}}
{{- if and $acts (ne (toString (dig "scaleDown" "enabled" true $values.config)) "false") -}}true{{- end -}}
{{- else if eq .block "lease" -}}
{{- if ne (toString (dig "leaderElection" "enabled" true $values.config)) "false" -}}true{{- end -}}
{{- else if has .block (list "cleanup" "launches" "events") -}}
{{- $acts -}}
{{- else if eq .block "csrApproval" -}}
{{- if eq (toString (dig "csr" "enabled" false $values.config)) "true" -}}true{{- end -}}
{{- else if eq .block "clusterApi" -}}
{{- if and (eq $kind .block) (not $values.providerCredentials.secretName) (not (dig "provider" "kubeconfig" "" $values.config)) -}}true{{- end -}}
{{- else if eq .block "karpenter" -}}
{{- if eq $kind .block -}}true{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* "true" if what a block changes is granted too: always where it is demanded, under mode act where it is automatic. */}}
{{- define "plimsoll.grantedWrites" -}}
{{- if include "plimsoll.granted" . -}}
{{- if kindIs "bool" (index .root.Values.rbac .block) -}}true{{- else -}}{{- include "plimsoll.acts" .root -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The name of a block's role; called with (dict "root" $ "block" NAME). Blocks are named as the features of
host/kube/src/features are.
*/}}
{{- define "plimsoll.roleName" -}}
{{ include "plimsoll.fullname" .root }}-{{ kebabcase .block }}
{{- end -}}

{{/*
A binding of a role to our account; called with (dict "root" $ "role" ROLE), for a Role with its "namespace", and with
"name" where the binding is not named as the role is.
*/}}
{{- define "plimsoll.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "RoleBinding" "ClusterRoleBinding" (hasKey . "namespace") }}
metadata:
  {{- include "plimsoll.metadata" (dict "root" .root "name" (default .role .name) "namespace" .namespace "cluster" (not (hasKey . "namespace"))) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ ternary "Role" "ClusterRole" (hasKey . "namespace") }}
  name: {{ .role }}
subjects:
  - kind: ServiceAccount
    name: {{ include "plimsoll.serviceAccount" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end -}}
