// Package compose holds the test of docker-compose.yml and the Dockerfile. It is a module of its own, so that the reader of compose files is no
// dependency of the product.
package compose

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// load reads the file as the compose client does: merged, interpolated and checked against the schema.
func load(t *testing.T, paths ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions(paths, cli.WithWorkingDirectory(root), cli.WithDiscardEnvFile, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func theProject(t *testing.T) *types.Project {
	t.Helper()
	return load(t, filepath.Join(root, "docker-compose.yml"))
}

func TestServicesAreThoseOfTheDesign(t *testing.T) {
	p := theProject(t)
	names := p.ServiceNames()
	slices.Sort(names)
	want := []string{"airflow", "alertmanager", "alloy", "api", "api-more", "audit", "grafana", "kafka", "kafka-users", "loki", "migrate", "mlflow", "mlflow-users", "nginx", "operate", "postgres", "produce", "prometheus", "score", "topics"}
	if !slices.Equal(names, want) {
		t.Errorf("services are %v, want %v", names, want)
	}
}

// A transaction's first record waits for ever on a broker that has both at 1; with the first alone it does not wait for 20 ms.
func TestTheBrokerLetsTransactionsFollowEachOther(t *testing.T) {
	env := theProject(t).Services["kafka"].Environment
	if v := env["KAFKA_ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MS"]; v == nil || *v != "1" {
		t.Errorf("add.partitions.to.txn.retry.backoff.ms is %v, want 1", v)
	}
	if v := env["KAFKA_ADD_PARTITIONS_TO_TXN_RETRY_BACKOFF_MAX_MS"]; v != nil {
		t.Errorf("add.partitions.to.txn.retry.backoff.max.ms is set, to %s", *v)
	}
}

func TestEveryServiceIsHardenedAndLimited(t *testing.T) {
	for _, fault := range hardeningFaults(theProject(t)) {
		t.Error(fault)
	}
}

func TestServicesStartInOrderOfHealth(t *testing.T) {
	for _, fault := range orderFaults(theProject(t)) {
		t.Error(fault)
	}
	p := theProject(t)
	for service, after := range map[string][]string{
		"kafka": nil, "postgres": nil, "topics": {"kafka"}, "kafka-users": {"kafka"}, "migrate": {"postgres"}, "score": {"kafka-users", "topics"}, "audit": {"kafka-users", "migrate", "topics"},
		"api": {"kafka-users", "migrate", "topics"}, "api-more": {"kafka-users", "migrate", "topics"}, "produce": {"kafka-users", "topics"}, "operate": nil, "mlflow": nil, "mlflow-users": {"mlflow"}, "airflow": {"kafka-users", "mlflow-users", "topics"}, "prometheus": nil, "grafana": {"prometheus"}, "nginx": {"api"}, "alertmanager": nil, "loki": nil, "alloy": nil,
	} {
		if got := p.Services[service].GetDependencies(); !sameSet(got, after) {
			t.Errorf("%s waits for %v, want %v", service, got, after)
		}
	}
}

func TestSecretsAreFilesThatOnlyThoseWhoNeedThemGet(t *testing.T) {
	p := theProject(t)
	for _, fault := range secretFaults(p) {
		t.Error(fault)
	}
	for service, secrets := range map[string][]string{
		"kafka": {"kafka_ca", "kafka_tls_pem"}, "topics": {"kafka_ca", "kafka_admin_pem"},
		"kafka-users": {"kafka_ca", "kafka_admin_pem", "kafka_score_password", "kafka_audit_password", "kafka_api_password", "kafka_replay_password", "kafka_produce_password", "kafka_operate_password"},
		"operate":     {"kafka_ca", "kafka_operate_password", "reader_url", "postgres_ca", "mlflow_ca", "mlflow_trainer_password"},
		"postgres":    {"postgres_password", "owner_password", "audit_password", "reader_password", "postgres_tls_crt", "postgres_tls_key"},
		"migrate":     {"owner_url", "postgres_ca"}, "audit": {"kafka_ca", "kafka_audit_password", "audit_url", "postgres_ca"}, "produce": {"kafka_ca", "kafka_produce_password"},
		"score":        {"kafka_ca", "kafka_score_password", "mlflow_ca", "mlflow_scorer_password"},
		"api":          {"kafka_ca", "kafka_api_password", "reader_url", "postgres_ca", "mlflow_ca", "mlflow_scorer_password"},
		"api-more":     {"kafka_ca", "kafka_api_password", "reader_url", "postgres_ca", "mlflow_ca", "mlflow_scorer_password"},
		"airflow":      {"airflow_passwords", "kafka_ca", "kafka_replay_password", "mlflow_ca", "mlflow_trainer_password"},
		"mlflow":       {"mlflow_admin_password", "mlflow_secret_key", "mlflow_ca", "mlflow_tls_crt", "mlflow_tls_key"},
		"mlflow-users": {"mlflow_admin_password", "mlflow_scorer_password", "mlflow_trainer_password", "mlflow_ca"},
		"prometheus":   nil, "grafana": {"grafana_password"}, "nginx": nil, "loki": nil, "alloy": nil, "alertmanager": {"pagerduty_key", "slack_url"},
	} {
		var got []string
		for _, s := range p.Services[service].Secrets {
			got = append(got, s.Source)
		}
		if !sameSet(got, secrets) {
			t.Errorf("%s gets the secrets %v, want %v", service, got, secrets)
		}
	}
}

func TestKafkaIsReachedByTLSAndWithALogin(t *testing.T) {
	for _, fault := range append(kafkaFaults(theProject(t)), kafkaFaults(load(t, filepath.Join(root, "docker-compose.yml"), filepath.Join(root, "deploy/compose/brokers.yml")))...) {
		t.Error(fault)
	}
}

// TestMLflowIsReachedByTLSAndWithALogin: who may move an alias says what decides.
func TestMLflowIsReachedByTLSAndWithALogin(t *testing.T) {
	p := theProject(t)
	for _, fault := range mlflowFaults(p) {
		t.Error(fault)
	}
	for service, user := range map[string]string{"score": "scorer", "api": "scorer", "api-more": "scorer", "airflow": "trainer", "operate": "trainer"} {
		env := p.Services[service].Environment
		for name, want := range map[string]string{"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD_FILE": "/run/secrets/mlflow_" + user + "_password"} {
			if v := env[name]; v == nil || *v != want {
				t.Errorf("%s: %s is not %s", service, name, want)
			}
		}
	}
	if v := p.Services["airflow"].Environment["MLFLOW_TRACKING_URI"]; v == nil || *v != "https://mlflow:5000" || !strings.Contains(readFile(t, ".env.example"), "MLFLOW_TRACKING_URI=https://mlflow:5000") {
		t.Error("who trains, or reads .env.example, is not led to https://mlflow:5000")
	}
	image, start := readFile(t, "deploy/mlflow/Dockerfile"), readFile(t, "deploy/mlflow/start.sh")
	for _, want := range []string{"COPY start.sh users.py /opt/", `CMD ["/opt/start.sh", "/run/secrets"]`, "mlflow[auth]=="} {
		if !strings.Contains(image, want) {
			t.Errorf("the image lacks %s", want)
		}
	}
	for _, want := range []string{"--app-name basic-auth", "--workers 1 ", "--ssl-keyfile '$secrets/mlflow_tls_key'", "default_permission = NO_PERMISSIONS"} {
		if !strings.Contains(start, want) {
			t.Errorf("start.sh lacks %s", want)
		}
	}
	// What is tested is what is shipped.
	pins := regexp.MustCompile(`pip install --no-cache-dir '(.*)' (\S+) psycopg2`).FindStringSubmatch(image)
	if pins == nil || !strings.Contains(readFile(t, "test/stack/mlflow.sh"), "requirement='"+pins[1]+" "+pins[2]+"'") {
		t.Errorf("the image has %v, test/stack/mlflow.sh another", pins)
	}
}

func TestScoreCanBeScaled(t *testing.T) {
	score := theProject(t).Services["score"]
	if score.ContainerName != "" || score.Hostname != "" || score.Environment["INSTANCE_ID"] != nil {
		t.Error("a name that is set would be the same for every scorer")
	}
	if score.Deploy == nil || score.Deploy.Replicas == nil || *score.Deploy.Replicas < 2 {
		t.Error("deploy.replicas must be 2 or more")
	}
}

// TestWhatIsPublishedIsOnLoopback: what people open, and no more. Everything else is on a network that has no way out, but for what sends alerts.
func TestWhatIsPublishedIsOnLoopback(t *testing.T) {
	p := theProject(t)
	outside := []string{"airflow", "alertmanager", "api", "api-more", "grafana", "nginx", "prometheus"}
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" || !slices.Contains([]string{"airflow", "api", "grafana", "nginx", "prometheus"}, name) {
				t.Errorf("%s publishes %s:%s", name, port.HostIP, port.Published)
			}
		}
		for network := range s.Networks {
			if !p.Networks[network].Internal && !slices.Contains(outside, name) {
				t.Errorf("%s is on %s, which has a way out", name, network)
			}
		}
	}
}

// TestTheExampleOfSettingsIsWhole: every variable of docker-compose.yml has a line in .env.example, and the names that users know are there.
func TestTheExampleOfSettingsIsWhole(t *testing.T) {
	text := readFile(t, ".env.example")
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(readFile(t, "docker-compose.yml"), -1) {
		if !regexp.MustCompile(`(?m)^`+m[1]+`=`).MatchString(text) && m[1] != "API_TRUSTED_PROXIES" {
			t.Errorf("%s is not in .env.example", m[1])
		}
	}
	for _, name := range []string{"MLFLOW_TRACKING_URI", "MLFLOW_BACKEND_STORE_URI", "API_HOST", "API_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "AIRFLOW_UID"} {
		if !strings.Contains(text, name+"=") {
			t.Errorf("%s is not there", name)
		}
	}
}

// TestNobodyIsInGrafanaWithoutALogin, and its pages ask nobody else.
func TestNobodyIsInGrafanaWithoutALogin(t *testing.T) {
	env := theProject(t).Services["grafana"].Environment
	for name, want := range map[string]string{"GF_AUTH_ANONYMOUS_ENABLED": "false", "GF_USERS_ALLOW_SIGN_UP": "false", "GF_USERS_ALLOW_ORG_CREATE": "false", "GF_SECURITY_DISABLE_GRAVATAR": "true",
		"GF_SECURITY_COOKIE_SAMESITE": "strict", "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false", "GF_SECURITY_ADMIN_PASSWORD__FILE": "/run/secrets/grafana_password"} {
		if v := env[name]; v == nil || *v != want {
			t.Errorf("%s is not %s", name, want)
		}
	}
}

func TestDataIsInNamedVolumes(t *testing.T) {
	p := theProject(t)
	for service, target := range map[string]string{"kafka": "/var/lib/kafka/data", "postgres": "/var/lib/postgresql/data", "mlflow": "/mlflow", "prometheus": "/prometheus", "grafana": "/var/lib/grafana", "alertmanager": "/alertmanager", "loki": "/var/lib/loki", "airflow": "/airflow"} {
		if !slices.ContainsFunc(p.Services[service].Volumes, func(v types.ServiceVolumeConfig) bool {
			_, named := p.Volumes[v.Source]
			return v.Type == types.VolumeTypeVolume && v.Target == target && named
		}) {
			t.Errorf("%s has no named volume at %s", service, target)
		}
	}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			made := v.Source == "/var/run/docker.sock" || strings.HasSuffix(v.Source, "/certs") // the engine's, and make certs'
			if _, err := os.Stat(v.Source); err != nil && !made || !v.ReadOnly {
				t.Errorf("%s mounts %s: it must exist and be read-only: %v", name, v.Source, err)
			}
		}
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
	for name, s := range theProject(t).Services {
		if s.Image != "mlmonitor:local" {
			continue
		}
		for variable := range s.Environment {
			if !known[variable] {
				t.Errorf("%s sets %s, which the program does not read", name, variable)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ENV (.*)$`).FindAllStringSubmatch(readFile(t, "Dockerfile"), -1) {
		for _, word := range strings.Fields(m[1]) {
			if variable, _, _ := strings.Cut(word, "="); !known[variable] {
				t.Errorf("the Dockerfile sets %s, which the program does not read", variable)
			}
		}
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
