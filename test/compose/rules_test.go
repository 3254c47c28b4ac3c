package compose

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// oneShot tells whether another service waits for this one's end, or people do, who start it by hand.
func oneShot(p *types.Project, name string) bool {
	if slices.Contains(p.Services[name].Profiles, "tools") {
		return true
	}
	for _, s := range p.Services {
		if d, ok := s.DependsOn[name]; ok && d.Condition == types.ServiceConditionCompletedSuccessfully {
			return true
		}
	}
	return false
}

// unasked are services whose images have nothing that could ask for their health, and for which nobody waits.
var unasked = []string{"alloy", "loki"}

// pinned is an image with a tag that names a version.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9]+(\.[0-9]+)?(-[a-z0-9]+)?$`)

// hardeningFaults are the sentences to say about what a service may do and take.
func hardeningFaults(p *types.Project) (faults []string) {
	for name, s := range p.Services {
		fault := func(format string, args ...any) { faults = append(faults, name+": "+fmt.Sprintf(format, args...)) }
		if !s.ReadOnly {
			fault("the root file system can be written")
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			fault("may gain privileges")
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 || s.Privileged {
			fault("keeps capabilities")
		}
		if s.NetworkMode != "" || s.Pid != "" || s.Ipc != "" {
			fault("shares a namespace of the host or of another service")
		}
		if s.User == "root" || strings.HasPrefix(s.User, "0") {
			fault("runs as root")
		}
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes <= 0 ||
			s.Deploy.Resources.Limits.NanoCPUs <= 0 || s.Deploy.Resources.Limits.Pids <= 0 {
			fault("lacks a limit of memory, processors or processes")
		}
		if s.Build == nil && !pinned.MatchString(s.Image) {
			fault("image %q names no version", s.Image)
		}
		if s.Logging == nil || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			fault("logs without bound")
		}
		checked := s.HealthCheck != nil && !s.HealthCheck.Disable && len(s.HealthCheck.Test) > 1
		switch {
		case oneShot(p, name) && s.Restart != types.RestartPolicyNo:
			fault("runs once, but is restarted")
		case !oneShot(p, name) && !checked && !slices.Contains(unasked, name):
			fault("has no health check, and nobody waits for its end")
		case !oneShot(p, name) && s.Restart != types.RestartPolicyUnlessStopped:
			fault("is not restarted when it ends")
		}
	}
	return faults
}

// orderFaults are the sentences to say about who waits for whom.
func orderFaults(p *types.Project) (faults []string) {
	for name, s := range p.Services {
		for on, d := range s.DependsOn {
			if d.Condition == types.ServiceConditionStarted {
				faults = append(faults, name+" waits only for the start of "+on)
			}
			if d.Condition == types.ServiceConditionHealthy && (p.Services[on].HealthCheck == nil || p.Services[on].HealthCheck.Disable) {
				faults = append(faults, name+" waits for the health of "+on+", which has no check")
			}
		}
	}
	return faults
}

// mlflowFaults are the sentences to say about who reaches MLflow in clear, or as nobody, and about an MLflow that would let him.
func mlflowFaults(p *types.Project) (faults []string) {
	for name, s := range p.Services {
		fault := func(format string, args ...any) { faults = append(faults, name+": "+fmt.Sprintf(format, args...)) }
		for variable, value := range s.Environment {
			if value != nil && strings.HasPrefix(*value, "http://mlflow") {
				fault("%s leads to MLflow in clear", variable)
			}
		}
		set := func(variable string) bool { v := s.Environment[variable]; return v != nil && *v != "" }
		if set("MLFLOW_TRACKING_URI") && !set("MLFLOW_TRACKING_SERVER_CERT_PATH") {
			fault("trusts the system's authorities with MLflow")
		}
		if set("MLFLOW_TRACKING_USERNAME") != set("MLFLOW_TRACKING_PASSWORD_FILE") || set("MLFLOW_TRACKING_URI") && !set("MLFLOW_TRACKING_USERNAME") && name != "mlflow-users" {
			fault("has no login with MLflow")
		}
	}
	mlflow := p.Services["mlflow"]
	if len(mlflow.Ports) > 0 {
		faults = append(faults, "mlflow is published")
	}
	if len(mlflow.Command) > 0 || len(mlflow.Entrypoint) > 0 {
		faults = append(faults, "mlflow is not started by the image's start.sh")
	}
	if test := strings.Join(mlflow.HealthCheck.Test, " "); !strings.Contains(test, "'https://") || !strings.Contains(test, "cafile=") {
		faults = append(faults, "mlflow is asked for its health without its certificate")
	}
	return faults
}

// kafkaFaults are the sentences to say about who reaches Kafka in clear, or as nobody, and about a broker that would let him.
func kafkaFaults(p *types.Project) (faults []string) {
	for name, s := range p.Services {
		fault := func(format string, args ...any) { faults = append(faults, name+": "+fmt.Sprintf(format, args...)) }
		set := func(variable string) bool { v := s.Environment[variable]; return v != nil && *v != "" }
		if strings.Contains(s.Image, "apache/kafka") {
			for variable, want := range map[string]string{
				"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CLIENTS:SASL_SSL,PEERS:SSL,CONTROLLER:SSL", "KAFKA_LISTENER_NAME_PEERS_SSL_CLIENT_AUTH": "required", "KAFKA_LISTENER_NAME_CONTROLLER_SSL_CLIENT_AUTH": "required",
				"KAFKA_AUTHORIZER_CLASS_NAME": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "KAFKA_SUPER_USERS": "User:CN=kafka;User:CN=admin", "KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND": "",
			} {
				if v := s.Environment[variable]; (v != nil || want != "") && (v == nil || *v != want) {
					fault("lets in who should not be: %s is not %q", variable, want)
				}
			}
			continue
		}
		if set("KAFKA_BROKERS") && !set("KAFKA_TLS_CA_FILE") {
			fault("reaches Kafka in clear")
		}
		if set("KAFKA_BROKERS") && !set("KAFKA_SASL_PASSWORD_FILE") && !set("KAFKA_TLS_CERT_FILE") {
			fault("is nobody to Kafka")
		}
		if set("KAFKA_TLS_CERT_FILE") && !oneShot(p, name) {
			fault("may do all in Kafka for as long as it runs")
		}
	}
	return faults
}

var (
	secretName = regexp.MustCompile(`(?i)(password|secret|token|credential|database_url|api_?key)`)
	secretText = regexp.MustCompile(`://[^/\s]*:[^/\s]*@`) // a password in a URL
)

// secretFaults are the sentences to say about passwords that stand where they can be read, and about secrets that are no files.
func secretFaults(p *types.Project) (faults []string) {
	for name, s := range p.Services {
		mounted := map[string]bool{}
		for _, secret := range s.Secrets {
			mounted["/run/secrets/"+secret.Source] = true
		}
		for variable, value := range s.Environment {
			if value == nil {
				faults = append(faults, name+" takes "+variable+" from the environment of who starts it")
				continue
			}
			switch {
			case secretText.MatchString(*value):
				faults = append(faults, name+": a password stands in "+variable)
			case strings.HasSuffix(variable, "_FILE") && !mounted[*value]:
				faults = append(faults, name+": "+variable+" names "+*value+", which is none of its secrets")
			case secretName.MatchString(variable) && !strings.HasSuffix(variable, "_FILE"):
				faults = append(faults, name+": "+variable+" holds a secret in clear: use "+variable+"_FILE")
			}
		}
		for _, text := range slices.Concat(s.Command, s.Entrypoint) {
			if secretText.MatchString(text) {
				faults = append(faults, name+": a password stands in its command")
			}
		}
	}
	for name, secret := range p.Secrets {
		if secret.File == "" || secret.Environment != "" || secret.Content != "" {
			faults = append(faults, "secret "+name+" is no file")
		} else if filepath.Base(filepath.Dir(secret.File)) != "secrets" {
			faults = append(faults, "secret "+name+" is not in secrets/, which git and the image leave out")
		}
	}
	return faults
}

func TestRulesFindWhatBreaksThem(t *testing.T) {
	text := readFile(t, "docker-compose.yml")
	for _, c := range []struct {
		old, new, fault string
		faults          func(*types.Project) []string
	}{
		{"read_only: true\n  cap_drop", "read_only: false\n  cap_drop", "can be written", hardeningFaults},
		{"cap_drop: [ALL]", "cap_drop: [NET_RAW]", "capabilities", hardeningFaults},
		{"no-new-privileges:true", "seccomp:unconfined", "privileges", hardeningFaults},
		{`user: "65532:65532"`, `user: "0:0"`, "root", hardeningFaults},
		{"limits: {cpus: \"2\", memory: 512m, pids: 64}", "limits: {cpus: \"2\"}", "limit", hardeningFaults},
		{"apache/kafka:4.3.1", "apache/kafka:latest", "no version", hardeningFaults},
		{"options: {max-size: 10m, max-file: \"3\"}", "options: {}", "without bound", hardeningFaults},
		{"restart: \"no\"", "restart: always", "is restarted", hardeningFaults},
		{"test: [CMD, /mlmonitor, health, --url, \"http://127.0.0.1:9102/ready\"]", "disable: true", "no health check", hardeningFaults},
		{"kafka: {condition: service_healthy}", "kafka: {condition: service_started}", "only for the start", orderFaults},
		{"DATABASE_URL_FILE: /run/secrets/owner_url", "DATABASE_URL: postgres://owner:x@postgres/mlmonitor", "a password stands", secretFaults},
		{"POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password", "POSTGRES_PASSWORD: x", "in clear", secretFaults},
		{"DATABASE_URL_FILE: /run/secrets/audit_url", "DATABASE_URL_FILE: /run/secrets/owner_url", "none of its secrets", secretFaults},
		{"MLFLOW_TRACKING_URI: ${MLFLOW_TRACKING_URI:-}", "MLFLOW_TRACKING_URI: http://mlflow:5000", "in clear", mlflowFaults},
		{"MLFLOW_TRACKING_USERNAME: trainer # makes versions, and moves the alias challenger", "LOG_LEVEL: info", "no login", mlflowFaults},
		{"MLFLOW_TRACKING_PASSWORD_FILE: /run/secrets/mlflow_scorer_password", "LOG_LEVEL: info", "no login", mlflowFaults},
		{"MLFLOW_TRACKING_SERVER_CERT_PATH: /run/secrets/mlflow_ca\n    secrets: [mlflow_admin_password", "LOG_LEVEL: info\n    secrets: [mlflow_admin_password", "system's authorities", mlflowFaults},
		{"expose: [\"5000\"]", "ports: [\"127.0.0.1:5000:5000\"]", "published", mlflowFaults},
		{"build: deploy/mlflow\n", "build: deploy/mlflow\n    command: [mlflow, server]\n", "start.sh", mlflowFaults},
		{"'https://127.0.0.1:5000/health'", "'http://127.0.0.1:5000/health'", "without its certificate", mlflowFaults},
		{"CLIENTS:SASL_SSL", "CLIENTS:SASL_PLAINTEXT", "PROTOCOL_MAP", kafkaFaults},
		{"KAFKA_LISTENER_NAME_CONTROLLER_SSL_CLIENT_AUTH: required", "KAFKA_LISTENER_NAME_CONTROLLER_SSL_CLIENT_AUTH: none", "CONTROLLER_SSL_CLIENT_AUTH", kafkaFaults},
		{"KAFKA_SUPER_USERS: User:CN=kafka;", "KAFKA_SUPER_USERS: User:CN=kafka;User:score;", "SUPER_USERS", kafkaFaults},
		{"KAFKA_SUPER_USERS: User:CN=kafka;", "KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND: \"true\"\n      KAFKA_SUPER_USERS: User:CN=kafka;", "EVERYONE", kafkaFaults},
		{"KAFKA_AUTHORIZER_CLASS_NAME: org.apache.kafka.metadata.authorizer.StandardAuthorizer", "KAFKA_NUM_IO_THREADS: 8", "AUTHORIZER", kafkaFaults},
		{"KAFKA_BROKERS: kafka:9092\n  KAFKA_TLS_CA_FILE: /run/secrets/kafka_ca", "KAFKA_BROKERS: kafka:9092", "in clear", kafkaFaults},
		{"KAFKA_SASL_PASSWORD_FILE: /run/secrets/kafka_audit_password", "LOG_LEVEL: info", "audit: is nobody", kafkaFaults},
		{"<<: *kafka\n      KAFKA_SASL_USERNAME: audit", "<<: *kafka-admin\n      KAFKA_SASL_USERNAME: audit", "audit: may do all", kafkaFaults},
		{"{file: ./secrets/owner_url}", "{environment: OWNER_URL}", "no file", secretFaults},
		{"{file: ./secrets/owner_url}", "{file: ./deploy/owner_url}", "not in secrets/", secretFaults},
	} {
		broken := strings.Replace(text, c.old, c.new, 1)
		if broken == text {
			t.Errorf("%q is not in docker-compose.yml any more", c.old)
			continue
		}
		path := filepath.Join(t.TempDir(), "docker-compose.yml")
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.faults(load(t, path)), "; "); !strings.Contains(got, c.fault) {
			t.Errorf("with %q: got %q, want %q", c.new, got, c.fault)
		}
	}
}
