package kubernetes

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// selects tells whether a selector takes the workload's pods.
func selects(s *meta.LabelSelector, w *workload) bool {
	selector, err := meta.LabelSelectorAsSelector(s)
	return err == nil && selector.Matches(labels.Set(w.pod.Labels))
}

// selected are the names of the workloads that serve and whose pods a selector takes.
func (c *cluster) selected(s *meta.LabelSelector) (names []string) {
	for _, w := range c.workloads {
		if selects(s, &w) {
			names = append(names, w.name)
		}
	}
	return names
}

// variable is what a container's environment says.
func variable(k *core.Container, name string) string {
	for _, e := range k.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

func port(k *core.Container, name string) int {
	for _, p := range k.Ports {
		if p.Name == name {
			return int(p.ContainerPort)
		}
	}
	return 0
}

// component is the role: score, audit, and so on.
func component(w *workload) string { return w.pod.Labels["app.kubernetes.io/component"] }

// pinned is an image with a tag that names a version, or with a digest.
var pinned = regexp.MustCompile(`(:[0-9]+\.[0-9]+\.[0-9]+|@sha256:[0-9a-f]{64})$`)

// hardeningFaults are the sentences to say about what a pod may do.
func hardeningFaults(c *cluster) (faults []string) {
	restricted, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	for _, w := range c.workloads {
		fault := func(format string, args ...any) {
			faults = append(faults, w.String()+": "+fmt.Sprintf(format, args...))
		}
		for _, r := range restricted.EvaluatePod(security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}, &w.pod.ObjectMeta, &w.pod.Spec) {
			if !r.Allowed {
				fault("the restricted profile forbids it: %s (%s)", r.ForbiddenReason, r.ForbiddenDetail)
			}
		}
		s := w.pod.Spec
		if s.AutomountServiceAccountToken == nil || *s.AutomountServiceAccountToken {
			fault("gets a token of the cluster")
		}
		if s.EnableServiceLinks == nil || *s.EnableServiceLinks {
			fault("gets variables named after Services")
		}
		if s.SecurityContext == nil || s.SecurityContext.RunAsUser == nil || *s.SecurityContext.RunAsUser != 65532 {
			fault("does not run as the image's user")
		}
		if len(s.Containers) != 1 || len(s.InitContainers) != 0 {
			fault("has not one container")
		}
		for _, k := range s.Containers {
			if k.SecurityContext == nil || k.SecurityContext.ReadOnlyRootFilesystem == nil || !*k.SecurityContext.ReadOnlyRootFilesystem {
				fault("the root file system can be written")
			}
			if !pinned.MatchString(k.Image) {
				fault("image %q names no version", k.Image)
			}
		}
	}
	for _, a := range c.accounts {
		if a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
			faults = append(faults, "ServiceAccount "+a.Name+" gives a token of the cluster")
		}
	}
	return faults
}

// stopping is how long a role takes to end: docs/operations.md.
const stopping = 10

// runningFaults are the sentences to say about how a container starts, ends, and what it takes.
func runningFaults(c *cluster) (faults []string) {
	for _, w := range c.workloads {
		fault := func(format string, args ...any) {
			faults = append(faults, w.String()+": "+fmt.Sprintf(format, args...))
		}
		k := &w.pod.Spec.Containers[0]
		for _, resource := range []core.ResourceName{core.ResourceCPU, core.ResourceMemory, core.ResourceEphemeralStorage} {
			if k.Resources.Requests.Name(resource, "").IsZero() || k.Resources.Limits.Name(resource, "").IsZero() {
				fault("requests or limits no %s", resource)
			}
		}
		if i := slices.IndexFunc(k.Env, func(e core.EnvVar) bool { return e.Name == "INSTANCE_ID" }); i < 0 || k.Env[i].ValueFrom == nil || k.Env[i].ValueFrom.FieldRef == nil || k.Env[i].ValueFrom.FieldRef.FieldPath != "metadata.name" {
			fault("INSTANCE_ID is not the pod's name")
		}
		if dir := variable(k, "MODEL_CACHE_DIR"); dir != "" && !writable(&w, dir) {
			fault("nothing that can be written, and is bounded, is mounted at %s", dir)
		}
		if !w.serves() {
			if w.job.BackoffLimit == nil || *w.job.BackoffLimit > 10 || w.job.ActiveDeadlineSeconds == nil || w.pod.Spec.RestartPolicy != core.RestartPolicyNever {
				fault("may be tried for ever")
			}
			continue
		}
		if role := component(&w); (role == "score" || role == "audit") && w.kind != "StatefulSet" {
			fault("its INSTANCE_ID does not stay")
		}
		for name, p := range map[string]struct {
			probe *core.Probe
			path  string
		}{"startup": {k.StartupProbe, "/health"}, "liveness": {k.LivenessProbe, "/health"}, "readiness": {k.ReadinessProbe, "/ready"}} {
			if p.probe == nil || p.probe.HTTPGet == nil || p.probe.HTTPGet.Path != p.path || p.probe.HTTPGet.Port != intstr.FromString("ops") {
				fault("its %s is not asked at %s of the operations port", name, p.path)
				continue
			}
			if name == "startup" && p.probe.PeriodSeconds*p.probe.FailureThreshold < 120 {
				fault("a start may take only %d s", p.probe.PeriodSeconds*p.probe.FailureThreshold)
			}
			if name == "readiness" && p.probe.TimeoutSeconds <= 2 {
				fault("the program gives its readiness 2 s, the probe no more")
			}
		}
		for _, p := range []struct{ port, host, number string }{{"ops", "OPS_HOST", "OPS_PORT"}, {"http", "API_HOST", "API_PORT"}} {
			number, _ := strconv.Atoi(variable(k, p.number))
			if number != port(k, p.port) {
				fault("%s is %d, the container's port %s is %d", p.number, number, p.port, port(k, p.port))
			}
			if number != 0 && variable(k, p.host) != "0.0.0.0" {
				fault("%s is %q: nobody outside of the pod gets through", p.host, variable(k, p.host))
			}
		}
		slept := int64(0)
		if k.Lifecycle != nil && k.Lifecycle.PreStop != nil && k.Lifecycle.PreStop.Sleep != nil {
			slept = k.Lifecycle.PreStop.Sleep.Seconds
		}
		if port(k, "http") != 0 && slept == 0 {
			fault("ends while it is still asked")
		}
		if grace := w.pod.Spec.TerminationGracePeriodSeconds; grace == nil || *grace < slept+stopping+2 {
			fault("is killed before it has ended by itself")
		}
	}
	return faults
}

// writable tells whether a bounded emptyDir is mounted at dir.
func writable(w *workload, dir string) bool {
	for _, m := range w.pod.Spec.Containers[0].VolumeMounts {
		for _, v := range w.pod.Spec.Volumes {
			if m.MountPath == dir && m.Name == v.Name && !m.ReadOnly && v.EmptyDir != nil && v.EmptyDir.SizeLimit != nil {
				return true
			}
		}
	}
	return false
}

// referenceFaults are the sentences to say about names and labels that lead nowhere, or too far.
func referenceFaults(c *cluster) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	budgets, scalers := map[string]int{}, map[string]int{}
	for _, b := range c.budgets {
		names := c.selected(b.Spec.Selector)
		if len(names) != 1 {
			fault("PodDisruptionBudget %s is of %q, not of one", b.Name, names)
			continue
		}
		budgets[names[0]]++
	}
	for _, s := range c.scalers {
		ref := s.Spec.ScaleTargetRef
		if !slices.ContainsFunc(c.workloads, func(w workload) bool { return w.kind == ref.Kind && w.name == ref.Name }) {
			fault("HorizontalPodAutoscaler %s scales %s %s, which is not there", s.Name, ref.Kind, ref.Name)
		}
		scalers[ref.Name]++
	}
	for _, s := range c.services {
		names := c.selected(&meta.LabelSelector{MatchLabels: s.Spec.Selector})
		if len(names) != 1 {
			fault("Service %s leads to %q, not to one", s.Name, names)
			continue
		}
		w := c.named(names[0])
		for _, p := range s.Spec.Ports {
			if number := port(&w.pod.Spec.Containers[0], p.TargetPort.StrVal); number == 0 || number != int(p.Port) {
				fault("Service %s has port %d for %q, which is %d in the container", s.Name, p.Port, p.TargetPort.StrVal, number)
			}
		}
	}
	for _, w := range c.workloads {
		for _, e := range w.pod.Spec.Containers[0].EnvFrom {
			if e.ConfigMapRef == nil {
				fault("%s takes its whole environment from no ConfigMap", &w)
			} else if name := e.ConfigMapRef.Name; name != "mlmonitor" && !slices.ContainsFunc(c.configMaps, func(m core.ConfigMap) bool { return m.Name == name }) {
				fault("%s takes its environment from ConfigMap %s, which is not there", &w, name)
			}
		}
		if !slices.ContainsFunc(c.accounts, func(a core.ServiceAccount) bool { return a.Name == w.pod.Spec.ServiceAccountName }) {
			fault("%s runs as ServiceAccount %q, which is not there", &w, w.pod.Spec.ServiceAccountName)
		}
		if !w.serves() {
			continue
		}
		if !selects(w.selector, &w) || len(c.selected(w.selector)) != 1 {
			fault("%s selects the pods of %q", &w, c.selected(w.selector))
		}
		if budgets[w.name] != 1 {
			fault("%s has %d PodDisruptionBudgets, not one", &w, budgets[w.name])
		}
		switch {
		case scalers[w.name] > 0 && w.replicas != nil:
			fault("%s has replicas beside an autoscaler: each apply would set them back", &w)
		case scalers[w.name] == 0 && (w.replicas == nil || *w.replicas < 2):
			fault("%s has nobody to take over", &w)
		}
		if w.serviceName != "" && !slices.ContainsFunc(c.services, func(s core.Service) bool { return s.Name == w.serviceName && s.Spec.ClusterIP == core.ClusterIPNone }) {
			fault("%s names Service %s, which is not there, or has an address", &w, w.serviceName)
		}
		if len(w.pod.Spec.TopologySpreadConstraints) == 0 {
			fault("%s may stand on one node", &w)
		}
		for _, s := range w.pod.Spec.TopologySpreadConstraints {
			if names := c.selected(s.LabelSelector); !slices.Equal(names, []string{w.name}) {
				fault("%s is spread among %q", &w, names)
			}
		}
	}
	return faults
}

func (c *cluster) named(name string) *workload {
	for i := range c.workloads {
		if c.workloads[i].name == name {
			return &c.workloads[i]
		}
	}
	return nil
}

// scalingFaults are the sentences to say about how many there may be.
func scalingFaults(c *cluster) (faults []string) {
	partitions := 0
	if topics := c.named("mlmonitor-topics"); topics != nil {
		partitions, _ = strconv.Atoi(variable(&topics.pod.Spec.Containers[0], "KAFKA_PARTITIONS"))
	}
	known, err := os.ReadFile(filepath.Join(root, "docs/operations.md"))
	if err != nil {
		return []string{err.Error()}
	}
	for _, s := range c.scalers {
		if s.Spec.MinReplicas == nil || *s.Spec.MinReplicas < 2 {
			faults = append(faults, s.Name+" may scale to one, with nobody to take over")
		}
		for _, m := range s.Spec.Metrics {
			if m.External != nil && !strings.Contains(string(known), "`"+m.External.Metric.Name+"{") {
				faults = append(faults, s.Name+" scales by "+m.External.Metric.Name+", which no role has")
			}
		}
		if s.Spec.ScaleTargetRef.Name == "mlmonitor-score" && int(s.Spec.MaxReplicas) != partitions {
			faults = append(faults, fmt.Sprintf("%s scales to %d, there are %d partitions", s.Name, s.Spec.MaxReplicas, partitions))
		}
	}
	return faults
}

// ways are the policies that let a role's pods speak, or be spoken to, beyond names of hosts. docs/operations.md says what each needs.
var ways = map[string][]string{
	"score":   {"mlmonitor-kafka", "mlmonitor-metrics", "mlmonitor-mlflow"},
	"audit":   {"mlmonitor-kafka", "mlmonitor-metrics", "mlmonitor-postgres"},
	"api":     {"mlmonitor-clients", "mlmonitor-issuer", "mlmonitor-kafka", "mlmonitor-metrics", "mlmonitor-mlflow", "mlmonitor-postgres"},
	"topics":  {"mlmonitor-kafka"},
	"migrate": {"mlmonitor-postgres"},
}

// networkFaults are the sentences to say about who may speak with whom.
func networkFaults(c *cluster) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, p := range c.policies {
		if len(c.selected(&p.Spec.PodSelector)) == 0 {
			fault("NetworkPolicy %s is of no pod", p.Name)
		}
		for _, r := range p.Spec.Egress {
			peerFaults(p.Name, r.To, r.Ports, fault)
		}
		for _, r := range p.Spec.Ingress {
			peerFaults(p.Name, r.From, r.Ports, fault)
			for _, name := range c.selected(&p.Spec.PodSelector) {
				for _, one := range r.Ports {
					if one.Port == nil || port(&c.named(name).pod.Spec.Containers[0], one.Port.StrVal) == 0 {
						fault("NetworkPolicy %s opens a port that %s does not have", p.Name, name)
					}
				}
			}
		}
	}
	for _, w := range c.workloads {
		var got []string
		denied, resolves := false, false
		for _, p := range c.policies {
			if !selects(&p.Spec.PodSelector, &w) {
				continue
			}
			switch both := slices.Contains(p.Spec.PolicyTypes, networking.PolicyTypeIngress) && slices.Contains(p.Spec.PolicyTypes, networking.PolicyTypeEgress); {
			case both && len(p.Spec.Ingress)+len(p.Spec.Egress) == 0:
				denied = true
			case p.Name == "mlmonitor-dns":
				resolves = true
			default:
				got = append(got, p.Name)
			}
		}
		if !denied {
			fault("%s may speak with everybody", &w)
		}
		if !resolves {
			fault("%s may not ask for names", &w)
		}
		if slices.Sort(got); !slices.Equal(got, ways[component(&w)]) {
			fault("%s goes the ways %q, want %q", &w, got, ways[component(&w)])
		}
	}
	return faults
}

func peerFaults(name string, peers []networking.NetworkPolicyPeer, ports []networking.NetworkPolicyPort, fault func(string, ...any)) {
	if len(peers) == 0 || len(ports) == 0 {
		fault("NetworkPolicy %s opens to everybody, or all ports", name)
	}
	for _, p := range peers {
		if p.IPBlock != nil {
			if block, err := netip.ParsePrefix(p.IPBlock.CIDR); err != nil || block.Bits() == 0 {
				fault("NetworkPolicy %s opens to everybody: %s", name, p.IPBlock.CIDR)
			}
		} else if p.NamespaceSelector == nil || len(p.NamespaceSelector.MatchLabels) == 0 {
			fault("NetworkPolicy %s opens to namespaces without a label", name)
		}
	}
}

// secrets is where each role's Secret is mounted.
const secrets = "/run/secrets/mlmonitor"

var (
	secretName = regexp.MustCompile(`(?i)(password|secret|token|credential|database_url|api_?key)`)
	secretText = regexp.MustCompile(`://[^/\s]*:[^/\s]*@`) // a password in a URL
)

// secretOf is the Secret that is mounted, and those of its keys that are read, in their order.
func secretOf(w *workload) (name string, keys []string) {
	for _, v := range w.pod.Spec.Volumes {
		if v.Secret != nil {
			name = v.Secret.SecretName
		}
	}
	for _, e := range w.pod.Spec.Containers[0].Env {
		if key, ours := strings.CutPrefix(e.Value, secrets+"/"); ours {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return name, keys
}

// secretFaults are the sentences to say about secrets that stand where they can be read, and about those of another role.
func secretFaults(c *cluster) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	plain := func(where, name, value string) {
		if secretText.MatchString(value) || secretName.MatchString(name) && !strings.HasSuffix(name, "_FILE") {
			fault("%s: %s holds a secret in clear: use %s_FILE", where, name, name)
		}
	}
	for _, m := range c.configMaps {
		for _, name := range slices.Sorted(maps.Keys(m.Data)) {
			plain("ConfigMap "+m.Name, name, m.Data[name])
		}
	}
	for _, w := range c.workloads {
		k := &w.pod.Spec.Containers[0]
		for _, e := range k.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				fault("%s: %s holds a secret in clear: use %s_FILE", &w, e.Name, e.Name)
				continue
			}
			plain(w.String(), e.Name, e.Value)
			if secretName.MatchString(e.Name) && !strings.HasPrefix(e.Value, secrets+"/") {
				fault("%s: %s names %q, which is none of its secrets", &w, e.Name, e.Value)
			}
		}
		if name, _ := secretOf(&w); name != "mlmonitor-"+component(&w) {
			fault("%s mounts Secret %q, which is not its own", &w, name)
		}
		for _, v := range w.pod.Spec.Volumes {
			if v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode&0o007 != 0) {
				fault("%s: everybody in the container may read its secrets", &w)
			}
			if v.Secret != nil && !slices.ContainsFunc(k.VolumeMounts, func(m core.VolumeMount) bool { return m.Name == v.Name && m.MountPath == secrets && m.ReadOnly }) {
				fault("%s: its secrets are not at %s, or can be written", &w, secrets)
			}
		}
	}
	return faults
}

// scraped are the names that Prometheus gives to the jobs of the pods that a PodMonitor finds.
func scraped(c *cluster) (jobs []string) {
	for _, m := range c.monitors {
		for _, e := range m.Spec.PodMetricsEndpoints {
			for _, w := range c.workloads {
				if !selects(&m.Spec.Selector, &w) || e.Port == nil || port(&w.pod.Spec.Containers[0], *e.Port) == 0 {
					continue
				}
				job := m.Namespace + "/" + m.Name // unless it is said
				for _, r := range e.RelabelConfigs {
					if r.TargetLabel == "job" && r.Replacement != nil && len(r.SourceLabels) == 1 && r.SourceLabels[0] == "__meta_kubernetes_pod_label_app_kubernetes_io_component" {
						job = strings.ReplaceAll(*r.Replacement, "$1", component(&w))
					}
				}
				jobs = append(jobs, job)
			}
		}
	}
	slices.Sort(jobs)
	return jobs
}

// TestRulesFindWhatBreaksThem plants a fault into a copy of the files, and wants the sentence about it.
func TestRulesFindWhatBreaksThem(t *testing.T) {
	none := func(*cluster) []string { return nil } // what does not even build
	for _, c := range []struct {
		file, old, new, fault string
		faults                func(*cluster) []string
	}{
		{"base/score.yaml", "podManagementPolicy: Parallel", "podManagmentPolicy: Parallel", "unknown field", none},
		{"base/score.yaml", "maxUnavailable: 1", "maxUnavailable: 1\n  maxUnavailable: 2", "already", none},
		{"prometheus-operator/podmonitor.yaml", "interval: 15s", "intervall: 15s", "unknown field", none},
		{"base/score.yaml", "- {name: ops, containerPort: 9101}", "- {name: ops, containerPort: 91010}", "containerPort", refusals},
		{"base/score.yaml", "limits: {cpu: \"2\", memory: 512Mi", "limits: {cpu: \"2\", memory: 128Mi", "must be less than or equal to memory limit", refusals},
		{"base/network.yaml", "port: http}", "port: the_pages}", "ports", refusals},
		{"base/jobs.yaml", "17 1 * * *", "17 1 * *", "schedule", refusals},
		{"base/api.yaml", "averageUtilization: 70", "averageUtilization: 0", "averageUtilization", refusals},
		{"overlays/example/kustomization.yaml", "192.0.2.16/28", "192.0.2.16", "cidr", refusals},
		{"base/audit.yaml", "maxSkew: 1", "maxSkew: 0", "maxSkew", refusals},
		{"base/hardened.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot", hardeningFaults},
		{"base/hardened.yaml", "runAsUser: 65532", "runAsUser: 1000", "the image's user", hardeningFaults},
		{"base/hardened.yaml", "drop: [ALL]", "drop: [NET_RAW]", "capabilities", hardeningFaults},
		{"base/hardened-cronjob.yaml", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation", hardeningFaults},
		{"base/hardened.yaml", "seccompProfile: {type: RuntimeDefault}", "seccompProfile: {type: Unconfined}", "seccomp", hardeningFaults},
		{"base/hardened-cronjob.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can be written", hardeningFaults},
		{"base/hardened.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "token of the cluster", hardeningFaults},
		{"base/serviceaccount.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "gives a token", hardeningFaults},
		{"base/hardened.yaml", "enableServiceLinks: false", "enableServiceLinks: true", "named after Services", hardeningFaults},
		{"overlays/example/kustomization.yaml", "digest: sha256:", "newTag: latest # ", "names no version", hardeningFaults},
		{"base/jobs.yaml", "limits: {cpu: \"1\", memory: 256Mi,", "limits: {cpu: \"1\",", "limits no memory", runningFaults},
		{"base/hardened.yaml", "fieldPath: metadata.name", "fieldPath: spec.nodeName", "not the pod's name", runningFaults},
		{"base/score.yaml", "emptyDir: {sizeLimit: 256Mi}", "emptyDir: {}", "is bounded", runningFaults},
		{"base/jobs.yaml", "backoffLimit: 6", "backoffLimit: 1000000", "tried for ever", runningFaults},
		{"base/jobs.yaml", "activeDeadlineSeconds: 900\n", "\n", "tried for ever", runningFaults},
		{"base/jobs.yaml", "restartPolicy: Never", "restartPolicy: OnFailure", "tried for ever", runningFaults},
		{"base/audit.yaml", "httpGet: {path: /ready, port: ops}", "httpGet: {path: /health, port: ops}", "readiness is not asked", runningFaults},
		{"base/score.yaml", "livenessProbe:\n            httpGet: {path: /health", "livenessProbe:\n            httpGet: {path: /ready", "liveness is not asked", runningFaults},
		{"base/api.yaml", "failureThreshold: 150", "failureThreshold: 3", "a start may take only", runningFaults},
		{"base/api.yaml", "timeoutSeconds: 3", "timeoutSeconds: 1", "gives its readiness", runningFaults},
		{"base/api.yaml", "value: \"8000\"", "value: \"8080\"", "API_PORT is 8080", runningFaults},
		{"base/audit.yaml", "{name: OPS_HOST, value: 0.0.0.0}", "{name: OPS_HOST, value: 127.0.0.1}", "nobody outside", runningFaults},
		{"base/api.yaml", "preStop: {sleep: {seconds: 5}}", "preStop: {sleep: {seconds: 15}}", "is killed", runningFaults},
		{"base/api.yaml", "          lifecycle:\n            preStop: {sleep: {seconds: 5}}\n", "", "still asked", runningFaults},
		{"base/score.yaml", "terminationGracePeriodSeconds: 15", "terminationGracePeriodSeconds: 5", "is killed", runningFaults},
		{"base/score.yaml", "maxUnavailable: 1\n  selector:\n    matchLabels: {app.kubernetes.io/name: mlmonitor, app.kubernetes.io/component: score}", "maxUnavailable: 1\n  selector:\n    matchLabels: {app.kubernetes.io/component: audit}",
			"has 0 PodDisruptionBudgets", referenceFaults},
		{"base/score.yaml", "kind: StatefulSet, name: mlmonitor-score", "kind: Deployment, name: mlmonitor-score", "which is not there", referenceFaults},
		{"base/score.yaml", "  serviceName: mlmonitor-score", "  serviceName: mlmonitor-scores", "names Service mlmonitor-scores", referenceFaults},
		{"base/score.yaml", "  serviceName: mlmonitor-score", "  replicas: 2\n  serviceName: mlmonitor-score", "beside an autoscaler", referenceFaults},
		{"base/audit.yaml", "replicas: 2", "replicas: 1", "nobody to take over", referenceFaults},
		{"base/audit.yaml", "targetPort: ops", "targetPort: metrics", "port 9102 for \"metrics\"", referenceFaults},
		{"base/api.yaml", "port: 8000,", "port: 80,", "port 80 for \"http\"", referenceFaults},
		{"base/api.yaml", "  selector: {app.kubernetes.io/name: mlmonitor, app.kubernetes.io/component: api}", "  selector: {app.kubernetes.io/name: mlmonitor}", "not to one", referenceFaults},
		{"base/hardened.yaml", "serviceAccountName: mlmonitor", "serviceAccountName: somebody", "which is not there", referenceFaults},
		{"overlays/example/kustomization.yaml", "value: \"12\"", "value: \"24\"", "there are 24 partitions", scalingFaults},
		{"base/score.yaml", "{name: mlmonitor_consumer_lag_records}", "{name: mlmonitor_lag}", "which no role has", scalingFaults},
		{"base/api.yaml", "minReplicas: 2", "minReplicas: 1", "may scale to one", scalingFaults},
		{"base/network.yaml", "values: [score, audit, api, topics]", "values: [score, audit, api]", "Job mlmonitor-topics goes the ways", networkFaults},
		{"base/network.yaml", "values: [audit, api, migrate]", "values: [audit, api, migrate, score]", "StatefulSet mlmonitor-score goes the ways", networkFaults},
		{"base/network.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", "may speak with everybody", networkFaults},
		{"base/network.yaml", "matchLabels: {mlmonitor-kafka: allowed}", "matchLabels: {}", "without a label", networkFaults},
		{"overlays/example/kustomization.yaml", "198.51.100.0/24", "0.0.0.0/0", "opens to everybody", networkFaults},
		{"base/network.yaml", "port: http}", "port: https}", "does not have", networkFaults},
		{"base/audit.yaml", "{name: DATABASE_URL_FILE, value: /run/secrets/mlmonitor/database_url}", "{name: DATABASE_URL, value: \"postgres://audit:x@db/audit\"}", "in clear", secretFaults},
		{"base/audit.yaml", "{name: DATABASE_URL_FILE, value: /run/secrets/mlmonitor/database_url}", "{name: DATABASE_URL, valueFrom: {secretKeyRef: {name: mlmonitor-audit, key: database_url}}}", "in clear", secretFaults},
		{"overlays/example/kustomization.yaml", "      - KAFKA_TLS=true\n", "      - KAFKA_SASL_PASSWORD=x\n", "in clear", secretFaults},
		{"base/audit.yaml", "{secretName: mlmonitor-audit, defaultMode: 0440}", "{secretName: mlmonitor-migrate, defaultMode: 0440}", "not its own", secretFaults},
		{"base/audit.yaml", "{secretName: mlmonitor-audit, defaultMode: 0440}", "{secretName: mlmonitor-audit}", "may read its secrets", secretFaults},
	} {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(copied, c.file)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		broken := strings.Replace(string(text), c.old, c.new, 1)
		if broken == string(text) {
			t.Errorf("%q is not in %s any more", c.old, c.file)
			continue
		}
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		var got string
		if built, err := build(t, copied, "overlays/example"); err != nil {
			got = err.Error()
		} else {
			got = strings.Join(c.faults(built), "; ")
		}
		if !strings.Contains(got, c.fault) {
			t.Errorf("with %q in %s: got %q, want %q", c.new, c.file, got, c.fault)
		}
	}
}
