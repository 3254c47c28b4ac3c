// Package kubernetes holds the test of deploy/kubernetes. It is a module of its own, so that neither kustomize nor Kubernetes is a dependency of the product.
package kubernetes

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	root   = "../.."
	folder = root + "/deploy/kubernetes"
)

// workload is what makes pods.
type workload struct {
	kind, name  string
	replicas    *int32
	selector    *meta.LabelSelector // nil for a Job, whose selector is made for it
	pod         core.PodTemplateSpec
	job         *batch.JobSpec
	serviceName string
}

func (w *workload) String() string { return w.kind + " " + w.name }

// serves tells whether it is to run for ever.
func (w *workload) serves() bool { return w.job == nil }

// cluster is what kustomize builds, by kind.
type cluster struct {
	text       []byte // the whole, in YAML
	objects    []runtime.Object
	workloads  []workload
	services   []core.Service
	configMaps []core.ConfigMap
	accounts   []core.ServiceAccount
	budgets    []policy.PodDisruptionBudget
	scalers    []autoscaling.HorizontalPodAutoscaler
	policies   []networking.NetworkPolicy
	monitors   []monitoring.PodMonitor
}

// build has kustomize build a folder of deploy/kubernetes, as `kubectl apply -k` does, and reads each object strictly: a field that Kubernetes does not know is an error.
func build(t *testing.T, from, name string) (*cluster, error) {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(from, name))
	if err != nil {
		return nil, err
	}
	c := &cluster{}
	if c.text, err = built.AsYaml(); err != nil {
		return nil, err
	}
	for _, r := range built.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		o, err := read(text)
		if err != nil {
			return nil, err
		}
		c.add(o)
	}
	return c, nil
}

func (c *cluster) add(o runtime.Object) {
	c.objects = append(c.objects, o)
	switch o := o.(type) {
	case *apps.StatefulSet:
		c.workloads = append(c.workloads, workload{"StatefulSet", o.Name, o.Spec.Replicas, o.Spec.Selector, o.Spec.Template, nil, o.Spec.ServiceName})
	case *apps.Deployment:
		c.workloads = append(c.workloads, workload{"Deployment", o.Name, o.Spec.Replicas, o.Spec.Selector, o.Spec.Template, nil, ""})
	case *batch.Job:
		c.workloads = append(c.workloads, workload{"Job", o.Name, nil, nil, o.Spec.Template, &o.Spec, ""})
	case *batch.CronJob:
		c.workloads = append(c.workloads, workload{"CronJob", o.Name, nil, nil, o.Spec.JobTemplate.Spec.Template, &o.Spec.JobTemplate.Spec, ""})
	case *core.Service:
		c.services = append(c.services, *o)
	case *core.ConfigMap:
		c.configMaps = append(c.configMaps, *o)
	case *core.ServiceAccount:
		c.accounts = append(c.accounts, *o)
	case *policy.PodDisruptionBudget:
		c.budgets = append(c.budgets, *o)
	case *autoscaling.HorizontalPodAutoscaler:
		c.scalers = append(c.scalers, *o)
	case *networking.NetworkPolicy:
		c.policies = append(c.policies, *o)
	case *monitoring.PodMonitor:
		c.monitors = append(c.monitors, *o)
	}
}

// each runs a test on the base and on the example.
func each(t *testing.T, f func(*testing.T, *cluster)) {
	for _, name := range []string{"base", "overlays/example"} {
		t.Run(name, func(t *testing.T) {
			c, err := build(t, folder, name)
			if err != nil {
				t.Fatal(err)
			}
			f(t, c)
		})
	}
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, fault := range faults {
		t.Error(fault)
	}
}

func TestWorkloadsAreThoseOfTheDesign(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) {
		var got []string
		for _, w := range c.workloads {
			got = append(got, w.String()+" runs "+strings.Join(w.pod.Spec.Containers[0].Args, " "))
		}
		slices.Sort(got)
		want := []string{"CronJob mlmonitor-migrate runs migrate", "Deployment mlmonitor-api runs api", "Job mlmonitor-migrate runs migrate", "Job mlmonitor-topics runs topics",
			"StatefulSet mlmonitor-audit runs audit", "StatefulSet mlmonitor-score runs score"}
		if !slices.Equal(got, want) {
			t.Errorf("there are %q, want %q", got, want)
		}
	})
}

func TestAnAPIServerWouldTakeEachObject(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) { report(t, refusals(c)) })
}

func TestEveryPodMayDoNothingItNeedNot(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) { report(t, hardeningFaults(c)) })
}

func TestEveryContainerIsLimitedAndProbed(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) { report(t, runningFaults(c)) })
}

func TestWhatIsNamedIsThere(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) { report(t, referenceFaults(c)) })
}

func TestScalingFitsThePartitions(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) { report(t, scalingFaults(c)) })
}

func TestNobodySpeaksButWithWhomTheyMust(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) { report(t, networkFaults(c)) })
}

func TestSecretsAreFilesOfTheRolesOwn(t *testing.T) {
	each(t, func(t *testing.T, c *cluster) { report(t, secretFaults(c)) })
}

// TestTheReadmeMakesEverySecretThatIsMounted: of each Secret the keys that the README's commands make are those that the pods read.
func TestTheReadmeMakesEverySecretThatIsMounted(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	made := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^kubectl .*create secret generic (\S+)(.*)$`).FindAllStringSubmatch(string(text), -1) {
		for _, key := range regexp.MustCompile(`--from-file=(\w+)=`).FindAllStringSubmatch(m[2], -1) {
			made[m[1]] = append(made[m[1]], key[1])
		}
		slices.Sort(made[m[1]])
	}
	each(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			secret, keys := secretOf(&w)
			if !slices.Equal(made[secret], keys) {
				t.Errorf("%s reads %q of Secret %s, the README makes %q", &w, keys, secret, made[secret])
			}
		}
	})
}

// TestJobsOfPrometheusAreCalledAsTheRulesNameThem: the rules say job="mlmonitor-score".
func TestJobsOfPrometheusAreCalledAsTheRulesNameThem(t *testing.T) {
	c, err := build(t, folder, "overlays/example")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.monitors) != 1 {
		t.Fatalf("%d PodMonitors, want 1", len(c.monitors))
	}
	jobs := scraped(c)
	if want := []string{"mlmonitor-api", "mlmonitor-audit", "mlmonitor-score"}; !slices.Equal(jobs, want) {
		t.Errorf("scraped are %q, want %q", jobs, want)
	}
	rules, err := filepath.Glob(filepath.Join(root, "deploy/prometheus/rules/*.yml"))
	if err != nil || len(rules) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	named := map[string]bool{}
	for _, file := range rules {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`job="([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = true
		}
	}
	for job := range named {
		if !slices.Contains(jobs, job) {
			t.Errorf("the rules name job %q, which nothing is called", job)
		}
	}
	if len(named) == 0 {
		t.Error("the rules name no job")
	}
}

func TestEveryVariableIsOneThatTheProgramReads(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/mlmonitor", "config", "--json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mlmonitor config: %v", err)
	}
	var variables []struct {
		Name   string
		Secret bool
	}
	if err := json.Unmarshal(out, &variables); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, v := range variables {
		known[v.Name] = true
		known[v.Name+"_FILE"] = v.Secret
	}
	each(t, func(t *testing.T, c *cluster) {
		for _, w := range c.workloads {
			for _, e := range w.pod.Spec.Containers[0].Env {
				if !known[e.Name] {
					t.Errorf("%s sets %s, which the program does not read", &w, e.Name)
				}
			}
		}
		for _, m := range c.configMaps {
			for name := range m.Data {
				if !known[name] {
					t.Errorf("ConfigMap %s sets %s, which the program does not read", m.Name, name)
				}
			}
		}
	})
}

// TestTheImagesBundleGivesWay: the image sets BUNDLE_DIR, and the program refuses that together with MLFLOW_TRACKING_URI.
func TestTheImagesBundleGivesWay(t *testing.T) {
	c, err := build(t, folder, "overlays/example")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range c.configMaps {
		if dir, set := m.Data["BUNDLE_DIR"]; m.Data["MLFLOW_TRACKING_URI"] != "" && (!set || dir != "") {
			t.Errorf("BUNDLE_DIR is %q beside MLFLOW_TRACKING_URI: set it empty", dir)
		}
	}
}
